//! Copies: what becomes of a frame that leaves several times, flooded to many or cut into segments.
//!
//! The frame is sent if one of them is, and dropped if none is, once, for the reason of the last. All beyond that one are
//! counted apart, so that at any time
//!
//! ```text
//! frames received               = frames sent at least once + frames dropped
//! frames received + copies made = frames handed to ports + frames dropped + copies dropped
//! ```
//!
//! Fragments that were put together are one frame; the others of each packet are counted as tolerated.

use transload_encaps::DropReason;

use super::path::IngressSide;
use crate::counters::Counters;
use crate::forwarding::Claim;

/// The copies or segments of one frame so far.
pub(super) struct Copies {
    count: u64,
    sent: bool,
    /// Why the last of those that did not leave did not.
    failed: Option<DropReason>,
}

impl Copies {
    /// None yet.
    pub(super) const NONE: Self = Self { count: 0, sent: false, failed: None };

    /// Whether there are none so far.
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// One more, and whether it left.
    pub(super) fn add(&mut self, gone: Result<(), DropReason>, side: &IngressSide<'_>, counters: &Counters) {
        self.count += 1;
        match gone {
            Ok(()) => self.sent = true,
            Err(reason) => {
                if let Some(before) = self.failed.replace(reason) {
                    counters.dropped_copy(before, side.ingress());
                }
            }
        }
    }

    /// What that is for the frame; none without any copy.
    pub(super) fn together(self, side: &IngressSide<'_>, counters: &Counters) -> Option<Result<(), DropReason>> {
        side.count_copies(self.count.checked_sub(1)?, counters);
        Some(self.outcome(side.ingress(), counters))
    }

    /// The same for a frame whose tenant may be gone.
    pub(super) fn together_of(self, ingress: Claim, counters: &Counters) -> Option<Result<(), DropReason>> {
        let more = self.count.checked_sub(1)?;
        if let Some(domain) = counters.domain(ingress.domain) {
            domain.copies.add(more);
        }
        Some(self.outcome(Some(ingress), counters))
    }

    fn outcome(self, ingress: Option<Claim>, counters: &Counters) -> Result<(), DropReason> {
        match self.failed {
            Some(reason) if !self.sent => return Err(reason),
            Some(reason) => counters.dropped_copy(reason, ingress),
            None => {}
        }
        Ok(())
    }
}
