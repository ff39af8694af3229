//! Runs cases on a testbed and writes down how each went, where, and when.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use transload_lab::interrupt;

use crate::cases::{Case, Cells, Place, Scope};
use crate::outcome::{Outcome, Stop, Verdict};
use crate::testbed::{Absent, Site, Stack, Testbed, now};

/// How a case went in one place.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The sites that it was run between.
    pub place: Place,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began and ended, in nanoseconds since 1970: what captures are cut by.
    pub span: (u64, u64),
}

/// How a case went.
#[derive(Debug)]
pub struct CaseRun {
    /// The case.
    pub case: Case,
    /// Its outcome at every place.
    pub cells: Vec<Cell>,
    /// How long it took.
    pub seconds: f64,
}

/// Runs one case everywhere. `tick` is told before each cell how many there are and where it is. What an earlier case
/// has left is put right before, so that one failure does not make others.
pub fn run(case: Case, testbed: &mut Testbed, absent: &[Absent], tick: &mut dyn FnMut(usize, &str)) -> CaseRun {
    let start = Instant::now();
    let mut cells = match case.scope {
        Scope::World(work) => once(tick, work),
        _ => match testbed.mend() {
            Ok(()) => on_bench(case.scope, testbed, tick),
            Err(why) => vec![in_words("the testbed", Outcome::Failed(format!("it cannot be built anew: {why}")))],
        },
    };
    if !matches!(case.scope, Scope::World(_)) {
        if cells.iter().any(|cell| matches!(cell.outcome, Outcome::Failed(_))) {
            testbed.distrust();
        }
        let absent = absent.iter().chain(testbed.left_out()).filter(|absent| !absent.is_final);
        cells.extend(absent.map(|absent| in_words(&absent.name, Outcome::NotRun(absent.why.clone()))));
    }
    CaseRun { case, cells, seconds: start.elapsed().as_secs_f64() }
}

fn in_words(place: &str, outcome: Outcome) -> Cell {
    Cell { place: Place::Words(place.to_owned(), Vec::new()), outcome, span: (0, 0) }
}

fn on_bench(scope: Scope, testbed: &mut Testbed, tick: &mut dyn FnMut(usize, &str)) -> Vec<Cell> {
    if testbed.sites().is_empty() {
        return Vec::new();
    }
    match scope {
        Scope::World(work) => once(tick, work),
        Scope::Testbed(work) => once(tick, |cells| work(testbed, cells)),
        Scope::Sites(work) => {
            let pairs = testbed.sites().iter().map(|site| (site, partner(testbed, site)));
            each(testbed, pairs.collect(), work, tick)
        }
        Scope::Pairs(work) => {
            let sites = testbed.sites().iter();
            let pairs = sites.flat_map(|from| testbed.sites().iter().map(move |to| (from, Some(to))));
            each(testbed, pairs.filter(|(from, to)| to.is_none_or(|to| to.number != from.number)).collect(), work, tick)
        }
    }
}

type Work = fn(&Testbed, &Site, &Site) -> Verdict;

fn each(
    testbed: &Testbed,
    pairs: Vec<(&Site, Option<&Site>)>,
    work: Work,
    tick: &mut dyn FnMut(usize, &str),
) -> Vec<Cell> {
    let total = pairs.len();
    let mut cells = Vec::new();
    for (from, to) in pairs {
        let words = to.map_or_else(|| from.name.clone(), |to| format!("{from} to {to}"));
        tick(total, &words);
        let begin = now();
        let verdict = match to {
            Some(to) => guarded(|| work(testbed, from, to)),
            None => Err(Stop::NotRun("needs a second site: there is only this one".to_owned())),
        };
        let place = Place::Site(from.clone(), to.cloned());
        cells.push(Cell { place, outcome: verdict.into(), span: (begin, now()) });
    }
    cells
}

fn once(tick: &mut dyn FnMut(usize, &str), work: impl FnOnce(&mut Cells)) -> Vec<Cell> {
    tick(1, "");
    let begin = now();
    let mut cells = Cells::default();
    let ended = guarded(|| {
        work(&mut cells);
        Ok(String::new())
    });
    if let Err(stop) = ended {
        cells.put("the case itself", Err(stop));
    }
    let span = (begin, now());
    cells.0.into_iter().map(|(place, outcome)| Cell { place, outcome, span }).collect()
}

/// A case that panics has failed, and the testbed goes on; one that is interrupted was not run.
fn guarded(work: impl FnOnce() -> Verdict) -> Verdict {
    if interrupt::is_asked() {
        return Err(Stop::NotRun("interrupted".to_owned()));
    }
    let verdict = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned()));
        Err(Stop::Failed(format!("the case panicked: {}", said.unwrap_or_default())))
    });
    match verdict {
        Err(Stop::Failed(_)) if interrupt::is_asked() => Err(Stop::NotRun("interrupted".to_owned())),
        verdict => verdict,
    }
}

/// The site that another one is tried with: of another implementation if there is one, of another encapsulation if
/// it can be, and not always the same.
pub(crate) fn partner<'b>(testbed: &'b Testbed, site: &Site) -> Option<&'b Site> {
    let others = || testbed.sites().iter().filter(|other| other.number != site.number);
    let score = |other: &Site| {
        let is_other = |own: bool, points: u8| if own { points } else { 0 };
        is_other(other.stack.implementation() != site.stack.implementation(), 4)
            + is_other(other.family() != site.family(), 2)
            + is_other(other.stack != Stack::Uml, 1)
    };
    let best = others().map(score).max()?;
    let best: Vec<_> = others().filter(|other| score(other) == best).collect();
    best.get(usize::from(site.number) % best.len().max(1)).copied()
}
