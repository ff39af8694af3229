//! Reload of a running gateway: the file is read again, and what it says now takes the place of what it said before,
//! or, if anything is wrong with it, nothing changes at all.
//!
//! Numbers keep their meaning (`rib`), so frames of tenants that are in both files never notice. What is opened once
//! stays as it is; a file that changes it is rejected with a message that says what (`fixed`).

use std::io;
use std::path::PathBuf;
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
use crate::compile::{Plan, compile};
use crate::config::{self, Answers, Config, Problem, Problems, Severity};
use crate::diff::{self, How};
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
    pub config: Config,
    /// What no other gateway may serve.
    pub exclusive: Exclusive,
    /// What keeps the kernel from answering tunnel packets and tenants.
    pub quiet: &'q Mutex<Quiet>,
    /// The capabilities that were given up at the start.
    pub given_up: CapabilitySet,
}

impl Reloader<'_> {
    /// Takes the file in. Returns what changed, once every worker goes by it.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn reload(&mut self, gateway: &Arc<Gateway>) -> Result<Reloaded, ReloadError> {
        let mut config = config::load(&self.file)?;
        config.answers = host_names::ask(config.host_names(), || host_names::kept(gateway.rib().plan())).await;
        self.take(gateway, config).await
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
        self.take(gateway, Config { answers, ..self.config.clone() }).await.map(|_| ())
    }

    async fn take(&mut self, gateway: &Arc<Gateway>, config: Config) -> Result<Reloaded, ReloadError> {
        let machine = Machine::read().await?;
        // Nothing else happens from here until it is taken in: peers are learned by this same thread.
        let plan = compile_beside(gateway, &config, &machine, self.given_up)?;
        self.prepare(&plan, machine.kernel())?;
        host_names::tell(&gateway.rib().plan().named, &plan.named);
        let reloaded = self.changes(gateway, &config, &plan);
        gateway.change(|rib| rib.take_in(plan));
        self.config = config;
        while !gateway.change(Rib::settle) {
            tokio::time::sleep(LOOK).await;
        }
        self.tidy(gateway, machine.kernel());
        Ok(reloaded)
    }

    /// Claims and keeps quiet what is new. What is not taken in after all is let go of.
    fn prepare(&mut self, plan: &Plan, kernel: &Kernel) -> Result<(), OpeningError> {
        opening::claim(plan, &mut self.exclusive)?;
        opening::keep_quiet(plan, kernel, &mut self.quiet.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tidy(&mut self, gateway: &Gateway, kernel: &Kernel) {
        let rib = gateway.rib();
        self.exclusive.keep(&opening::claims(rib.plan()));
        let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        quiet.keep_udp(&opening::listeners(rib.plan(), kernel));
    }

    /// What changes, in lines.
    fn changes(&self, gateway: &Gateway, config: &Config, plan: &Plan) -> Reloaded {
        let rib = gateway.rib();
        let old = diff::Side { config: &self.config, plan: rib.plan() };
        let changes = diff::changes(old, diff::Side { config, plan });
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
            changes: changes.iter().map(line).collect(),
            warnings: plan.warnings.iter().map(warning).collect(),
            summary: plan.summary(),
        }
    }
}

/// Compiles a file beside the running one, if it asks for nothing that cannot be had without a restart.
fn compile_beside(
    gateway: &Gateway,
    config: &Config,
    machine: &Machine,
    given_up: CapabilitySet,
) -> Result<Plan, Problems> {
    let rib = gateway.rib();
    let before = rib.plan();
    let mut plan = compile(config, &before.numbers, Some(&before.tables))?;
    machine.name_devices(&mut plan, Some(before));
    refuse(fixed::check(before, config, &plan))?;
    refuse(confine::missing(given_up, &plan))?;
    let problems = machine.problems_of_reload(config, &plan);
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(Problems(problems));
    }
    plan.warnings.extend(problems);
    Ok(plan)
}

fn refuse(problems: Vec<Problem>) -> Result<(), Problems> {
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
}
