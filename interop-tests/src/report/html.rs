//! The report as a page: one file, nothing fetched.

use std::fmt::Write;

use super::frames::WireFrame;
use super::{CaseReport, CellReport, Mark, Report, SiteReport, Totals};
use crate::outcome::Outcome;
use crate::testbed::Family;

const STYLE: &str = include_str!("page.css");

/// The page.
#[must_use]
pub fn page(report: &Report) -> String {
    let mut page = String::new();
    let _ = write!(
        page,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>transload interop matrix</title><style>{STYLE}</style><main>"
    );
    head(&mut page, report);
    proved(&mut page, report);
    matrix(&mut page, report);
    any_to_any(&mut page, report);
    page.push_str("<h2>Case by case</h2>");
    for case in &report.cases {
        of_case(&mut page, report, case);
    }
    page.push_str("</main></html>\n");
    page
}

/// Text, as it may stand in a page.
fn text(raw: &str) -> String {
    raw.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn class(mark: Mark) -> &'static str {
    match mark {
        Mark::Passed => "passed",
        Mark::Failed => "failed",
        Mark::NotRun => "not_run",
    }
}

fn sign(mark: Mark) -> &'static str {
    match mark {
        Mark::Passed => "✓",
        Mark::Failed => "✗",
        Mark::NotRun => "○",
    }
}

fn head(page: &mut String, report: &Report) {
    let Totals { passed, failed, not_run } = report.totals;
    let _ = write!(
        page,
        "<h1>Interop matrix</h1><p class=soft>transload {} against real kernels and switches, {} UTC, in {:.0} s</p>\
         <div class=tiles><div class='tile passed'><b>{passed}</b>passed</div><div class='tile failed'><b>{failed}</b>\
         failed</div><div class='tile not_run'><b>{not_run}</b>not run</div></div>",
        text(&report.transload),
        utc(report.started),
        report.seconds
    );
    page.push_str("<h2>Peers</h2><table><tr><th>peer<th>what it is<th>tunnels to it</tr>");
    for stack in &report.stacks {
        let sites = report.sites.iter().filter(|site| site.stack == stack.name);
        let names: Vec<_> = sites.map(short).collect();
        let _ = write!(page, "<tr><td>{}<td>{}<td>{}</tr>", stack.name, text(&stack.version), text(&names.join(", ")));
    }
    page.push_str("</table>");
    if !report.absent.is_empty() {
        let absent = report.absent.iter().map(|absent| format!("{} ({})", text(&absent.name), text(&absent.why)));
        let _ = write!(page, "<p class=soft>Not here: {}.</p>", absent.collect::<Vec<_>>().join("; "));
    }
}

fn proved(page: &mut String, report: &Report) {
    page.push_str(
        "<h2>What is proved, and against whom</h2><p>Independent implementations count first: two versions of one are \
         one, and transload at the far end is none.</p><table><tr><th>behaviour<th>promise<th>proved against</tr>",
    );
    for case in &report.cases {
        let badges = case.proved_against.iter().map(|name| format!("<span class=badge>{}</span>", text(name)));
        let badges = badges.collect::<Vec<_>>().join(" ");
        let count = case.proved_against.len();
        let says = text(case.says);
        let _ =
            write!(page, "<tr><td><a href='#{0}'>{0}</a><td>{says}<td><b>{count}</b> {badges}</tr>", text(case.name));
    }
    page.push_str("</table>");
}

/// A site's name without its stack's.
fn short(site: &SiteReport) -> &str {
    site.name.strip_prefix(site.stack).map_or(&*site.name, |rest| rest.trim_start_matches('-'))
}

fn matrix(page: &mut String, report: &Report) {
    page.push_str(
        "<h2>The matrix</h2><p class=soft>✓ all that was tried holds &nbsp; ✗ something does not &nbsp; ○ not run \
         &nbsp; · does not concern it</p><div class=card><table class=matrix><tr><th>",
    );
    let is_first = |at: usize| at == 0 || report.sites[at].stack != report.sites[at - 1].stack;
    for (at, site) in report.sites.iter().enumerate() {
        let first = if is_first(at) { " first" } else { "" };
        let _ = write!(page, "<th class='site{first}'><span>{}</span>", text(&site.name));
    }
    page.push_str("<th class='site first'><span>elsewhere</span></tr>");
    for case in &report.cases {
        let _ = write!(page, "<tr><td><a href='#{0}'>{0}</a>", text(case.name));
        for (at, site) in report.sites.iter().enumerate() {
            mark(page, case.by_site.get(&site.name).copied(), is_first(at));
        }
        let elsewhere = case.cells.iter().filter(|cell| !case.by_site.contains_key(&cell.at));
        mark(page, elsewhere.map(|cell| Mark::from(&cell.outcome)).max(), true);
        page.push_str("</tr>");
    }
    page.push_str("</table></div>");
}

fn mark(page: &mut String, mark: Option<Mark>, is_first: bool) {
    let first = if is_first { " first" } else { "" };
    let _ = match mark {
        Some(mark) => write!(page, "<td class='mark {}{first}'>{}", class(mark), sign(mark)),
        None => write!(page, "<td class='mark nothing{first}'>·"),
    };
}

fn any_to_any(page: &mut String, report: &Report) {
    page.push_str(
        "<h2>Any to any</h2><p>From the encapsulation on the left to the one above: cells that passed, of those \
                   tried.</p><table><tr><th>",
    );
    for to in Family::ALL {
        let _ = write!(page, "<th>{to}");
    }
    for from in Family::ALL {
        let _ = write!(page, "<tr><th>{from}");
        for to in Family::ALL {
            let found = report.any_to_any.iter().find(|way| way.from == from.to_string() && way.to == to.to_string());
            let _ = match found.map(|way| way.totals) {
                Some(Totals { passed, failed, not_run }) => {
                    let class = if failed > 0 {
                        "failed"
                    } else if passed > 0 {
                        "passed"
                    } else {
                        "not_run"
                    };
                    write!(page, "<td class={class}>{passed} of {}", passed + failed + not_run)
                }
                None => write!(page, "<td class=nothing>·"),
            };
        }
        page.push_str("</tr>");
    }
    page.push_str("</table>");
}

fn of_case(page: &mut String, report: &Report, case: &CaseReport) {
    let worst = case.cells.iter().map(|cell| Mark::from(&cell.outcome)).max().unwrap_or(Mark::NotRun);
    let open = if worst == Mark::Failed { " open" } else { "" };
    let passed = case.cells.iter().filter(|cell| matches!(cell.outcome, Outcome::Passed(_))).count();
    let _ = write!(
        page,
        "<div class=card id='{}'><details{open}><summary><span class={}>{}</span> <b>{}</b> \
         <span class=soft>{passed} of {} passed, {:.1} s</span></summary><p>{}</p><p class=soft>{}</p>",
        text(case.name),
        class(worst),
        sign(worst),
        text(case.name),
        case.cells.len(),
        case.seconds,
        text(case.says),
        text(case.standard)
    );
    // As many cells as a grid has are a grid.
    if case.cells.len() > 3 * report.sites.len() {
        grid(page, report, case);
        table(page, case.cells.iter().filter(|cell| !matches!(cell.outcome, Outcome::Passed(_))));
    } else {
        table(page, case.cells.iter());
    }
    if !case.frames.is_empty() {
        let _ = write!(page, "<details><summary>On the wire: {} frames</summary>", case.frames.len());
        for frame in &case.frames {
            wire(page, frame);
        }
        page.push_str("</details>");
    }
    page.push_str("</details></div>");
}

fn grid(page: &mut String, report: &Report, case: &CaseReport) {
    page.push_str("<table class=matrix><tr><th class=soft>from, to");
    for site in &report.sites {
        let _ = write!(page, "<th class=site><span>{}</span>", text(&site.name));
    }
    page.push_str("</tr>");
    for from in &report.sites {
        let _ = write!(page, "<tr><td>{}", text(&from.name));
        for to in &report.sites {
            let is_here = |cell: &&CellReport| cell.at == from.name && cell.to.as_ref() == Some(&to.name);
            mark(page, case.cells.iter().filter(is_here).map(|cell| Mark::from(&cell.outcome)).max(), false);
        }
        page.push_str("</tr>");
    }
    page.push_str("</table>");
}

fn table<'r>(page: &mut String, cells: impl Iterator<Item = &'r CellReport>) {
    let mut cells = cells.peekable();
    if cells.peek().is_none() {
        return;
    }
    page.push_str("<table><tr><th>where<th>outcome<th></tr>");
    for cell in cells {
        let mark = Mark::from(&cell.outcome);
        let (Outcome::Passed(words) | Outcome::Failed(words) | Outcome::NotRun(words)) = &cell.outcome;
        let at = cell.to.as_ref().map_or_else(|| cell.at.clone(), |to| format!("{} → {to}", cell.at));
        let word = class(mark).replace('_', " ");
        let _ = write!(
            page,
            "<tr><td>{}<td class={}>{word}<td class='why soft'>{}</tr>",
            text(&at),
            class(mark),
            text(words.trim())
        );
    }
    page.push_str("</table>");
}

fn wire(page: &mut String, frame: &WireFrame) {
    let _ = write!(
        page,
        "<div class=frame><b>{}</b> <span class=soft>{}, {} µs after it began, {} bytes</span><br>",
        text(&frame.site),
        text(&frame.cell),
        frame.micros,
        frame.len
    );
    for layer in &frame.decoded.layers {
        let fields: Vec<_> = layer.fields.iter().map(|(name, value)| format!("{name} {}", text(value))).collect();
        let is_tunnel = ["VXLAN", "GRE", "NVGRE", "VLAN tag"].contains(&layer.name);
        let tunnel = if is_tunnel { " tunnel" } else { "" };
        let _ = write!(page, "<div class='layer mono{tunnel}'><b>{}</b>{}</div>", layer.name, fields.join("<br>"));
    }
    if let Some(line) = &frame.tshark {
        let _ = write!(page, "<div class=mono>tshark: {}</div>", text(line));
    }
    let _ = write!(page, "<div class='hex mono'>{}</div></div>", frame.hex);
}

/// A moment in seconds since 1970, as people write it.
fn utc(seconds: u64) -> String {
    // Days since 0000-03-01, so that a leap day ends a year (H. Hinnant, days_from_civil).
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60)
}
