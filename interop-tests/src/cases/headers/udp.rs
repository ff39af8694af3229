//! VXLAN's UDP checksum.

use super::probe::Probe;
use super::reserved::answers_only_untouched;
use super::{from_sites, to_sites};
use crate::cases::{Case, Cells, Scope};
use crate::outcome::{must, passed};
use crate::testbed::{Family, Site, Stack, Testbed, Underlay};

pub(in crate::cases) const CHECKSUMS: Case = Case {
    name: "udp-checksums",
    says: "A UDP checksum of zero and a right one are taken over either IP version; a wrong one is dropped and counted.",
    standard: "RFC 7348 §5, RFC 6936 §4",
    scope: Scope::Testbed(checksums),
};

pub(in crate::cases) const ZERO_AT_LINUX: Case = Case {
    name: "deviation-udp-zero-checksum-of-linux",
    says: "Linux drops a zero checksum over IPv6 unless it is told otherwise: the gateway computes one.",
    standard: "RFC 7348 §5, RFC 6936 §4",
    scope: Scope::Testbed(zero_at_linux),
};

pub(in crate::cases) const ZERO_AT_OPEN_VSWITCH: Case = Case {
    name: "udp-zero-checksum-at-open-vswitch",
    says: "Open vSwitch takes a zero checksum, over IPv6 too.",
    standard: "RFC 7348 §5, RFC 6936 §4",
    scope: Scope::Testbed(zero_at_open_vswitch),
};

fn is_vxlan6(site: &Site) -> bool {
    site.family() == Family::Vxlan && site.underlay == Underlay::V6
}

fn checksums(testbed: &mut Testbed, cells: &mut Cells) {
    let meant = |site: &Site| site.family() == Family::Vxlan;
    from_sites(testbed, cells, meant, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, "")?;
        let mut packet = probe.packet()?;
        let of_the_peer = packet.udp_checksum();
        for sum in [Some(0), None] {
            packet.set_udp_checksum(sum);
            probe.is_carried(&packet.bytes)?;
        }
        packet.set_udp_checksum(Some(packet.udp_checksum() ^ 0x0101));
        probe.is_dropped(&packet.bytes, "udp_checksum")?;
        Ok(if of_the_peer == 0 { "the peer sends none" } else { "the peer sends one" }.to_owned())
    });
}

fn zero_at_linux(testbed: &mut Testbed, cells: &mut Cells) {
    let meant = |site: &Site| is_vxlan6(site) && site.stack != Stack::Ovs;
    to_sites(testbed, cells, meant, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, "")?;
        must(probe.carried_packet()?.udp_checksum() != 0, || "we sent zero".to_owned())?;
        answers_only_untouched(&probe, |packet| packet.set_udp_checksum(Some(0)))
    });
}

fn zero_at_open_vswitch(testbed: &mut Testbed, cells: &mut Cells) {
    let meant = |site: &Site| is_vxlan6(site) && site.stack == Stack::Ovs;
    to_sites(testbed, cells, meant, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, "")?;
        let mut packet = probe.carried_packet()?;
        packet.set_udp_checksum(Some(0));
        must(probe.is_answered(&packet.bytes)?, || "it is not answered".to_owned())?;
        passed()
    });
}
