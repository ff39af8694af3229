//! What headers may say: packets of real peers, sent once more with something turned over in them.
//!
//! A [`Probe`](probe::Probe) is a ping that was answered and everything of it that was on the cables. The same
//! request is then sent again, towards the gateway as if the peer had, or towards the peer as if the gateway had.

pub(super) mod ecn;
pub(super) mod flow_id;
pub(super) mod gre;
mod packet;
mod probe;
pub(super) mod reserved;
pub(super) mod udp;
pub(super) mod unknown_senders;

use super::Cells;
use crate::outcome::Verdict;
use crate::runner::partner;
use crate::testbed::{Site, Testbed};

/// Tries something from every site that is meant, towards its partner.
fn from_sites(
    testbed: &Testbed,
    cells: &mut Cells,
    meant: impl Fn(&Site) -> bool,
    work: impl Fn(&Testbed, &Site, &Site) -> Verdict,
) {
    for (site, other) in pairs(testbed, meant) {
        cells.between(site, other, work(testbed, site, other));
    }
}

/// Tries something at every site that is meant, with requests from its partner.
fn to_sites(
    testbed: &Testbed,
    cells: &mut Cells,
    meant: impl Fn(&Site) -> bool,
    work: impl Fn(&Testbed, &Site, &Site) -> Verdict,
) {
    for (site, other) in pairs(testbed, meant) {
        cells.between(other, site, work(testbed, other, site));
    }
}

fn pairs(testbed: &Testbed, meant: impl Fn(&Site) -> bool) -> Vec<(&Site, &Site)> {
    let sites = testbed.sites().iter().filter(|site| meant(site));
    sites.filter_map(|site| Some((site, partner(testbed, site)?))).collect()
}
