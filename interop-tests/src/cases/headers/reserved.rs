//! Reserved bits.

use super::probe::Probe;
use super::{from_sites, to_sites};
use crate::cases::{Case, Cells, Scope};
use crate::outcome::{Stop, Verdict, must};
use crate::testbed::{Encap, Family, Site, Stack, Testbed, Underlay};

pub(in crate::cases) const BITS: Case = Case {
    name: "reserved-bits",
    says: "Reserved bits and fields are ignored on receive, and counted.",
    standard: "RFC 7348 §5, RFC 7637 §3.2, RFC 2784 §2.2",
    scope: Scope::Testbed(bits),
};

pub(in crate::cases) const AT_PEERS: Case = Case {
    name: "deviation-vxlan-reserved-bits",
    says: "Linux and Open vSwitch drop VXLAN with a reserved bit set: the gateway never sets one.",
    standard: "RFC 7348 §5",
    scope: Scope::Testbed(at_peers),
};

pub(in crate::cases) const GRE_AT_LINUX: Case = Case {
    name: "deviation-gre-reserved-bits-of-linux",
    says: "Linux takes GRE with bit 5 set, and over IPv4 drops it with bit 12: the gateway sets neither.",
    standard: "RFC 2784 §2.2",
    scope: Scope::Testbed(gre_at_linux),
};

pub(in crate::cases) const GRE_AT_OPEN_VSWITCH: Case = Case {
    name: "deviation-gre-reserved-bits-of-open-vswitch",
    says: "Open vSwitch drops GRE with any reserved bit set: the gateway never sets one.",
    standard: "RFC 2784 §2.2",
    scope: Scope::Testbed(gre_at_open_vswitch),
};

/// Byte of the header, and bits of it.
const VXLAN: &[(usize, u8)] = &[(0, 0x80), (0, 0x02), (1, 0xff), (3, 0x01), (7, 0x01)];
/// Bits 6 to 12.
const GRE: &[(usize, u8)] = &[(0, 0x02), (0, 0x01), (1, 0x80), (1, 0x08)];

/// A repeated number would not get in where they are looked at.
fn can_be_repeated(site: &Site) -> bool {
    site.family() != Family::Tags && site.encap != Encap::GreChecked
}

fn bits(testbed: &mut Testbed, cells: &mut Cells) {
    from_sites(testbed, cells, can_be_repeated, |testbed, from, to| {
        let (reserved, reason) = match from.family() {
            Family::Vxlan => (VXLAN, "vxlan_reserved_bits"),
            Family::Nvgre => (GRE, "nvgre_reserved_bits"),
            _ => (GRE, "gre_reserved_bits"),
        };
        let probe = Probe::ask(testbed, from, to, "")?;
        let before = probe.count(reason, "tolerated")?;
        for &(at, bits) in reserved {
            let mut packet = probe.packet()?;
            packet.header()[at] |= bits;
            packet.finish();
            probe.is_carried(&packet.bytes)?;
        }
        let tolerated = probe.count(reason, "tolerated")? - before;
        must(tolerated == reserved.len() as u64, || format!("{tolerated} of {} are counted", reserved.len()))?;
        Ok(format!("{tolerated} headers"))
    });
}

fn at_peers(testbed: &mut Testbed, cells: &mut Cells) {
    let meant = |site: &Site| site.family() == Family::Vxlan;
    to_sites(testbed, cells, meant, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, "")?;
        let mut packet = probe.carried_packet()?;
        let header: Vec<_> = packet.header()[..8].to_vec();
        must(header[0] == 0x08 && header[1..4] == [0; 3] && header[7] == 0, || format!("we sent {header:02x?}"))?;
        answers_only_untouched(&probe, |packet| packet.header()[3] |= 1)
    });
}

fn gre_at_linux(testbed: &mut Testbed, cells: &mut Cells) {
    let meant = |site: &Site| is_gre(site) && site.stack != Stack::Ovs;
    to_sites(testbed, cells, meant, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, "")?;
        sends_none(&probe)?;
        for (at, bit, is_taken) in [(0, 0x04, true), (1, 0x08, to.underlay == Underlay::V6)] {
            let mut packet = probe.carried_packet()?;
            packet.header()[at] |= bit;
            let taken = probe.is_answered(&packet.bytes)?;
            must(taken == is_taken, || format!("{bit:#04x} of byte {at} is taken: {taken}"))?;
        }
        Ok("deviates".to_owned())
    });
}

fn gre_at_open_vswitch(testbed: &mut Testbed, cells: &mut Cells) {
    let meant = |site: &Site| is_gre(site) && site.stack == Stack::Ovs;
    to_sites(testbed, cells, meant, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, "")?;
        sends_none(&probe)?;
        for &(at, bit) in GRE {
            answers_only_untouched(&probe, |packet| packet.header()[at] |= bit)?;
        }
        Ok("deviates".to_owned())
    });
}

fn is_gre(site: &Site) -> bool {
    can_be_repeated(site) && site.family() != Family::Vxlan
}

fn sends_none(probe: &Probe<'_>) -> Result<(), Stop> {
    let mut packet = probe.carried_packet()?;
    let flags: Vec<_> = packet.header()[..2].to_vec();
    must(flags == [0x20, 0], || format!("we sent flags {flags:02x?}"))
}

/// The request is answered as it is, but not when this was done to it.
pub(super) fn answers_only_untouched(probe: &Probe<'_>, touch: impl Fn(&mut super::packet::Packet)) -> Verdict {
    let packet = probe.carried_packet()?;
    must(probe.is_answered(&packet.bytes)?, || "the same request again is not answered".to_owned())?;
    let mut touched = packet;
    touch(&mut touched);
    touched.finish();
    must(!probe.is_answered(&touched.bytes)?, || "the peer answers, and deviates no more".to_owned())?;
    Ok("deviates".to_owned())
}
