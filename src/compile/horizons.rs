//! Split horizons: which attachments of a tenant never feed each other.

use std::collections::HashMap;

use super::findings::Findings;
use crate::config::{Attachment, Span};

/// The split horizons of a tenant, numbered from 0.
#[derive(Default)]
pub(super) struct Horizons<'c> {
    next: u16,
    /// By name: the number, where it was first used, and how often.
    named: HashMap<&'c str, (u16, Span, usize)>,
}

impl<'c> Horizons<'c> {
    /// The horizon of one more attachment: that of its name, or one of its own.
    pub(super) fn number<V>(&mut self, config: &'c Attachment<V>) -> u16 {
        let fresh = self.next;
        let stated = config.split_horizon.as_ref().and_then(|at| Some((at.get()?.as_str(), at.span)));
        let number = match stated {
            None => fresh,
            Some((name, span)) => {
                let (number, _, uses) = self.named.entry(name).or_insert((fresh, span, 0));
                *uses += 1;
                *number
            }
        };
        if number == fresh {
            self.next = fresh.saturating_add(1);
        }
        number
    }

    /// Number of horizons so far.
    pub(super) const fn count(&self) -> u16 {
        self.next
    }

    /// Warns about named horizons with one attachment.
    pub(super) fn warn_of_lone_horizons(&self, findings: &mut Findings) {
        for (name, (_, span, uses)) in &self.named {
            if *uses == 1 {
                let message = format!("split horizon `{name}` has only this attachment, so it does nothing");
                findings.warning(*span, message, "give the attachments that must not feed each other the same name");
            }
        }
    }
}
