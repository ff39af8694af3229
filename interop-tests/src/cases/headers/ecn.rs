//! Congestion marks and DSCP, from a sender to whom they are for.

use super::packet::Packet;
use super::probe::Probe;
use super::{from_sites, to_sites};
use crate::cases::{Case, Cells, Scope};
use crate::outcome::{Verdict, must, passed};
use crate::testbed::{Encap, Family, Site, Stack, Testbed, Underlay};

pub(in crate::cases) const SENDER: Case = Case {
    name: "ecn-of-a-sender",
    says: "The ECN bits that a host sets reach the other host, and are copied to the tunnel's header.",
    standard: "RFC 6040 §4.1",
    scope: Scope::Sites(sender),
};

pub(in crate::cases) const UNDERLAY: Case = Case {
    name: "ecn-mark-of-the-underlay",
    says: "A packet that the underlay marked CE arrives marked, inside and on the next tunnel.",
    standard: "RFC 6040 §4.2",
    scope: Scope::Testbed(underlay),
};

pub(in crate::cases) const NOT_MARKABLE: Case = Case {
    name: "ecn-mark-on-not-ect",
    says: "A packet that the underlay marked CE and whose sender does not understand marks is dropped and counted.",
    standard: "RFC 6040 §4.2",
    scope: Scope::Testbed(not_markable),
};

pub(in crate::cases) const AROUND_CE: Case = Case {
    name: "deviation-ecn-around-ce",
    says: "Around a packet marked CE Linux and Open vSwitch write ECT(0), Linux's ip6gretap nothing; inside, CE stays and goes on.",
    standard: "RFC 6040 §4.1, RFC 3168 §9.1.1",
    scope: Scope::Testbed(around_ce),
};

pub(in crate::cases) const ECT_1_AT_OPEN_VSWITCH: Case = Case {
    name: "deviation-ecn-ect1-of-open-vswitch",
    says: "Open vSwitch does not bring ECT(1) of the tunnel inside, as Linux does.",
    standard: "RFC 6040 §4.2",
    scope: Scope::Testbed(ect_1_at_peers),
};

pub(in crate::cases) const DSCP: Case = Case {
    name: "dscp",
    says: "The tenant's DSCP arrives unchanged, and the tunnel has one of its own.",
    standard: "RFC 2983 §3",
    scope: Scope::Sites(dscp),
};

const CE: u8 = 3;
const ECT_0: u8 = 2;
const ECT_1: u8 = 1;
/// DSCP EF.
const EF: u8 = 46 << 2;

fn sender(testbed: &Testbed, from: &Site, to: &Site) -> Verdict {
    for marks in 0..=CE {
        let probe = Probe::ask(testbed, from, to, &format!("-Q {marks}"))?;
        let inside = probe.carried.echo.class;
        must(inside == marks, || format!("{marks:02b} goes on as {inside:02b}"))?;
        let outside = probe.carried.packet.as_ref().map_or(marks, Packet::class);
        must(outside == marks, || format!("{outside:02b} is around {marks:02b}"))?;
        // A host answers with the class that it read.
        let read = probe.answer.echo.class;
        must(read == marks, || format!("{marks:02b} is read as {read:02b}"))?;
    }
    passed()
}

/// Tunnels whose packets can be sent once more.
fn is_plain(site: &Site) -> bool {
    site.underlay != Underlay::Cable && site.encap != Encap::GreChecked
}

fn underlay(testbed: &mut Testbed, cells: &mut Cells) {
    from_sites(testbed, cells, is_plain, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, &format!("-Q {ECT_0}"))?;
        let mut packet = probe.packet()?;
        packet.mark();
        let again = probe.is_carried(&packet.bytes)?;
        must(again.echo.class == CE, || format!("it arrives as {:02b}", again.echo.class))?;
        let outside = again.packet.as_ref().map_or(CE, Packet::class);
        must(outside == CE, || format!("{outside:02b} is around it"))?;
        passed()
    });
}

fn not_markable(testbed: &mut Testbed, cells: &mut Cells) {
    from_sites(testbed, cells, is_plain, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, "-Q 0")?;
        let mut packet = probe.packet()?;
        packet.mark();
        probe.is_dropped(&packet.bytes, "ecn_dropped")?;
        passed()
    });
}

fn around_ce(testbed: &mut Testbed, cells: &mut Cells) {
    let meant = |site: &Site| site.underlay != Underlay::Cable;
    from_sites(testbed, cells, meant, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, &format!("-Q {CE}"))?;
        let (outside, inside) = (probe.packet()?.class(), probe.sent.echo.class);
        let is_ip6gretap = from.underlay == Underlay::V6 && from.family() != Family::Vxlan && from.stack != Stack::Ovs;
        let expected = if is_ip6gretap { 0 } else { ECT_0 };
        must((outside, inside) == (expected, CE), || format!("{outside:02b} is around {inside:02b}"))?;
        must(probe.carried.echo.class == CE, || format!("it goes on as {:02b}", probe.carried.echo.class))?;
        Ok("deviates".to_owned())
    });
}

fn ect_1_at_peers(testbed: &mut Testbed, cells: &mut Cells) {
    to_sites(testbed, cells, is_plain, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, &format!("-Q {ECT_0}"))?;
        let mut packet = probe.carried_packet()?;
        packet.set_ecn(ECT_1);
        let expected = if to.stack == Stack::Ovs { ECT_0 } else { ECT_1 };
        let read = probe.answer_class(&packet.bytes)?;
        must(read == Some(expected), || format!("ECT(0) in ECT(1) is read as {read:?}"))?;
        Ok(if to.stack == Stack::Ovs { "deviates" } else { "" }.to_owned())
    });
}

fn dscp(testbed: &Testbed, from: &Site, to: &Site) -> Verdict {
    let probe = Probe::ask(testbed, from, to, &format!("-Q {EF}"))?;
    for (what, class) in [("goes on", probe.carried.echo.class), ("is read", probe.answer.echo.class)] {
        must(class == EF, || format!("{EF:#04x} {what} as {class:#04x}"))?;
    }
    let outside = probe.carried.packet.as_ref().map_or(0, Packet::class);
    must(outside == 0, || format!("the tunnel's class is {outside:#04x}"))?;
    passed()
}
