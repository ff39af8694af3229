//! Tables: for each path and kind of traffic one, with a row for each system. They are Markdown, which a terminal
//! shows as well.

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};

use super::{percent, thousands};
use crate::measure::Point;
use crate::results::{Cell, Results};

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

/// All of them, each under its name.
#[must_use]
pub fn tables(results: &Results) -> String {
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
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(HEADER.into_iter().chain([MEMORY]));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for cell in cells {
        table.add_row(row(cell));
    }
    table
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
    use crate::measure::Case;

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
    fn what_was_not_measured_says_why() {
        let row = row(&cell(Vec::new(), Some("not available: built without AF_XDP\nand more")));
        assert_eq!(row, ["somebody", "not available: built without AF_XDP"]);
    }
}
