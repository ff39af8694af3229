//! What the project aims at, and whether the figures reach it.

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;

use crate::path::Path;
use crate::results::Results;
use crate::systems::{Io, System};

use super::thousands;

/// VPP's VXLAN to VXLAN bridge in memory, nanoseconds a frame: 1 MAC, 1k, and 100k on both sides.
const VPP: [f64; 3] = [43.0, 46.0, 164.0];
const LEN: usize = 64;
const MEGABYTES: f64 = 50.0;

/// An aim, and what was measured.
#[derive(Clone)]
struct Aim {
    what: String,
    measured: String,
    /// Whether it is reached; unknown if something was not measured.
    reached: Option<bool>,
}

/// The aims as a table.
pub(super) fn text(results: &Results) -> String {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(["aim", "measured", ""]);
    let aims = [lab(results), idle(results), memory(results), tcp(results), growth(results)].concat();
    for Aim { what, measured, reached } in aims {
        let word = reached.map_or("not measured", |reached| if reached { "reached" } else { "MISSED" });
        table.add_row([what.as_str(), &measured, word]);
    }
    format!("{table}\n")
}

/// Frames a second of a system, VXLAN to VXLAN with short frames, the best of its kinds of traffic with few addresses.
fn carried(results: &Results, system: System) -> Option<f64> {
    let cells = results.cells.iter().filter(|cell| {
        cell.path == "VXLAN→VXLAN" && cell.case.len == LEN && cell.case.macs == 1 && cell.system == system.name()
    });
    cells.filter_map(|cell| cell.median(|point| Some(point.overload))).max_by(f64::total_cmp)
}

fn lab(results: &Results) -> Vec<Aim> {
    let [ours, ovs, kernel, bare] =
        [System::Transload(Io::AfXdp), System::OpenVswitch(Io::AfXdp), System::Kernel, System::Bare]
            .map(|system| carried(results, system));
    let told = |rate: Option<f64>| rate.map_or_else(|| "–".to_owned(), |rate| thousands(rate) + " k/s");
    let both = |other| format!("{} beside {}", told(ours), told(other));
    let compare = |other: Option<f64>, times: f64| ours.zip(other).map(|(ours, other)| ours >= times * other);
    vec![
        Aim {
            what: "VXLAN→VXLAN over AF_XDP, 64 B: above Open vSwitch over AF_XDP".into(),
            measured: both(ovs),
            reached: compare(ovs, 1.0),
        },
        Aim {
            what: "the same: twice the kernel's bridge".into(),
            measured: both(kernel),
            reached: compare(kernel, 2.0),
        },
        Aim {
            what: "the same: nine tenths of a bare forwarder".into(),
            measured: both(bare),
            reached: compare(bare, 0.9),
        },
    ]
}

fn idle(results: &Results) -> Vec<Aim> {
    let one = |(system, share, bytes): &(String, f64, u64)| {
        let megabytes = *bytes as f64 / 1e6;
        Aim {
            what: format!("{system}, idle: under 1 % of a processor and {MEGABYTES} MB"),
            measured: format!("{:.2} %, {megabytes:.1} MB", share * 100.0),
            reached: Some(*share < 0.01 && megabytes < MEGABYTES),
        }
    };
    results.idle.iter().map(one).collect()
}

fn memory(results: &Results) -> Vec<Aim> {
    let figure = |tenant: &str, kind: &str, at: usize| {
        let row = results.pipeline.iter().find(|row| row.name == format!("{tenant} {LEN}B {kind}"))?;
        row.figures.get(at).copied()
    };
    let limit = |what: String, ours: Option<f64>, most: Option<f64>| Aim {
        what,
        measured: match (ours, most) {
            (Some(ours), Some(most)) => format!("{ours:.1} ns, at most {most:.0}"),
            _ => "–".into(),
        },
        reached: ours.zip(most).map(|(ours, most)| ours <= most),
    };
    let mut aims = Vec::new();
    for tenant in ["vxlan-vxlan", "vxlan-nvgre"] {
        let [few, some, many] =
            [("to random", 0), ("to random", 1), ("from and to random", 2)].map(|(kind, at)| figure(tenant, kind, at));
        let most = figure(tenant, "to random", 3);
        aims.push(limit(format!("{tenant} in memory, 1 MAC: not above VPP"), few, Some(VPP[0])));
        aims.push(limit(format!("{tenant}, 1k MACs: not above VPP"), some, Some(VPP[1])));
        aims.push(limit(format!("{tenant}, 100k/100k MACs: half of VPP"), many, Some(VPP[2] / 2.0)));
        aims.push(limit(format!("{tenant}, 1M MACs: 1.5 times 1k"), most, some.map(|nanos| 1.5 * nanos)));
    }
    let workers = results.pipeline.iter().find(|row| row.name == "vxlan-vxlan two workers to one");
    let ratio = workers.and_then(|row| row.figures.first().copied());
    aims.push(Aim {
        what: "two workers in memory: 1.7 times one".into(),
        measured: ratio.map_or_else(|| "–".into(), |ratio| format!("{ratio:.2} times")),
        reached: ratio.map(|ratio| ratio >= 1.7),
    });
    aims
}

fn tcp(results: &Results) -> Vec<Aim> {
    let ours = |path: &str| results.tcp_rate(path, System::Transload(Io::AfPacket), true);
    let mut aims = Vec::new();
    for path in Path::ways_out().map(|path| path.name()) {
        let theirs = results.kernel_tcp_rate(&path, false);
        aims.push(beside(format!("TCP {path}: above the kernel without offloads"), ours(&path), theirs, 1.0));
    }
    let whole = "VXLAN→QinQ";
    let theirs = results.kernel_tcp_rate(whole, true);
    aims.push(beside(format!("TCP {whole}: 60 % of the kernel with offloads"), ours(whole), theirs, 0.6));
    aims
}

fn beside(what: String, ours: Option<f64>, theirs: Option<f64>, share: f64) -> Aim {
    let told = |rate: Option<f64>| rate.map_or_else(|| "–".to_owned(), |rate| format!("{:.2}", rate / 1e9));
    Aim {
        what,
        measured: format!("{} beside {} Gb/s", told(ours), told(theirs)),
        reached: ours.zip(theirs).map(|(ours, theirs)| ours >= share * theirs),
    }
}

fn growth(results: &Results) -> Vec<Aim> {
    let addresses = results.growth.iter().find(|growth| growth.size == "MACs");
    let bytes = addresses.and_then(|growth| {
        let column = growth.costs.iter().position(|cost| cost == "bytes each")?;
        growth.rows.iter().filter_map(|(_, costs)| costs.get(column).copied()).max_by(f64::total_cmp)
    });
    vec![Aim {
        what: "at most 48 bytes for an address in a full FDB".into(),
        measured: bytes.map_or_else(|| "–".into(), |bytes| format!("{bytes:.1}")),
        reached: bytes.map(|bytes| bytes <= 48.0),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::pipeline;

    #[test]
    fn an_aim_is_reached_missed_or_not_measured() {
        let mut results = Results::new(Machine::here(), 0.001);
        results.pipeline = pipeline::parse(
            "vxlan-vxlan 64B to random 40.0 50.0 90.0 70.0\nvxlan-vxlan 64B from and to random 40 50 82 100\n",
        );
        let text = text(&results);
        let line = |what: &str| text.lines().find(|line| line.contains(what)).unwrap_or_default().to_owned();
        assert!(line("vxlan-vxlan in memory, 1 MAC").contains("reached"));
        assert!(line("vxlan-vxlan, 1k").contains("MISSED"));
        assert!(line("vxlan-vxlan, 100k/100k").contains("reached"));
        assert!(line("vxlan-vxlan, 1M").contains("reached"));
        assert!(line("vxlan-nvgre, 1k").contains("not measured"));
        assert!(line("twice the kernel").contains("not measured"));
    }
}
