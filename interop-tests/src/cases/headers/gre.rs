//! GRE's key, flags, checksum and sequence numbers.

use super::packet::Packet;
use super::probe::Probe;
use super::reserved::answers_only_untouched;
use super::{from_sites, to_sites};
use crate::cases::{Case, Cells, Scope};
use crate::outcome::{Stop, must, passed};
use crate::testbed::{Encap, Family, Site, Stack, Testbed};

pub(in crate::cases) const KEYS: Case = Case {
    name: "gre-keys",
    says: "A key that nobody claims, and none where there should be one, are dropped and counted.",
    standard: "RFC 2890 §2.1, RFC 7637 §3.2",
    scope: Scope::Testbed(keys),
};

pub(in crate::cases) const FLAGS: Case = Case {
    name: "gre-flags",
    says: "Source routing and another version are dropped and counted.",
    standard: "RFC 2784 §2.2, RFC 7637 §3.2",
    scope: Scope::Testbed(flags),
};

pub(in crate::cases) const CHECKSUM: Case = Case {
    name: "gre-checksum-error",
    says: "A wrong GRE checksum is dropped and counted, also where none is asked for; a right one is taken.",
    standard: "RFC 2784 §2.3",
    scope: Scope::Testbed(checksum),
};

pub(in crate::cases) const CHECKSUM_AT_LINUX: Case = Case {
    name: "deviation-gre-checksum-of-linux",
    says: "Linux drops a right GRE checksum on a tunnel without `csum`: the gateway sends one only where the file says so.",
    standard: "RFC 2784 §2.3",
    scope: Scope::Testbed(checksum_at_linux),
};

pub(in crate::cases) const ORDER: Case = Case {
    name: "gre-out-of-order",
    says: "A sequence number that was there already is dropped and counted.",
    standard: "RFC 2890 §2.2",
    scope: Scope::Testbed(order),
};

pub(in crate::cases) const ORDER_AT_LINUX: Case = Case {
    name: "gre-out-of-order-at-linux",
    says: "Linux drops a sequence number that was there already, and the gateway's go up.",
    standard: "RFC 2890 §2.2",
    scope: Scope::Testbed(order_at_linux),
};

pub(in crate::cases) const ORDER_AT_OPEN_VSWITCH: Case = Case {
    name: "deviation-gre-order-of-open-vswitch",
    says: "Open vSwitch does not look at sequence numbers: it takes old ones.",
    standard: "RFC 2890 §2.2",
    scope: Scope::Testbed(order_at_open_vswitch),
};

const CHECKSUM_BIT: u8 = 0x80;
const ROUTING_BIT: u8 = 0x40;
const KEY_BIT: u8 = 0x20;
const SEQUENCE_BIT: u8 = 0x10;

/// GRE whose packets can be sent once more.
fn is_plain(site: &Site) -> bool {
    matches!(site.encap, Encap::Gre | Encap::Nvgre | Encap::NvgreZero)
}

fn is_checked(site: &Site) -> bool {
    site.encap == Encap::GreChecked
}

fn keys(testbed: &mut Testbed, cells: &mut Cells) {
    from_sites(testbed, cells, is_plain, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, "")?;
        let mut wrong = probe.packet()?;
        wrong.header()[5] ^= 0x40;
        probe.is_dropped(&wrong.bytes, "unknown_segment")?;

        let mut missing = probe.packet()?;
        missing.header()[0] &= !KEY_BIT;
        missing.splice(4, 4, &[]);
        missing.finish();
        let reason = if from.family() == Family::Nvgre { "nvgre_bad_flags" } else { "unknown_segment" };
        probe.is_dropped(&missing.bytes, reason)?;
        passed()
    });
}

fn flags(testbed: &mut Testbed, cells: &mut Cells) {
    from_sites(testbed, cells, is_plain, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, "")?;
        let is_nvgre = from.family() == Family::Nvgre;
        for (at, bit, reason) in [(0, ROUTING_BIT, "gre_routing_bits"), (1, 1, "gre_version")] {
            let mut packet = probe.packet()?;
            packet.header()[at] |= bit;
            probe.is_dropped(&packet.bytes, if is_nvgre { "nvgre_bad_flags" } else { reason })?;
        }
        passed()
    });
}

fn checksum(testbed: &mut Testbed, cells: &mut Cells) {
    let meant = |site: &Site| site.encap == Encap::Gre || is_checked(site);
    from_sites(testbed, cells, meant, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, "")?;
        let mut packet = probe.packet()?;
        if !is_checked(from) {
            packet.header()[0] |= CHECKSUM_BIT;
            packet.splice(4, 0, &[0; 4]);
            packet.finish();
            probe.is_carried(&packet.bytes)?;
        }
        if let Some(last) = packet.bytes.last_mut() {
            *last ^= 1;
        }
        probe.is_dropped(&packet.bytes, "gre_checksum")?;
        passed()
    });
}

fn checksum_at_linux(testbed: &mut Testbed, cells: &mut Cells) {
    let meant = |site: &Site| is_plain(site) && site.stack != Stack::Ovs;
    to_sites(testbed, cells, meant, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, "")?;
        answers_only_untouched(&probe, |packet| {
            packet.header()[0] |= CHECKSUM_BIT;
            packet.splice(4, 0, &[0; 4]);
        })
    });
}

fn order(testbed: &mut Testbed, cells: &mut Cells) {
    from_sites(testbed, cells, is_checked, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, "")?;
        probe.is_dropped(&probe.packet()?.bytes, "gre_out_of_order")?;
        passed()
    });
}

fn order_at_linux(testbed: &mut Testbed, cells: &mut Cells) {
    to_sites(testbed, cells, is_checked, |testbed, from, to| {
        let first = Probe::ask(testbed, from, to, "")?;
        let second = Probe::ask(testbed, from, to, "")?;
        let numbers = [sequence(&mut first.carried_packet()?)?, sequence(&mut second.carried_packet()?)?];
        must(numbers[1] > numbers[0], || format!("we sent {numbers:?}"))?;
        let repeated = second.carried_packet()?;
        must(!second.is_answered(&repeated.bytes)?, || "it answers a number that was there already".to_owned())?;
        Ok(format!("we sent {numbers:?}"))
    });
}

/// The number of a packet with checksum, key and number.
fn sequence(packet: &mut Packet) -> Result<u32, Stop> {
    let number = packet.header().get(12..16).and_then(|bytes| bytes.first_chunk()).copied();
    number.map(u32::from_be_bytes).ok_or_else(|| Stop::Failed("the packet has no number".to_owned()))
}

fn order_at_open_vswitch(testbed: &mut Testbed, cells: &mut Cells) {
    let meant = |site: &Site| site.stack == Stack::Ovs && site.encap == Encap::Gre;
    to_sites(testbed, cells, meant, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, "")?;
        for number in [9_u32, 3] {
            let mut packet = probe.carried_packet()?;
            packet.header()[0] |= SEQUENCE_BIT;
            packet.splice(8, 0, &number.to_be_bytes());
            packet.finish();
            must(probe.is_answered(&packet.bytes)?, || format!("number {number} is not answered"))?;
        }
        Ok("deviates: takes 9, then 3".to_owned())
    });
}
