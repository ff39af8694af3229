//! Tables. Of frames, one for each path and kind of traffic, with a row for each system.

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};

use super::{percent, thousands};
use crate::measure::Point;
use crate::results::{Cell, Results, Tcp};
use crate::scale::Growth;
use crate::stats;

const HEADER: [&str; 8] = [
    "",
    "no loss, k/s",
    "at overload, k/s",
    "lost then",
    "process, ns",
    "kernel RX, ns",
    "p50/p99 at 10 %, µs",
    "p50/p99 at 80 %, µs",
];
const MEMORY: &str = "memory, MB";

/// All of the lab, each under its name.
pub(super) fn frames(results: &Results) -> String {
    let mut text = String::new();
    let mut shown: Vec<(&str, _)> = Vec::new();
    for cell in &results.cells {
        if shown.contains(&(cell.path.as_str(), cell.case)) {
            continue;
        }
        shown.push((&cell.path, cell.case));
        let rows = results.cells.iter().filter(|other| other.path == cell.path && other.case == cell.case);
        text += &format!("**{}, {}**\n\n{}\n\n", cell.path, cell.case.name(), table(rows));
    }
    text
}

fn table<'a>(cells: impl Iterator<Item = &'a Cell>) -> Table {
    let header: Vec<_> = HEADER.into_iter().chain([MEMORY]).collect();
    let mut table = empty(&header);
    for cell in cells {
        table.add_row(row(cell));
    }
    table
}

/// With its first column to the left, the others to the right.
fn empty<T: ToString>(header: &[T]) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(header.iter().map(ToString::to_string));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Every stream: a row for each path and system, each figure with its share of the kernel's.
pub(super) fn tcp(results: &Results) -> String {
    if results.tcp.is_empty() {
        return String::new();
    }
    let mut table = empty(&["TCP, Gb/s", "", "with offloads", "of the kernel's", "without", "of the kernel's"]);
    for with in results.tcp.iter().filter(|stream| stream.offloads) {
        let without =
            results.tcp.iter().find(|other| !other.offloads && other.path == with.path && other.system == with.system);
        let row = [with.path.clone(), with.system.clone()];
        table.add_row(row.into_iter().chain([Some(with), without].into_iter().flat_map(|tcp| stream(results, tcp))));
    }
    format!("{table}\n\n{}", far_ends(results))
}

/// Its rate, and the share.
fn stream(results: &Results, tcp: Option<&Tcp>) -> [String; 2] {
    let Some(tcp) = tcp else { return Default::default() };
    let Some(rate) = stats::median(&tcp.runs) else {
        let note = tcp.note.as_deref().unwrap_or("–").lines().next().unwrap_or_default();
        return [note.to_owned(), String::new()];
    };
    let kernel = results.kernel_tcp_rate(&tcp.path, tcp.offloads);
    [format!("{:.2}", rate / 1e9), kernel.map_or_else(|| "–".to_owned(), |kernel| percent(rate / kernel))]
}

/// What the receiving hosts had as their ends of the tunnels, in a sentence.
fn far_ends(results: &Results) -> String {
    let mut ends: Vec<(&str, Vec<&str>)> = Vec::new();
    for (end, path) in results.tcp.iter().filter_map(|tcp| Some((tcp.far_end.as_deref()?, tcp.path.as_str()))) {
        match ends.iter_mut().find(|(other, _)| *other == end) {
            Some((_, paths)) if paths.contains(&path) => {}
            Some((_, paths)) => paths.push(path),
            None => ends.push((end, vec![path])),
        }
    }
    let all: Vec<_> = ends.into_iter().map(|(end, paths)| format!("{} by {end}", paths.join(", "))).collect();
    if all.is_empty() { String::new() } else { format!("TCP was received {}.\n", all.join("; ")) }
}

/// How costs grow: a table for each thing that does.
pub(super) fn growth(results: &Results) -> String {
    let one = |growth: &Growth| {
        let mut table = empty(&[std::slice::from_ref(&growth.size), &growth.costs[..]].concat());
        for (size, costs) in &growth.rows {
            let figures = costs.iter().map(|cost| figure(*cost));
            table.add_row([size.to_string()].into_iter().chain(figures));
        }
        format!("{table}\n\n")
    };
    results.growth.iter().map(one).collect()
}

/// Three digits or so.
pub(super) fn figure(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

/// The in-memory bench, as it was read.
pub(super) fn pipeline(results: &Results) -> String {
    if results.pipeline.is_empty() {
        return String::new();
    }
    let mut table = empty(&["in memory, ns a frame", "1 MAC", "1k", "100k", "1M"]);
    for row in &results.pipeline {
        table.add_row([row.name.clone()].into_iter().chain(row.figures.iter().map(|value| figure(*value))));
    }
    format!("{table}\n")
}

fn row(cell: &Cell) -> Vec<String> {
    let mut row = vec![cell.system.clone()];
    if cell.runs.is_empty() {
        row.push(cell.note.as_deref().unwrap_or("not measured").lines().next().unwrap_or_default().to_owned());
        return row;
    }
    let median = |figure: &dyn Fn(&Point) -> Option<f64>| cell.median(figure);
    let with_spread = |figure: fn(&Point) -> Option<f64>| {
        let text = cell.median(figure).map_or_else(String::new, thousands);
        let apart = cell.spread(figure).filter(|_| cell.runs.len() > 1);
        apart.map_or(text.clone(), |share| format!("{text} ± {}", percent(share)))
    };
    let whole = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.0}"));
    let latency = |figure: fn(&Point) -> Option<[f64; 2]>| {
        let of = |index: usize| whole(median(&|point| figure(point).map(|both| both[index])));
        format!("{} / {}", of(0), of(1))
    };
    row.push(with_spread(|point| Some(point.lossless)));
    row.push(with_spread(|point| Some(point.overload)));
    row.push(median(&|point| Some(point.loss)).map_or_else(String::new, percent));
    row.push(whole(median(&|point| Some(point.process)).filter(|time| *time > 0.0)));
    row.push(whole(median(&|point| Some(point.softirq))));
    row.push(latency(|point| point.idle));
    row.push(latency(|point| point.busy));
    let memory = cell.memory.iter().max().copied().filter(|bytes| *bytes > 0);
    row.push(memory.map_or_else(|| "–".to_owned(), |bytes| format!("{:.0}", bytes as f64 / 1e6)));
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::measure::Case;
    use crate::systems::{Io, System};

    fn cell(runs: Vec<Point>, note: Option<&str>) -> Cell {
        let case = Case { len: 64, flows: 1, macs: 1 };
        let (path, system, note) = ("A→B".into(), "somebody".into(), note.map(Into::into));
        Cell { path, case, system, runs, memory: vec![0], note }
    }

    fn point(lossless: f64) -> Point {
        Point {
            overload: 2.0 * lossless,
            offered: 4.0 * lossless,
            loss: 0.5,
            lossless,
            process: 1000.0,
            softirq: 300.4,
            idle: Some([12.0, 40.0]),
            busy: None,
        }
    }

    #[test]
    fn a_row_shows_medians_and_how_far_the_runs_lie_apart() {
        let row = row(&cell(vec![point(90_000.0), point(100_000.0), point(110_000.0)], None));
        assert_eq!(row[1..], ["100 ± 10 %", "200 ± 10 %", "50 %", "1000", "300", "12 / 40", "– / –", "–"]);
    }

    #[test]
    fn a_stream_stands_beside_the_kernels_of_its_path_or_else_of_vxlan() {
        let mut results = Results::new(Machine::here(), 0.0);
        let (ours, kernel) = (System::Transload(Io::AfPacket).name(), System::Kernel.name());
        for (path, system, rate) in [
            ("VXLAN→VXLAN", kernel, 8e9),
            ("VXLAN→GRE", kernel, 4e9),
            ("VXLAN→GRE", ours, 2e9),
            ("VXLAN→QinQ", ours, 2e9),
        ] {
            let stream = results.stream(path, system, true);
            stream.runs.push(rate);
            stream.far_end = Some(if path == "VXLAN→QinQ" { "BPF programs" } else { "a device" }.into());
        }
        let text = tcp(&results);
        let shares: Vec<_> = ["VXLAN→GRE", "VXLAN→QinQ"]
            .map(|path| text.lines().find(|line| line.contains(path) && line.contains(ours)).unwrap_or_default())
            .map(|line| line.split('|').nth(4).unwrap_or_default().trim().to_owned())
            .into();
        assert_eq!(shares, ["50 %", "25 %"]);
        assert!(text.ends_with("received VXLAN→VXLAN, VXLAN→GRE by a device; VXLAN→QinQ by BPF programs.\n"), "{text}");
    }

    #[test]
    fn what_was_not_measured_says_why() {
        let row = row(&cell(Vec::new(), Some("not available: built without AF_XDP\nand more")));
        assert_eq!(row, ["somebody", "not available: built without AF_XDP"]);
    }
}
