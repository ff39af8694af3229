//! The members of the group that no file names: how they come, how long they stay.

use std::collections::BTreeMap;

use crate::settings::{Far, LearnFrom};

const SECOND: u64 = 1_000;
/// A group learns so many unless its file says otherwise.
const MANY: usize = 1024;

/// One that was heard.
#[derive(Debug, Clone, Copy)]
struct Guest {
    /// When it was seen to be in use, in milliseconds.
    used: u64,
    /// How many frames had come from it then.
    received: u64,
}

/// All that were heard.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    guests: BTreeMap<Far, Guest>,
    /// How many were refused since the group was full.
    pub(crate) refused: u64,
    looked_at: u64,
}

impl Strangers {
    pub(crate) fn has(&self, far: Far) -> bool {
        self.guests.contains_key(&far)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Far> {
        self.guests.keys().copied()
    }

    /// One speaks whom the group may learn, if it does not know it by now.
    pub(crate) fn hear(&mut self, far: Far, from: &LearnFrom, now: u64) {
        if self.has(far) {
            return;
        }
        if self.guests.len() < from.most.unwrap_or(MANY) {
            self.guests.insert(far, Guest { used: now, received: 0 });
        } else {
            self.refused += 1;
        }
    }

    /// Forgets those of whom `may_stay` is not true any more.
    pub(crate) fn retain(&mut self, may_stay: impl Fn(Far) -> bool) {
        self.guests.retain(|&far, _| may_stay(far));
    }

    /// Every quarter of a minute: whoever has said nothing for a minute, with no host behind it, goes.
    pub(crate) fn look(&mut self, now: u64, received: impl Fn(Far) -> u64, is_home: impl Fn(Far) -> bool) -> bool {
        if self.guests.is_empty() || now - self.looked_at < 15 * SECOND {
            return false;
        }
        self.looked_at = now;
        let before = self.guests.len();
        self.guests.retain(|&far, guest| {
            let frames = received(far);
            if frames != guest.received || is_home(far) {
                *guest = Guest { used: now, received: frames };
            }
            now - guest.used < 60 * SECOND
        });
        self.guests.len() < before
    }
}
