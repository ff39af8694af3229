//! Runs cases on a testbed and writes down how each went, where, and when.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use transload_lab::interrupt;

use crate::cases::{Case, Cells, Place, Scope};
use crate::drops::told_since;
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
    let cells = match case.scope {
        Scope::World(work) => once(tick, work),
        scope => {
            let mut cells = on_testbed(scope, testbed, tick);
            if has_failed(&cells) {
                testbed.distrust();
            }
            let absent = absent.iter().chain(testbed.left_out()).filter(|absent| !absent.is_final);
            cells.extend(absent.map(|absent| in_words(&absent.name, Outcome::NotRun(absent.why.clone()))));
            cells
        }
    };
    CaseRun { case, cells, seconds: start.elapsed().as_secs_f64() }
}

/// What is tried once on the whole testbed is tried again without a peer that was lost meanwhile, which must not tell
/// against the others.
fn on_testbed(scope: Scope, testbed: &mut Testbed, tick: &mut dyn FnMut(usize, &str)) -> Vec<Cell> {
    let mut of_lost = Vec::new();
    let cells = loop {
        let begin = now();
        if let Err(why) = testbed.mend() {
            break vec![in_words("the testbed", Outcome::Failed(format!("it cannot be built anew: {why}")))];
        }
        let cells = on_bench(scope, testbed, tick);
        let is_again = matches!(scope, Scope::Testbed(_)) && has_failed(&cells) && !interrupt::is_asked();
        let lost = if is_again { testbed.lost() } else { Vec::new() };
        if lost.is_empty() {
            break cells;
        }
        for (stack, how) in lost {
            let why = format!("{stack} was lost while this was tried: {how}");
            let cell = |site| Cell {
                place: Place::Site(site, None),
                outcome: Outcome::Failed(why.clone()),
                span: (begin, now()),
            };
            of_lost.extend(testbed.set_aside(stack).into_iter().map(cell));
        }
    };
    testbed.bring_back();
    cells.into_iter().chain(of_lost).collect()
}

fn has_failed(cells: &[Cell]) -> bool {
    cells.iter().any(|cell| matches!(cell.outcome, Outcome::Failed(_)))
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
        Scope::Testbed(work) => {
            let before = testbed.drops();
            let mut cells = once(tick, |cells| work(testbed, cells));
            for cell in &mut cells {
                cell.outcome = told_since(cell.outcome.clone().into(), &before, || testbed.drops()).into();
            }
            cells
        }
        Scope::Sites(work) => {
            let mut trials = Trials::new(testbed, work, testbed.sites().len(), tick);
            testbed.sites().iter().for_each(|site| trials.at(site));
            trials.cells
        }
        Scope::Pairs(work) => {
            let sites = testbed.sites();
            let all = || sites.iter().flat_map(|from| sites.iter().map(move |to| (from, to)));
            let pairs: Vec<_> = all().filter(|(from, to)| to.number != from.number).collect();
            let mut trials = Trials::new(testbed, work, pairs.len().max(1), tick);
            match pairs.as_slice() {
                [] => trials.alone(&sites[0]),
                pairs => pairs.iter().for_each(|(from, to)| trials.between(from, to)),
            }
            trials.cells
        }
    }
}

type Work = fn(&Testbed, &Site, &Site) -> Verdict;

/// A case that is tried at one site after the other, or between one pair after the other.
struct Trials<'t> {
    testbed: &'t Testbed,
    work: Work,
    total: usize,
    tick: &'t mut dyn FnMut(usize, &str),
    /// The stacks that were lost meanwhile, and how.
    lost: BTreeMap<Stack, String>,
    cells: Vec<Cell>,
}

impl<'t> Trials<'t> {
    fn new(testbed: &'t Testbed, work: Work, total: usize, tick: &'t mut dyn FnMut(usize, &str)) -> Self {
        Self { testbed, work, total, tick, lost: BTreeMap::new(), cells: Vec::new() }
    }

    /// At a site, with another as its partner. One that is lost while this is tried is no fault of the site's, which
    /// is tried with the next one.
    fn at(&mut self, site: &Site) {
        loop {
            if self.skips(site, None) {
                return;
            }
            let Some(to) = partner_of(self.testbed, site, |stack| self.lost.contains_key(&stack)) else {
                return self.alone(site);
            };
            self.between(site, to);
            if self.lost.contains_key(&site.stack) || !self.lost.contains_key(&to.stack) {
                return;
            }
        }
    }

    fn alone(&mut self, site: &Site) {
        let why = "needs a second site: there is only this one".to_owned();
        self.put(Place::Site(site.clone(), None), Outcome::NotRun(why), now());
    }

    fn between(&mut self, from: &Site, to: &Site) {
        if self.skips(from, Some(to)) {
            return;
        }
        (self.tick)(self.total, &format!("{from} to {to}"));
        let (begin, before) = (now(), self.testbed.drops());
        let verdict = guarded(|| (self.work)(self.testbed, from, to));
        let verdict = told_since(verdict, &before, || self.testbed.drops());
        if let Err(Stop::Failed(why)) = &verdict {
            self.lost.extend(self.testbed.lost());
            let lost = |site: &&Site| self.lost.contains_key(&site.stack);
            // What fails with a peer that was lost tells against that peer alone.
            if let Some(site) = [from, to].into_iter().find(lost) {
                let why = format!("{}\n{from} to {to}: {why}", self.words(site.stack));
                return self.put(Place::Site(site.clone(), None), Outcome::Failed(why), begin);
            }
        }
        self.put(Place::Site(from.clone(), Some(to.clone())), verdict.into(), begin);
    }

    /// Whether one of them was lost before: then this cannot be tried.
    fn skips(&mut self, from: &Site, to: Option<&Site>) -> bool {
        let lost = std::iter::once(from).chain(to).find(|site| self.lost.contains_key(&site.stack));
        let Some(stack) = lost.map(|site| site.stack) else { return false };
        let why = self.words(stack);
        self.put(Place::Site(from.clone(), to.cloned()), Outcome::NotRun(why), now());
        true
    }

    fn words(&self, stack: Stack) -> String {
        let how = self.lost.get(&stack).map_or("", String::as_str);
        format!("{stack} was lost while this case was tried: {how}")
    }

    fn put(&mut self, place: Place, outcome: Outcome, begin: u64) {
        self.cells.push(Cell { place, outcome, span: (begin, now()) });
    }
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
    partner_of(testbed, site, |_| false)
}

/// The same, but none of a stack that is out.
fn partner_of<'b>(testbed: &'b Testbed, site: &Site, is_out: impl Fn(Stack) -> bool) -> Option<&'b Site> {
    let others = || testbed.sites().iter().filter(|other| other.number != site.number && !is_out(other.stack));
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
