//! NVGRE's `FlowID`.

use super::probe::Probe;
use super::reserved::answers_only_untouched;
use super::{from_sites, to_sites};
use crate::bench::{Bench, Encap, Family, Site};
use crate::cases::{Case, Cells, Scope};
use crate::outcome::must;

pub(in crate::cases) const ANY: Case = Case {
    name: "flow-id",
    says: "A FlowID never selects the segment, whichever it is.",
    standard: "RFC 7637 §3.2",
    scope: Scope::Bench(any),
};

pub(in crate::cases) const AT_LINUX: Case = Case {
    name: "deviation-flow-id-of-linux",
    says: "Linux's gretap with a key takes NVGRE with FlowID 0 alone: the gateway sends it that.",
    standard: "RFC 7637 §3.2",
    scope: Scope::Bench(at_linux),
};

pub(in crate::cases) const AT_OPEN_VSWITCH: Case = Case {
    name: "flow-id-at-open-vswitch",
    says: "Open vSwitch's key=flow takes every FlowID, and the gateway sends it one of the inner flow.",
    standard: "RFC 7637 §3.2",
    scope: Scope::Bench(at_open_vswitch),
};

/// Where the `FlowID` is in the header.
const AT: usize = 7;
const SOME: [u8; 4] = [0, 1, 0x7f, 0xff];

fn any(bench: &mut Bench, cells: &mut Cells) {
    let meant = |site: &Site| site.family() == Family::Nvgre;
    from_sites(bench, cells, meant, |bench, from, to| {
        let probe = Probe::ask(bench, from, to, "")?;
        for flow_id in SOME {
            let mut packet = probe.packet()?;
            packet.header()[AT] = flow_id;
            probe.is_carried(&packet.bytes)?;
        }
        Ok(String::new())
    });
}

fn at_linux(bench: &mut Bench, cells: &mut Cells) {
    let meant = |site: &Site| site.encap == Encap::NvgreZero;
    to_sites(bench, cells, meant, |bench, from, to| {
        let probe = Probe::ask(bench, from, to, "")?;
        let flow_id = probe.carried_packet()?.header()[AT];
        must(flow_id == 0, || format!("we sent FlowID {flow_id:#04x}"))?;
        answers_only_untouched(&probe, |packet| packet.header()[AT] = 1)
    });
}

fn at_open_vswitch(bench: &mut Bench, cells: &mut Cells) {
    let meant = |site: &Site| site.encap == Encap::Nvgre;
    to_sites(bench, cells, meant, |bench, from, to| {
        let probe = Probe::ask(bench, from, to, "")?;
        let own = probe.carried_packet()?.header()[AT];
        for flow_id in SOME {
            let mut packet = probe.carried_packet()?;
            packet.header()[AT] = flow_id;
            must(probe.is_answered(&packet.bytes)?, || format!("FlowID {flow_id:#04x} is not answered"))?;
        }
        Ok(format!("we sent FlowID {own:#04x}"))
    });
}
