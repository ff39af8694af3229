//! A running gateway, as its control plane sees it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use thiserror::Error;

use crate::control::clock::Clock;
use crate::control::compile::Names;
use crate::control::history::History;
use crate::control::next_hops::{Resolution, Tunnel};
use crate::counters::Counters;
use crate::dataplane::Shared;
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
    /// What moves the frames of each port, in words, by [`PortId`].
    pub backends: Vec<String>,
    /// How the tunnels were resolved last.
    pub resolution: ArcSwap<Resolution>,
    news: Mutex<News>,
}

/// What the workers told.
#[derive(Debug, Default)]
pub struct News {
    /// Of MAC addresses.
    pub history: History,
    /// Of ports that do not work.
    pub failures: HashMap<PortId, String>,
}

/// The filter names a tenant that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no tenant `{0}`")]
pub struct NoSuchTenant(pub String);

impl Gateway {
    /// What the workers told so far.
    pub fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
