//! Reload of a running gateway: the file is read again, and what it says now takes the place of what it said before,
//! or, if anything is wrong with it, nothing changes at all.
//!
//! Numbers keep their meaning (`rib`), so frames of tenants that are in both files never notice. What is opened once
//! stays as it is; a file that changes it is rejected with a message that says what (`fixed`).
//!
//! A large file takes seconds. They pass on a thread of their own (`aside`), and control goes on: it answers, follows the
//! kernel, ages addresses, and stops when it is told to.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::thread::CapabilitySet;
use thiserror::Error;

use super::confine;
use super::exclusive::Exclusive;
use super::fixed;
use super::gateway::Gateway;
use super::host_names::{self, Found};
use super::opening::{self, OpeningError};
use super::serving::{MetricsPort, NextPort};
use crate::compile::{Plan, compile};
use crate::config::{self, Answers, Config, Problem, Problems, Severity};
use crate::diff::{self, How};
use crate::io::heap;
use crate::io::quiet::Quiet;
use crate::kernel::host::Machine;
use crate::kernel::tables::Kernel;
use crate::report::rows::Reloaded;
use crate::rib::Rib;

/// How often to look whether every worker uses the new tables.
const LOOK: Duration = Duration::from_millis(10);

/// Why a reload is rejected. The gateway is as it was.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// The file is wrong, or wants what cannot change while the gateway runs.
    #[error("{}", listed(.0))]
    Problems(#[from] Problems),
    /// Another gateway is in the way, or the machine.
    #[error(transparent)]
    Opening(#[from] OpeningError),
    /// It could not be compiled, for which the file is not to blame.
    #[error("transload has a fault: {0}")]
    Fault(String),
    /// The kernel does not answer.
    #[error("cannot ask the kernel for its devices: {0}")]
    System(#[from] io::Error),
}

fn listed(problems: &Problems) -> String {
    let one = |problem: &Problem| {
        let help = problem.help.as_ref().map_or_else(String::new, |help| format!("\n  {help}"));
        format!("{}{problem}{help}", problem.place())
    };
    problems.0.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// Reloads a gateway from its file.
pub struct Reloader<'q> {
    /// The file.
    pub file: PathBuf,
    /// The file as it was last loaded.
    pub config: Arc<Config>,
    /// What no other gateway may serve.
    pub exclusive: Exclusive,
    /// What keeps the kernel from answering tunnel packets and tenants.
    pub quiet: &'q Mutex<Quiet>,
    /// The capabilities that were given up at the start.
    pub given_up: CapabilitySet,
    /// What serves metrics.
    pub metrics: MetricsPort,
}

/// A file that was compiled beside the running one.
struct CompiledBeside {
    config: Config,
    plan: Plan,
    machine: Machine,
    /// What changes, in lines.
    reloaded: Reloaded,
}

impl Reloader<'_> {
    /// Takes the file in. Returns what changed, once every worker goes by it.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn reload(&mut self, gateway: &Arc<Gateway>) -> Result<Reloaded, ReloadError> {
        let file = self.file.clone();
        let (mut config, sha256) = aside(move || {
            let config = load_again(&file)?;
            let sha256 = config.source.sha256();
            Ok::<_, Problems>((config, sha256))
        })
        .await??;
        config.answers = host_names::ask(config.host_names(), || host_names::kept(gateway.rib().plan())).await;
        let reloaded = self.take(gateway, move || config).await?;
        gateway.record.loaded(sha256);
        Ok(reloaded)
    }

    /// Goes by the file as it was last loaded, with other answers for the names of its peers, if they make a difference.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn resolve(&mut self, gateway: &Arc<Gateway>, found: Found) -> Result<(), ReloadError> {
        if found == self.config.answers.found {
            return Ok(());
        }
        let answers = Answers { found, kept: host_names::kept(gateway.rib().plan()) };
        let config = Arc::clone(&self.config);
        self.take(gateway, move || Config { answers, ..Config::clone(&config) }).await.map(drop)
    }

    async fn take(
        &mut self,
        gateway: &Arc<Gateway>,
        config: impl FnOnce() -> Config + Send + 'static,
    ) -> Result<Reloaded, ReloadError> {
        let machine = Machine::read().await?;
        gateway.rib().hold_numbers(true);
        let (before, old) = (gateway.rib().plan().clone(), Arc::clone(&self.config));
        let given_up = self.given_up;
        let compiled = aside(move || compile_beside(&before, &old, config(), machine, given_up)).await;
        gateway.rib().hold_numbers(false);
        // Nothing else happens from here until it is taken in: peers are learned by this same thread.
        let CompiledBeside { config, plan, machine, reloaded } = compiled??;
        let next_port = match self.prepare(&plan, machine.kernel()) {
            Ok(next) => next,
            Err(error) => {
                self.tidy(gateway, machine.kernel());
                return Err(error);
            }
        };
        host_names::tell(&gateway.rib().plan().named, &plan.named);
        gateway.change(|rib| rib.take_in(plan));
        self.metrics.switch(next_port);
        let old = std::mem::replace(&mut self.config, Arc::new(config));
        while !gateway.change(Rib::settle) {
            tokio::time::sleep(LOOK).await;
        }
        self.tidy(gateway, machine.kernel());
        aside(move || {
            drop(old);
            heap::give_back();
        })
        .await?;
        Ok(reloaded)
    }

    /// Opens, claims and keeps quiet what is new. What is not taken in after all is let go of.
    fn prepare(&mut self, plan: &Plan, kernel: &Kernel) -> Result<NextPort, ReloadError> {
        let next_port = self.metrics.prepare(plan)?;
        opening::claim(plan, &mut self.exclusive)?;
        opening::keep_quiet(plan, kernel, &mut self.quiet.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(next_port)
    }

    fn tidy(&mut self, gateway: &Gateway, kernel: &Kernel) {
        let rib = gateway.rib();
        self.exclusive.keep(&opening::claims(rib.plan()));
        let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        quiet.keep_udp(&opening::listeners(rib.plan(), kernel));
    }
}

/// Does what may take seconds on another thread, so that control goes on meanwhile. If control stops, nobody waits for it.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ReloadError> {
    tokio::task::spawn_blocking(work).await.map_err(|broken| ReloadError::Fault(broken.to_string()))
}

/// The file as it is now.
fn load_again(file: &Path) -> Result<Config, Problems> {
    if file == Path::new("-") {
        let problem = Problem::unreadable("-", "the file came by standard input, which cannot be read again");
        return Err(Problems(vec![problem.help("run transload with the path of a file to reload it")]));
    }
    config::load(file)
}

/// Compiles a file beside the running one, if it asks for nothing that cannot be had without a restart.
fn compile_beside(
    before: &Plan,
    old: &Config,
    config: Config,
    machine: Machine,
    given_up: CapabilitySet,
) -> Result<CompiledBeside, Problems> {
    let mut plan = compile(&config, &before.numbers, Some(&before.tables))?;
    machine.name_devices(&mut plan, Some(before));
    refuse(fixed::check(before, &config, &plan))?;
    refuse(confine::missing(given_up, &plan))?;
    let problems = machine.problems_of_reload(&config, &plan, Some(before));
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(Problems(problems));
    }
    plan.warnings.extend(problems);
    let reloaded = changes(diff::Side { config: old, plan: before }, diff::Side { config: &config, plan: &plan });
    Ok(CompiledBeside { config, plan, machine, reloaded })
}

/// What changes, in lines.
fn changes(old: diff::Side<'_>, new: diff::Side<'_>) -> Reloaded {
    let line = |change: &diff::Change| {
        let how = match change.how {
            How::Added(_) => "+",
            How::Removed(_) => "-",
            How::Changed(_) => "~",
        };
        format!("{how} {} {} ({})", change.thing.word(), change.name, change.details())
    };
    let warning = |problem: &Problem| format!("{}{problem}", problem.place());
    Reloaded {
        changes: diff::changes(old, new).iter().map(line).collect(),
        warnings: new.plan.warnings.iter().map(warning).collect(),
        summary: new.plan.summary(),
    }
}

fn refuse(problems: Vec<Problem>) -> Result<(), Problems> {
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
}
