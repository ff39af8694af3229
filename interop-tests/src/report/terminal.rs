//! The matrix in the terminal: behaviours down, sites across, and for each the implementations that prove it.

use std::fmt::Write;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};

use super::{CaseReport, Mark, Report, SiteReport};
use crate::outcome::Outcome;

/// The matrix and what failed, as text.
#[must_use]
pub fn matrix(report: &Report) -> String {
    let mut text = String::new();
    for stack in &report.stacks {
        let sites: Vec<_> = report.sites.iter().filter(|site| site.stack == stack.name).collect();
        let _ = writeln!(text, "{:<8} {}", stack.name, stack.version);
        let names: Vec<_> = sites.iter().map(|site| short(site)).collect();
        let _ = writeln!(text, "{:<8} {}", "", names.join(" "));
    }
    let _ = writeln!(text, "\n{}", table(report));
    for case in &report.cases {
        complaints(&mut text, case);
    }
    for absent in &report.absent {
        let _ = writeln!(text, "not here: {} ({})", absent.name, absent.why);
    }
    let totals = report.totals;
    let _ = writeln!(
        text,
        "{} passed, {} failed, {} not run, in {:.0} s",
        totals.passed, totals.failed, totals.not_run, report.seconds
    );
    text
}

/// A site's name without its stack's.
fn short(site: &SiteReport) -> &str {
    site.name.strip_prefix(site.stack).map_or(&*site.name, |rest| rest.trim_start_matches('-'))
}

/// One column a stack: a letter for each of its sites would be too much for a terminal, so it is counted.
fn table(report: &Report) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY);
    let stacks = report.stacks.iter().map(|stack| stack.name.to_owned());
    let header = std::iter::once("behaviour".to_owned()).chain(stacks);
    table.set_header(header.chain(["elsewhere".to_owned(), "proved against".to_owned()]));
    for case in &report.cases {
        let mut row = vec![case.name.to_owned()];
        for stack in &report.stacks {
            let sites = report.sites.iter().filter(|site| site.stack == stack.name);
            row.push(tally(sites.filter_map(|site| case.by_site.get(&site.name).copied())));
        }
        let elsewhere = case.cells.iter().filter(|cell| !case.by_site.contains_key(&cell.at));
        row.push(tally(elsewhere.map(|cell| Mark::from(&cell.outcome))));
        row.push(if case.proved_against.is_empty() { "–".to_owned() } else { case.proved_against.join(", ") });
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    table
}

fn tally(marks: impl Iterator<Item = Mark>) -> String {
    let marks: Vec<_> = marks.collect();
    let count = |mark| marks.iter().filter(|&&own| own == mark).count();
    let parts = [("✓", count(Mark::Passed)), ("✗", count(Mark::Failed)), ("○", count(Mark::NotRun))];
    let parts: Vec<_> =
        parts.iter().filter(|(_, count)| *count > 0).map(|(sign, count)| format!("{count}{sign}")).collect();
    parts.join(" ")
}

fn complaints(text: &mut String, case: &CaseReport) {
    for cell in &case.cells {
        let at = cell.to.as_ref().map_or_else(|| cell.at.clone(), |to| format!("{} to {to}", cell.at));
        let (word, why) = match &cell.outcome {
            Outcome::Passed(_) => continue,
            Outcome::Failed(why) => ("FAILED", why),
            Outcome::NotRun(why) => ("not run", why),
        };
        let _ = writeln!(text, "{word}: {} at {at}: {}", case.name, why.trim().replace('\n', "\n    "));
    }
}
