//! What is known, to be read.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::Rib;
use super::activity::Activity;
use super::drop_samples::DropSamples;
use super::facts::Tunnel;
use super::history::History;
use super::learned::LearnedPeers;
use super::loops::Loops;
use super::path_reports::PathReports;
use crate::compile::{Names, Plan};
use crate::counters::Counters;
use crate::dataplane::Shared;
use crate::forwarding::{Hop, PeerId, PortId};

/// A tunnel, by its ends.
#[derive(Debug, Clone, Copy)]
pub struct TunnelEnd<'a> {
    /// The peer.
    pub peer: PeerId,
    /// The name of our endpoint.
    pub endpoint: &'a str,
    /// The peer's address.
    pub remote: IpAddr,
    /// When the peer was learned, in nanoseconds of the workers' clock; none for one of the file's.
    pub learned: Option<u64>,
}

impl Rib {
    /// The tables and the FDB, as the workers share them.
    #[must_use]
    pub const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// What the workers count, one block each.
    #[must_use]
    pub fn counters(&self) -> &[Arc<Counters>] {
        &self.counters
    }

    /// What the file says.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What the numbers of the tables are called, learned peers included.
    #[must_use]
    pub const fn names(&self) -> &Names {
        &self.plan.names
    }

    /// The peers that were learned.
    #[must_use]
    pub const fn learned(&self) -> &LearnedPeers {
        &self.learned
    }

    /// The tunnels that need next hops, those to learned peers included.
    pub fn tunnels(&self) -> impl Iterator<Item = Tunnel> + '_ {
        Tunnel::all_of(&self.plan).into_iter().chain(self.learned.tunnels(&self.plan))
    }

    /// The tunnels that need next hops, those to learned peers included, without their paths.
    pub fn tunnel_ends(&self) -> impl Iterator<Item = TunnelEnd<'_>> {
        let stated = self.plan.tunnels.iter().map(|tunnel| TunnelEnd {
            peer: tunnel.peer,
            endpoint: &tunnel.endpoint,
            remote: tunnel.remote,
            learned: None,
        });
        stated.chain(self.learned.ends(&self.plan))
    }

    /// The paths to a peer, as their source knows them.
    #[must_use]
    pub fn hops(&self, peer: PeerId) -> &[Hop] {
        self.hops.get(peer).map_or(&[], |hops| hops)
    }

    /// What stands in the way of a peer, in words.
    #[must_use]
    pub fn complaints(&self, peer: PeerId) -> &[String] {
        self.complaints.get(&peer).map_or(&[], Vec::as_slice)
    }

    /// What the underlay said of the paths to peers.
    #[must_use]
    pub const fn reports(&self) -> &PathReports {
        &self.reports
    }

    /// Where MAC addresses have been.
    #[must_use]
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// The loops that were found.
    #[must_use]
    pub const fn loops(&self) -> &Loops {
        &self.loops
    }

    /// What was counted in the last seconds.
    #[must_use]
    pub const fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Frames that were dropped.
    #[must_use]
    pub const fn drop_samples(&self) -> &DropSamples {
        &self.drop_samples
    }

    /// The ports that do not carry frames, and why.
    #[must_use]
    pub const fn failures(&self) -> &BTreeMap<PortId, String> {
        &self.failures
    }
}
