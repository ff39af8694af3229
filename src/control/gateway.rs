//! A running gateway, as its control plane sees it.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use thiserror::Error;

use crate::config::Config;
use crate::control::clock::Clock;
use crate::control::compile::{Names, Plan};
use crate::control::history::History;
use crate::control::loops::Loops;
use crate::control::next_hops::{PortLink, Resolution, Tunnel};
use crate::control::opening::tenant_device;
use crate::control::start::StartError;
use crate::control::tunnels::{port_links, tunnels};
use crate::counters::Counters;
use crate::dataplane::Shared;
use crate::fdb::Fdb;
use crate::forwarding::PortId;

/// A running gateway.
pub struct Gateway {
    /// What it shares with its workers.
    pub shared: Arc<Shared>,
    /// The workers' clock.
    pub clock: Clock,
    /// One block per worker.
    pub counters: Vec<Arc<Counters>>,
    /// What the numbers are called.
    pub names: Names,
    /// The tunnels.
    pub tunnels: Vec<Tunnel>,
    /// The ports as configured, by [`PortId`].
    pub ports: Vec<PortLink>,
    /// What moves the frames of each port, in words, by [`PortId`].
    pub backends: Vec<String>,
    /// Devices that only tenants are behind.
    pub tenant_devices: Vec<String>,
    /// How the tunnels were resolved last.
    pub resolution: ArcSwap<Resolution>,
    news: Mutex<News>,
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

/// The filter names a tenant that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no tenant `{0}`")]
pub struct NoSuchTenant(pub String);

impl Gateway {
    /// The gateway of a plan whose ports are open, with its static addresses in the table.
    ///
    /// # Errors
    /// When the table has no room for a static address.
    pub fn new(config: &Config, plan: Plan, backends: Vec<String>, workers: usize) -> Result<Self, StartError> {
        // Random, so that no tenant can choose MACs that crowd into one place of the table.
        let seed = RandomState::new().hash_one(0);
        let fdb = Fdb::with_capacity_and_seed(plan.settings.fdb_capacity, seed);
        let tenant_devices = plan.ports.iter().filter_map(|port| tenant_device(&plan, port)).map(str::to_owned);
        let gateway = Self {
            clock: Clock::start(),
            counters: (0..workers).map(|_| Arc::new(Counters::new(&plan.forwarding))).collect(),
            tunnels: tunnels(config, &plan),
            ports: port_links(&plan),
            backends,
            tenant_devices: tenant_devices.collect(),
            resolution: ArcSwap::default(),
            news: Mutex::default(),
            shared: Arc::new(Shared::new(plan.forwarding, fdb)),
            names: plan.names,
        };
        let fdb = &gateway.shared.fdb;
        for entry in &plan.statics {
            let inserted = fdb.insert_static(fdb.key(entry.domain, entry.mac), entry.target);
            inserted.map_err(|_| StartError::Full(entry.mac))?;
        }
        Ok(gateway)
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
        let mut parts = vec![plural(self.ports.len(), "port")];
        if !self.tunnels.is_empty() {
            let resolved = self.tunnels.iter().filter(is_resolved).count();
            parts.push(format!("{resolved} of {} resolved", plural(self.tunnels.len(), "tunnel peer")));
        }
        parts.push(plural(self.names.domains().count(), "tenant"));
        parts.push(plural(self.counters.len(), "worker"));
        parts.join(", ")
    }
}
