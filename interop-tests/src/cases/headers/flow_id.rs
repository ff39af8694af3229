//! NVGRE's `FlowID`.

use super::probe::Probe;
use super::reserved::answers_only_untouched;
use super::{from_sites, to_sites};
use crate::cases::{Case, Cells, Scope};
use crate::outcome::must;
use crate::testbed::{Encap, Family, Site, Testbed};

pub(in crate::cases) const ANY: Case = Case {
    name: "flow-id",
    says: "A FlowID never selects the segment, whichever it is.",
    standard: "RFC 7637 §3.2",
    scope: Scope::Testbed(any),
};

pub(in crate::cases) const AT_LINUX: Case = Case {
    name: "deviation-flow-id-of-linux",
    says: "Linux's gretap with a key takes NVGRE with FlowID 0 alone: the gateway sends it that.",
    standard: "RFC 7637 §3.2",
    scope: Scope::Testbed(at_linux),
};

pub(in crate::cases) const AT_OPEN_VSWITCH: Case = Case {
    name: "flow-id-at-open-vswitch",
    says: "Open vSwitch's key=flow takes every FlowID, and the gateway sends it one of the inner flow.",
    standard: "RFC 7637 §3.2",
    scope: Scope::Testbed(at_open_vswitch),
};

/// Where the `FlowID` is in the header.
const AT: usize = 7;
const SOME: [u8; 4] = [0, 1, 0x7f, 0xff];

fn any(testbed: &mut Testbed, cells: &mut Cells) {
    let meant = |site: &Site| site.family() == Family::Nvgre;
    from_sites(testbed, cells, meant, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, "")?;
        for flow_id in SOME {
            let mut packet = probe.packet()?;
            packet.header()[AT] = flow_id;
            probe.is_carried(&packet.bytes)?;
        }
        Ok(String::new())
    });
}

fn at_linux(testbed: &mut Testbed, cells: &mut Cells) {
    let meant = |site: &Site| site.encap == Encap::NvgreZero;
    to_sites(testbed, cells, meant, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, "")?;
        let flow_id = probe.carried_packet()?.header()[AT];
        must(flow_id == 0, || format!("we sent FlowID {flow_id:#04x}"))?;
        answers_only_untouched(&probe, |packet| packet.header()[AT] = 1)
    });
}

fn at_open_vswitch(testbed: &mut Testbed, cells: &mut Cells) {
    let meant = |site: &Site| site.encap == Encap::Nvgre;
    to_sites(testbed, cells, meant, |testbed, from, to| {
        let probe = Probe::ask(testbed, from, to, "")?;
        let own = probe.carried_packet()?.header()[AT];
        for flow_id in SOME {
            let mut packet = probe.carried_packet()?;
            packet.header()[AT] = flow_id;
            must(probe.is_answered(&packet.bytes)?, || format!("FlowID {flow_id:#04x} is not answered"))?;
        }
        Ok(format!("we sent FlowID {own:#04x}"))
    });
}
