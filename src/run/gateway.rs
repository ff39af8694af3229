//! A running gateway, as the tasks of its control plane share it.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::log;
use super::record::FileRecord;
use super::service_manager::ServiceManager;
use super::start::StartError;
use crate::compile::Plan;
use crate::dataplane::Shared;
use crate::dataplane::clock::Clock;
use crate::forwarding::{PeerId, PortId, Slab};
use crate::logging::LogEvent;
use crate::report::drop_history::DropHistory;
use crate::report::rows::Reloaded;
use crate::rib::facts::{DeviceFact, Targets};
use crate::rib::{News, Output, Rib};

/// A running gateway.
pub struct Gateway {
    /// What it shares with its workers.
    pub shared: Arc<Shared>,
    /// The workers' clock.
    pub clock: Clock,
    /// What moves the frames of each port, in words.
    pub backends: Slab<PortId, String>,
    /// When its file was read, and what came of it.
    pub record: FileRecord,
    /// How many of the workers' events were lost so far.
    pub events_lost: AtomicU64,
    /// Who has started it and wants to know how it is.
    pub manager: ServiceManager,
    /// The ports that each worker serves.
    pub crews: Vec<Vec<PortId>>,
    metrics_failure: Mutex<Option<String>>,
    rib: Mutex<Rib>,
    drop_history: Mutex<DropHistory>,
    targets: UnboundedSender<Targets>,
    reloads: UnboundedSender<ReloadReply>,
}

/// Where the outcome of a reload goes.
pub type ReloadReply = oneshot::Sender<Result<Reloaded, String>>;

/// What others ask of the tasks of control.
pub struct Requests {
    /// What is to be resolved from now on.
    pub targets: UnboundedReceiver<Targets>,
    /// Somebody wants the file to be read again.
    pub reloads: UnboundedReceiver<ReloadReply>,
}

impl Gateway {
    /// The gateway of a plan whose ports are open, with its static addresses in the table.
    ///
    /// # Errors
    /// When the table has no room for a static address.
    pub fn new(
        plan: Plan,
        devices: Vec<DeviceFact>,
        backends: Slab<PortId, String>,
        crews: Vec<Vec<PortId>>,
        manager: ServiceManager,
    ) -> Result<(Self, Requests), StartError> {
        // Random, so that no tenant can choose MACs that crowd into one place of the table.
        let seed = RandomState::new().hash_one(0);
        let record = FileRecord::start(&plan.source);
        let mut rib = Rib::new(plan, devices, crews.len(), Some(seed));
        let ((targets, hear_targets), (reloads, hear_reloads)) = (unbounded_channel(), unbounded_channel());
        while let Some(output) = rib.poll() {
            match output {
                Output::News(News::NoRoom(entry)) => return Err(StartError::Full(entry.mac)),
                Output::News(news) => log::news(&rib, &news),
                // Whoever resolves tunnels starts with those of the file.
                Output::Resolve(_) => {}
            }
        }
        let (shared, clock) = (Arc::clone(rib.shared()), Clock::start());
        let (events_lost, rib, drop_history) = (AtomicU64::new(0), Mutex::new(rib), Mutex::default());
        let metrics_failure = Mutex::default();
        let gateway = Self {
            shared,
            clock,
            backends,
            record,
            events_lost,
            manager,
            crews,
            metrics_failure,
            rib,
            drop_history,
            targets,
            reloads,
        };
        Ok((gateway, Requests { targets: hear_targets, reloads: hear_reloads }))
    }

    /// All that is known, to be read. Nobody waits while holding it.
    pub fn rib(&self) -> MutexGuard<'_, Rib> {
        self.rib.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was dropped in the last minute. Whoever wants the RIB too takes that first.
    pub fn drop_history(&self) -> MutexGuard<'_, DropHistory> {
        self.drop_history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why metrics are not served where the file wants them, if they are not.
    pub fn metrics_failure(&self) -> Option<String> {
        self.metrics_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps why metrics are not served, if they are not, and tells it unless it was so before.
    pub fn set_metrics_failure(&self, failure: Option<String>) {
        let mut before = self.metrics_failure.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = failure.as_deref().filter(|_| *before != failure) {
            LogEvent::MetricsNotServed { why }.tell();
        }
        *before = failure;
    }

    /// Brings facts to the RIB, and does what comes of them.
    pub fn change<T>(&self, change: impl FnOnce(&mut Rib) -> T) -> T {
        let mut rib = self.rib();
        let done = change(&mut rib);
        while let Some(output) = rib.poll() {
            match output {
                Output::News(news) => log::news(&rib, &news),
                // Nobody listens only while the gateway ends.
                Output::Resolve(targets) => drop(self.targets.send(targets)),
            }
        }
        done
    }

    /// Has the file be read again; the outcome comes by the receiver.
    pub fn ask_for_reload(&self) -> oneshot::Receiver<Result<Reloaded, String>> {
        let (reply, outcome) = oneshot::channel();
        let _ = self.reloads.send(reply);
        outcome
    }

    /// `4 ports, 3 of 3 tunnel peers resolved, 1 tenant, 2 workers`
    #[must_use]
    pub fn summary(&self) -> String {
        let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let rib = self.rib();
        let plan = rib.plan();
        let mut parts = vec![plural(plan.ports.len(), "port")];
        let nameless = plan.named.iter().filter(|peer| peer.address.is_none()).map(|peer| peer.peer);
        let tunnels: Vec<PeerId> = rib.tunnels().map(|tunnel| tunnel.peer).chain(nameless).collect();
        if !tunnels.is_empty() {
            let resolved = tunnels.iter().filter(|peer| !rib.hops(**peer).is_empty()).count();
            parts.push(format!("{resolved} of {} resolved", plural(tunnels.len(), "tunnel peer")));
        }
        parts.push(plural(rib.names().domains().count(), "tenant"));
        parts.push(plural(rib.counters().len(), "worker"));
        parts.join(", ")
    }
}
