//! Situations that a fast path could get wrong: frames, in their order, and what becomes of them in a gateway that has
//! heard every host once.

mod bridging;
mod headers;
mod inner;
mod leaving;
mod outer;

use crate::places::Wire;

/// One situation.
pub(crate) struct Situation {
    pub(crate) name: &'static str,
    /// What becomes of its frames with the number 1: how many leave, and how many are dropped for which reason.
    pub(crate) fate: &'static str,
    /// Its frames; the number makes them differ from one time to the next.
    pub(crate) frames: fn(&Scene, u8) -> Vec<Wire>,
}

/// What situations have to know of the gateway.
pub(crate) struct Scene {
    /// Its own address in the tenant blue.
    pub(crate) own: [u8; 6],
}

const fn situation(name: &'static str, fate: &'static str, frames: fn(&Scene, u8) -> Vec<Wire>) -> Situation {
    Situation { name, fate, frames }
}

/// All of them.
pub(crate) fn all() -> Vec<&'static Situation> {
    [bridging::TABLE, headers::TABLE, inner::TABLE, leaving::TABLE, outer::TABLE].into_iter().flatten().collect()
}
