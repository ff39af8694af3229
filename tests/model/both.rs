//! The gateway of a case twice: one whose worker takes its fast paths, and one whose worker is watched and takes the full
//! path for every frame. The model is compared with the first, and the first with the second.

use proptest::prelude::*;
use transload::rib::Rib;

use crate::Verdict;
use crate::common::twin::Pace;
use crate::frames::Wire;
use crate::gateway::{Gateway, arena};
use crate::settings::Settings;
use crate::underlay::Underlay;

/// The memory of both.
pub(crate) fn arenas() -> [Vec<u8>; 2] {
    [arena(), arena()]
}

/// Both gateways.
pub(crate) struct Both<'mem> {
    fast: Gateway<'mem>,
    full: Gateway<'mem>,
}

impl<'mem> Both<'mem> {
    pub(crate) fn new(settings: &Settings, [one, other]: &'mem mut [Vec<u8>; 2]) -> Self {
        let config = settings.config();
        let (fast, full) = (Gateway::new(&config, Pace::Fast, one), Gateway::new(&config, Pace::Full, other));
        Self { fast, full }
    }

    /// What is known to both, once they are the [`same`](Self::same).
    pub(crate) const fn rib(&self) -> &Rib {
        self.fast.rib()
    }

    /// The same happens to both.
    pub(crate) fn each(&mut self, happen: impl Fn(&mut Gateway<'mem>)) {
        happen(&mut self.fast);
        happen(&mut self.full);
    }

    /// Frames arrive at both, as in [`Gateway::receive`]. Returns what leaves.
    pub(crate) fn receive(
        &mut self,
        frames: &[Wire],
        overtaken_by: Option<&Settings>,
        nanos: u64,
    ) -> Result<Vec<Wire>, TestCaseError> {
        let config = overtaken_by.map(Settings::config);
        let sent = self.fast.receive(frames, config.as_ref(), nanos);
        let of_full = self.full.receive(frames, config.as_ref(), nanos);
        prop_assert_eq!(&sent, &of_full, "what leaves on the fast path, and on the full one");
        Ok(sent)
    }

    /// Both take in another file, as in [`Gateway::take_in`].
    pub(crate) fn take_in(&mut self, settings: &Settings) {
        let config = settings.config();
        self.each(|gateway| gateway.take_in(&config));
    }

    pub(crate) fn answer(&mut self, underlay: &Underlay) {
        self.each(|gateway| gateway.answer(underlay));
    }

    /// Whether both are in the same state.
    pub(crate) fn same(&mut self) -> Verdict {
        let [fast, full] = [self.fast.outcome(), self.full.outcome()];
        let difference = fast.difference(&full, self.rib().names());
        prop_assert!(
            difference.is_none(),
            "the fast path and the full one differ:\n{}",
            difference.unwrap_or_default()
        );
        Ok(())
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.fast.is_whole() && self.full.is_whole()
    }

    pub(crate) fn drops(&self) -> std::collections::BTreeMap<&'static str, u64> {
        self.fast.drops()
    }
}
