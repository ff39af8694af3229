//! A running gateway, as its control plane sees it.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::compile::{Freed, Names};
use crate::counters::Counters;
use crate::dataplane::Shared;
use crate::dataplane::clock::Clock;
use crate::fdb::Fdb;
use crate::forwarding::{PeerId, PortId};
use crate::kernel::joins::{Wish, wishes};
use crate::kernel::next_hops::{PortLink, Resolution, Tunnel};
use crate::kernel::resolver::Targets;
use crate::report::rows::Reloaded;
use crate::rib::history::History;
use crate::rib::loops::Loops;
use crate::rib::reload::Versions;
use crate::rib::standing::Standing;
use crate::rib::tunnels::{named, port_links, tunnels};
use crate::run::opening::tenant_device;
use crate::run::start::StartError;

/// A running gateway.
pub struct Gateway {
    /// What it shares with its workers.
    pub shared: Arc<Shared>,
    /// The workers' clock.
    pub clock: Clock,
    /// One block per worker.
    pub counters: Vec<Arc<Counters>>,
    /// What moves the frames of each port, in words, by [`PortId`].
    pub backends: Vec<String>,
    /// The tables that workers may still use.
    pub versions: Versions,
    /// How the tunnels were resolved last.
    pub resolution: ArcSwap<Resolution>,
    news: Mutex<News>,
    view: ArcSwap<View>,
    standing: Mutex<Standing>,
    targets: UnboundedSender<Targets>,
    reloads: UnboundedSender<Answer>,
}

/// Where the outcome of a reload goes.
pub type Answer = oneshot::Sender<Result<Reloaded, String>>;

/// The ends at which the gateway is heard.
pub struct Ears {
    /// What is to be resolved from now on.
    pub targets: UnboundedReceiver<Targets>,
    /// Who wants the file to be read again.
    pub reloads: UnboundedReceiver<Answer>,
}

/// What is known of the present tables besides themselves.
#[derive(Debug, Default)]
pub struct View {
    /// What the numbers are called.
    pub names: Names,
    /// The tunnels.
    pub tunnels: Vec<Tunnel>,
    /// The ports as configured, by [`PortId`].
    pub ports: Vec<PortLink>,
    /// Devices that only tenants are behind.
    pub tenant_devices: Vec<String>,
    /// The multicast groups to hear.
    pub wishes: Vec<Wish>,
    /// When each learned peer was heard first, in nanoseconds of the workers' clock.
    pub learned: HashMap<PeerId, u64>,
}

impl View {
    fn of(standing: &Standing) -> Self {
        let Standing { config, plan, learned, .. } = standing;
        let tenant_devices = plan.ports.iter().filter_map(|port| tenant_device(plan, port)).map(str::to_owned);
        let mut view = Self {
            names: plan.names.clone(),
            tunnels: tunnels(config, plan),
            ports: port_links(plan),
            tenant_devices: tenant_devices.collect(),
            wishes: wishes(plan),
            learned: learned.since().collect(),
        };
        for (tunnel, name) in learned.tunnels(&plan.learning) {
            view.names.set_peer(tunnel.peer, name.clone());
            view.tunnels.push(named(config, &tunnel, name));
        }
        view
    }
}

/// What the workers told.
#[derive(Debug, Default)]
pub struct News {
    /// Of MAC addresses.
    pub history: History,
    /// Of loops.
    pub loops: Loops,
    /// Of ports that do not receive, and why.
    pub failures: HashMap<PortId, String>,
}

impl News {
    /// Forgets what was told of numbers that are free now.
    pub fn forget(&mut self, freed: &Freed) {
        if freed.domains.is_empty() && freed.peers.is_empty() {
            return;
        }
        let gone: HashSet<_> = freed.domains.iter().collect();
        self.history.retain(|domain, _| !gone.contains(&domain));
        self.loops.retain(|domain| !gone.contains(&domain));
    }
}

/// The filter names a tenant that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no tenant `{0}`")]
pub struct NoSuchTenant(pub String);

impl Gateway {
    /// The gateway of a plan whose ports are open, with its static addresses in the table.
    ///
    /// # Errors
    /// When the table has no room for a static address.
    pub fn new(standing: Standing, backends: Vec<String>, workers: usize) -> Result<(Self, Ears), StartError> {
        // Random, so that no tenant can choose MACs that crowd into one place of the table.
        let seed = RandomState::new().hash_one(0);
        let plan = &standing.plan;
        let fdb = Fdb::with_capacity_and_seed(plan.settings.fdb_capacity, seed);
        for entry in &plan.statics {
            let inserted = fdb.insert_static(fdb.key(entry.domain, entry.mac), entry.target);
            inserted.map_err(|_| StartError::Full(entry.mac))?;
        }
        let ((targets, hear_targets), (reloads, hear_reloads)) = (unbounded_channel(), unbounded_channel());
        let gateway = Self {
            clock: Clock::start(),
            counters: (0..workers).map(|_| Arc::new(Counters::new(&plan.forwarding))).collect(),
            backends,
            versions: Versions::default(),
            resolution: ArcSwap::default(),
            news: Mutex::default(),
            shared: Arc::new(Shared::new(plan.forwarding.clone(), fdb)),
            view: ArcSwap::from_pointee(View::of(&standing)),
            standing: Mutex::new(standing),
            targets,
            reloads,
        };
        Ok((gateway, Ears { targets: hear_targets, reloads: hear_reloads }))
    }

    /// What is known of the present tables.
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// What control goes by. Nobody waits while holding it.
    pub fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has everybody go by what control goes by now.
    pub fn present(&self, standing: &Standing) {
        let view = View::of(standing);
        // Nobody listens only while the gateway ends.
        let _ = self.targets.send(Targets { tunnels: view.tunnels.clone(), ports: view.ports.clone() });
        self.view.store(Arc::new(view));
    }

    /// Has the file be read again; the outcome comes by the receiver.
    pub fn ask_for_reload(&self) -> oneshot::Receiver<Result<Reloaded, String>> {
        let (answer, outcome) = oneshot::channel();
        let _ = self.reloads.send(answer);
        outcome
    }

    /// What the workers told so far.
    pub fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `4 ports, 3 of 3 tunnel peers resolved, 1 tenant, 2 workers`
    #[must_use]
    pub fn summary(&self) -> String {
        let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let resolution = self.resolution.load();
        let is_resolved = |tunnel: &&Tunnel| !resolution.hops.get(tunnel.peer.0 as usize).is_none_or(Vec::is_empty);
        let view = self.view();
        let mut parts = vec![plural(view.ports.len(), "port")];
        if !view.tunnels.is_empty() {
            let resolved = view.tunnels.iter().filter(is_resolved).count();
            parts.push(format!("{resolved} of {} resolved", plural(view.tunnels.len(), "tunnel peer")));
        }
        parts.push(plural(view.names.domains().count(), "tenant"));
        parts.push(plural(self.counters.len(), "worker"));
        parts.join(", ")
    }
}
