//! What came out: one value, shown in the terminal, as JSON, as `JUnit` XML and as a page.

mod frames;
mod html;
mod junit;
mod terminal;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::cases::Place;
use crate::outcome::Outcome;
use crate::runner::CaseRun;
use crate::testbed::{Absent, Site, Stack};

pub use frames::{WireFrame, collect};
pub use html::page;
pub use junit::junit;
pub use terminal::matrix;

/// Everything that came out of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The version of this gateway.
    pub transload: String,
    /// Seconds since 1970.
    pub started: u64,
    /// How long all of it took.
    pub seconds: f64,
    /// The peers that were there.
    pub stacks: Vec<StackReport>,
    /// The tunnels to them.
    pub sites: Vec<SiteReport>,
    /// What was not there.
    pub absent: Vec<AbsentReport>,
    /// The cases, in order.
    pub cases: Vec<CaseReport>,
    /// The 4 × 4 table.
    pub any_to_any: Vec<EncapPair>,
    /// How many cells ended how.
    pub totals: Totals,
}

/// Everything that was tried from one encapsulation to another.
#[derive(Debug, Serialize)]
pub struct EncapPair {
    /// The encapsulation that frames came in by.
    pub from: String,
    /// The encapsulation that they left by.
    pub to: String,
    /// How its cells ended.
    pub totals: Totals,
}

/// A peer stack.
#[derive(Debug, Serialize)]
pub struct StackReport {
    /// The word for it.
    pub name: &'static str,
    /// Its version.
    pub version: String,
    /// The implementation it counts as: two versions of one count once.
    pub implementation: &'static str,
}

/// A tunnel to one.
#[derive(Debug, Serialize)]
pub struct SiteReport {
    /// Its name.
    pub name: String,
    /// The peer stack that it runs.
    pub stack: &'static str,
    /// Its encapsulation.
    pub family: String,
    /// Our tunnel address and the peer's.
    pub addresses: (String, String),
}

/// A site that was not there.
#[derive(Debug, Serialize)]
pub struct AbsentReport {
    /// Its name.
    pub name: String,
    /// Why it is absent, in words.
    pub why: String,
}

/// A case.
#[derive(Debug, Serialize)]
pub struct CaseReport {
    /// Its name.
    pub name: &'static str,
    /// The behaviour that it promises.
    pub says: &'static str,
    /// The standard and section that ask for it.
    pub standard: &'static str,
    /// How long it took.
    pub seconds: f64,
    /// The implementations that it is proved against: those with a pass and no failure.
    pub proved_against: Vec<&'static str>,
    /// How it went at each site, all its cells taken together.
    pub by_site: BTreeMap<String, Mark>,
    /// Everything that was tried.
    pub cells: Vec<CellReport>,
    /// Some of what was on the cables meanwhile.
    pub frames: Vec<WireFrame>,
}

/// A case in one place.
#[derive(Debug, Serialize)]
pub struct CellReport {
    /// The site, or words.
    pub at: String,
    /// The site at the other end, if any.
    pub to: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

/// A result without words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Nothing could be tried.
    NotRun,
    /// All that was tried holds.
    Passed,
    /// At least one cell failed.
    Failed,
}

impl From<&Outcome> for Mark {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Passed(_) => Self::Passed,
            Outcome::Failed(_) => Self::Failed,
            Outcome::NotRun(_) => Self::NotRun,
        }
    }
}

/// How many cells ended how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Number of cells that passed.
    pub passed: usize,
    /// Number of cells that failed.
    pub failed: usize,
    /// Could not be tried.
    pub not_run: usize,
}

impl Report {
    /// The report of these runs.
    #[must_use]
    pub fn new(
        sites: &[Site],
        absent: &[Absent],
        runs: &[CaseRun],
        mut frames: BTreeMap<&str, Vec<WireFrame>>,
        (started, seconds): (u64, f64),
    ) -> Self {
        let stacks: BTreeSet<_> = sites.iter().map(|site| site.stack).collect();
        let mut totals = Totals::default();
        for cell in runs.iter().flat_map(|run| &run.cells) {
            totals.count(&cell.outcome);
        }
        Self {
            transload: env!("CARGO_PKG_VERSION").to_owned(),
            started,
            seconds,
            stacks: stacks.into_iter().map(stack).collect(),
            sites: sites.iter().map(site).collect(),
            absent: absent
                .iter()
                .map(|absent| AbsentReport { name: absent.name.clone(), why: absent.why.clone() })
                .collect(),
            cases: runs.iter().map(|run| case(run, frames.remove(run.case.name).unwrap_or_default())).collect(),
            any_to_any: any_to_any(runs),
            totals,
        }
    }
}

fn stack(stack: Stack) -> StackReport {
    StackReport { name: stack.port(), version: stack.version(), implementation: stack.implementation() }
}

fn site(site: &Site) -> SiteReport {
    SiteReport {
        name: site.name.clone(),
        stack: site.stack.port(),
        family: site.family().to_string(),
        addresses: site.addresses.clone(),
    }
}

fn case(run: &CaseRun, frames: Vec<WireFrame>) -> CaseReport {
    let mut by_site = BTreeMap::new();
    let mut by_implementation: BTreeMap<&str, Mark> = BTreeMap::new();
    for cell in &run.cells {
        let mark = Mark::from(&cell.outcome);
        for site in sites_of(&cell.place) {
            let before = by_site.entry(site.name.clone()).or_insert(mark);
            *before = mark.max(*before);
        }
        for stack in stacks_of(&cell.place).into_iter().filter(|stack| stack.is_independent()) {
            let before = by_implementation.entry(stack.implementation()).or_insert(mark);
            *before = mark.max(*before);
        }
    }
    let proved = by_implementation.into_iter().filter(|(_, mark)| *mark == Mark::Passed);
    CaseReport {
        name: run.case.name,
        says: run.case.says,
        standard: run.case.standard,
        seconds: run.seconds,
        proved_against: proved.map(|(implementation, _)| implementation).collect(),
        by_site,
        cells: run.cells.iter().map(cell).collect(),
        frames,
    }
}

fn stacks_of(place: &Place) -> Vec<Stack> {
    match place {
        Place::Site(from, to) => std::iter::once(from).chain(to).map(|site| site.stack).collect(),
        Place::Words(_, stacks) => stacks.clone(),
    }
}

fn sites_of(place: &Place) -> Vec<&Site> {
    match place {
        Place::Site(from, to) => std::iter::once(from).chain(to).collect(),
        Place::Words(..) => Vec::new(),
    }
}

fn cell(cell: &crate::runner::Cell) -> CellReport {
    let (at, to) = match &cell.place {
        Place::Site(from, to) => (from.name.clone(), to.as_ref().map(|to| to.name.clone())),
        Place::Words(words, _) => (words.clone(), None),
    };
    let millis = cell.span.1.saturating_sub(cell.span.0) / 1_000_000;
    CellReport { at, to, outcome: cell.outcome.clone(), millis }
}

/// How often each pair of encapsulations was tried, and how that ended.
fn any_to_any(runs: &[CaseRun]) -> Vec<EncapPair> {
    let mut table: BTreeMap<_, Totals> = BTreeMap::new();
    for cell in runs.iter().flat_map(|run| &run.cells) {
        let Place::Site(from, Some(to)) = &cell.place else { continue };
        table.entry((from.family(), to.family())).or_default().count(&cell.outcome);
    }
    let pairs = table.into_iter();
    pairs.map(|((from, to), totals)| EncapPair { from: from.to_string(), to: to.to_string(), totals }).collect()
}

impl Totals {
    fn count(&mut self, outcome: &Outcome) {
        match Mark::from(outcome) {
            Mark::Passed => self.passed += 1,
            Mark::Failed => self.failed += 1,
            Mark::NotRun => self.not_run += 1,
        }
    }
}
