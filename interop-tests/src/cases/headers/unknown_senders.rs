//! Unknown senders: packets that no peer of the file, and no tag of a port, accounts for.

use super::from_sites;
use super::probe::Probe;
use crate::cases::{Case, Cells, Scope};
use crate::outcome::passed;
use crate::testbed::{Encap, Site, Testbed, Underlay};

pub(in crate::cases) const PEER: Case = Case {
    name: "unknown-peer",
    says: "The same packet from an address that no peer has is dropped and counted.",
    standard: "RFC 7348 §7",
    scope: Scope::Testbed(peer),
};

pub(in crate::cases) const TPID: Case = Case {
    name: "wrong-tpid",
    says: "The same frame under an outer TPID that the port does not take is dropped and counted.",
    standard: "IEEE 802.1Q clause 9",
    scope: Scope::Testbed(tpid),
};

fn peer(testbed: &mut Testbed, cells: &mut Cells) {
    let meant = |site: &Site| site.underlay != Underlay::Cable;
    from_sites(testbed, cells, meant, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, "")?;
        let mut packet = probe.packet()?;
        packet.turn_source(0x80);
        probe.is_dropped(&packet.bytes, "unknown_peer")?;
        passed()
    });
}

fn tpid(testbed: &mut Testbed, cells: &mut Cells) {
    let meant = |site: &Site| site.encap == Encap::QinQ;
    from_sites(testbed, cells, meant, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, "")?;
        let mut frame = probe.sent.frame.clone();
        frame[12..14].copy_from_slice(&[0x91, 0x00]);
        probe.is_dropped(&frame, "qinq_wrong_tpid")?;
        passed()
    });
}
