//! Reload of a running gateway: the file is read again, and what it says now takes the place of what it said before,
//! or, if anything is wrong with it, nothing changes at all.
//!
//! Numbers keep their meaning (`reload`), so frames of tenants that are in both files never notice. What is opened
//! once, ports and threads and the table's memory, stays as it is; a file that wants other ones is refused by name.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

use crate::compile::{Plan, compile, own_macs};
use crate::config::{self, At, Config, Problem, Problems, Span};
use crate::diff::{self, How};
use crate::forwarding::Forwarding;
use crate::io::quiet::Quiet;
use crate::kernel::host;
use crate::report::rows::Reloaded;
use crate::rib::learned::LearnedPeers;
use crate::rib::reload::{self, Swap};
use crate::rib::standing::Standing;
use crate::rib::tunnels;
use crate::run::exclusive::Exclusive;
use crate::run::gateway::Gateway;
use crate::run::opening::{self, OpeningError, tenant_device};

/// How often it is looked whether the workers have passed.
const LOOK: Duration = Duration::from_millis(10);

/// Why a file is not taken in. The gateway is as it was.
#[derive(Debug, Error)]
pub enum Refused {
    /// The file is wrong, or wants what cannot change while the gateway runs.
    #[error("{}", listed(.0))]
    Problems(#[from] Problems),
    /// Another gateway is in the way, or the machine.
    #[error(transparent)]
    Opening(#[from] OpeningError),
    /// The kernel does not answer.
    #[error("cannot ask the kernel for its addresses: {0}")]
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
    /// What no other gateway may serve.
    pub exclusive: Exclusive,
    /// What keeps the machine from answering.
    pub quiet: &'q Mutex<Quiet>,
}

impl Reloader<'_> {
    /// Takes the file in; gives back what changed once every worker goes by it.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn reload(&mut self, gateway: &Arc<Gateway>) -> Result<Reloaded, Refused> {
        let config = config::load(&self.file)?;
        let trial = compiled(gateway, &config)?;
        let problems = {
            let standing = gateway.standing();
            let mut problems = fixed(&standing, &config, &trial);
            problems.sort_by_key(Problem::span);
            problems
        };
        refuse(problems)?;
        refuse(host::check_addresses(&config, &trial).await?)?;
        self.prepare(&trial)?;
        // Peers may have been learned meanwhile.
        let (swap, reloaded) = take_in(gateway, config)?;
        let mut waiting = Some(swap);
        while let Some(swap) = waiting {
            tokio::time::sleep(LOOK).await;
            waiting = gateway.settle(swap).err();
        }
        self.tidy(gateway);
        Ok(reloaded)
    }

    /// Claims and keeps quiet what is new. What is not taken in after all is let go of.
    fn prepare(&mut self, plan: &Plan) -> Result<(), OpeningError> {
        opening::claim(plan, &mut self.exclusive)?;
        opening::keep_quiet(plan, &mut self.quiet.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tidy(&mut self, gateway: &Gateway) {
        let standing = gateway.standing();
        self.exclusive.keep(&opening::claims(&standing.plan));
        let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        quiet.keep_udp(&opening::listeners(&standing.plan));
    }
}

fn refuse(problems: Vec<Problem>) -> Result<(), Problems> {
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
}

fn compiled(gateway: &Gateway, config: &Config) -> Result<Plan, Problems> {
    let mut numbers = gateway.standing().numbers.clone();
    compile(config, &mut numbers, Some(&gateway.shared.forwarding.load()))
}

/// What a file wants otherwise and cannot have while the gateway runs.
fn fixed(standing: &Standing, config: &Config, plan: &Plan) -> Vec<Problem> {
    let before = &standing.plan;
    let mut problems = Vec::new();
    let mut add = |span: Span, message: String| {
        problems.push(Problem::error(&plan.source, span, message).help("restart to apply"));
    };
    let at = |at: Option<Span>| at.unwrap_or_default();
    let file = &config.file;
    if plan.settings.workers != before.settings.workers {
        add(at(file.workers.as_ref().map(|at| at.span)), "the number of workers cannot change while they run".into());
    }
    if plan.settings.fdb_capacity != before.settings.fdb_capacity {
        let span = at(file.fdb.capacity.as_ref().map(|at| at.span));
        add(span, "the size of the MAC table (fdb.capacity) cannot change while it is in use".into());
    }
    if plan.settings.admin != before.settings.admin {
        add(
            at(file.admin.as_ref().map(|at: &At<_>| at.span)),
            "the admin socket cannot change while it is open".into(),
        );
    }
    for port in &plan.ports {
        match before.ports.iter().find(|old| old.id == port.id) {
            None => add(port.span, format!("port `{}` is new, and ports are opened at the start", port.name)),
            Some(old) if old.backend != port.backend => {
                add(
                    port.span,
                    format!("port `{}` changes its device or `io`, which are taken at the start", port.name),
                );
            }
            Some(old) if tenant_device(before, old).is_some() && has_endpoints(plan, port.id) => {
                let message = format!("port `{}` had tenants only, and the machine is deaf to it", port.name);
                add(port.span, message);
            }
            Some(_) => {}
        }
    }
    for old in before.ports.iter().filter(|old| plan.ports.iter().all(|port| port.id != old.id)) {
        add(Span::default(), format!("port `{}` is gone, and ports are closed at the end", old.name));
    }
    problems
}

fn has_endpoints(plan: &Plan, port: crate::forwarding::PortId) -> bool {
    plan.forwarding.ports.get(usize::from(port.0)).is_some_and(|port| !port.endpoints.is_empty())
}

/// Publishes what a file says now.
fn take_in(gateway: &Gateway, config: Config) -> Result<(Swap, Reloaded), Problems> {
    let mut standing = gateway.standing();
    let now = gateway.shared.forwarding.load_full();
    let mut numbers = standing.numbers.clone();
    let mut plan = compile(&config, &mut numbers, Some(&now))?;
    keep_devices(&mut plan, &standing.plan, &now);
    keep_hops(&mut plan, &standing.plan, &now);
    standing.numbers = numbers;
    let Standing { numbers, learned, .. } = &mut *standing;
    learn_again(&mut plan, learned, numbers, &now);
    let reloaded = told(&standing, &config, &plan);
    let tables = plan.forwarding.clone();
    gateway.counters.iter().for_each(|counters| counters.grow(&tables));
    let (statics, generation) = (plan.statics.clone(), plan.generation);
    let swap = reload::publish(&gateway.shared, &gateway.versions, tables, statics, generation);
    (standing.config, standing.plan) = (config, plan);
    gateway.present(&standing);
    Ok((swap, reloaded))
}

/// Ports are open already; what the file does not say of them, their devices did.
fn keep_devices(plan: &mut Plan, before: &Plan, now: &Forwarding) {
    for port in &plan.ports {
        let at = usize::from(port.id.0);
        let (Some(table), Some(open)) = (plan.forwarding.ports.get_mut(at), now.ports.get(at)) else { continue };
        let was_stated = before.ports.iter().any(|old| old.id == port.id && old.mac.is_some());
        let known = if was_stated && port.backend.network_device().is_none() { None } else { open.mac };
        table.mac = port.mac.or(known);
        table.mtu = port.mtu.or(open.mtu);
        table.is_down = open.is_down;
    }
    own_macs(&mut plan.forwarding, &plan.names);
}

/// Tunnels that are as they were go on by the ways that are resolved; the resolver finds the others.
fn keep_hops(plan: &mut Plan, before: &Plan, now: &Forwarding) {
    let old: std::collections::HashMap<_, _> = before.tunnels.iter().map(|tunnel| (tunnel.peer, tunnel)).collect();
    let hops: Vec<_> = plan
        .tunnels
        .iter()
        .map(|tunnel| {
            let same = old.get(&tunnel.peer).is_some_and(|old| old.is_alike(tunnel));
            let known = now.hops(tunnel.peer).filter(|_| same).map(<[_]>::to_vec);
            (tunnel.peer, known.unwrap_or_else(|| plan.static_hops(tunnel)))
        })
        .collect();
    for (peer, hops) in hops {
        if let Some(row) = plan.forwarding.hops.get_mut(peer.0 as usize) {
            *row = hops;
        }
    }
}

/// Learned peers stay as far as the file still learns them.
fn learn_again(plan: &mut Plan, learned: &mut LearnedPeers, numbers: &mut crate::compile::Numbers, now: &Forwarding) {
    learned.adopt(&plan.learning, &plan.forwarding, numbers);
    let hops = |tunnel: &crate::compile::TunnelPlan| now.hops(tunnel.peer).unwrap_or_default().to_vec();
    let tables = learned.tables(&plan.learning, &plan.forwarding, &now.learned, hops);
    plan.forwarding.learned = tables.into();
}

/// What changes, in lines.
fn told(standing: &Standing, config: &Config, plan: &Plan) -> Reloaded {
    let old = diff::Side { config: &standing.config, plan: &standing.plan };
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
        summary: tunnels::counted(plan),
    }
}
