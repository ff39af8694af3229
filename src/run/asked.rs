//! What the running gateway lends to those who ask it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::capturing::Capturing;
use super::gateway::Gateway;
use super::record::FileHistory;
use crate::admin::{Asked, CaptureParts, CaptureRequest};
use crate::config::on_disk;
use crate::forwarding::PeerId;
use crate::logging::unlogged;
use crate::report::drop_history::LastMinute;
use crate::report::rows::{GatewayRole, GatewayRow, HandedOver, LogRow, ReloadResult, Reloaded};
use crate::report::{GatewayState, PortState, TunnelState};

impl Asked for Gateway {
    fn read<R>(&self, tunnels: impl Fn(PeerId) -> bool, read: impl FnOnce(&GatewayState<'_>) -> R) -> R {
        let rib = self.rib();
        let named: HashMap<PeerId, _> =
            rib.plan().named.iter().filter(|peer| tunnels(peer.peer)).map(|peer| (peer.peer, peer)).collect();
        let complaint = |id| named.get(&id).and_then(|peer| peer.complaint.clone()).into_iter();
        let known = rib.tunnel_ends().filter(|tunnel| tunnels(tunnel.peer)).map(|tunnel| TunnelState {
            peer: tunnel.peer,
            endpoint: tunnel.endpoint,
            address: tunnel.remote.to_string(),
            learned: tunnel.learned,
            failures: complaint(tunnel.peer).chain(rib.complaints(tunnel.peer).iter().cloned()).collect(),
            report: rib.reports().of(tunnel.peer),
        });
        let nameless = named.values().filter(|peer| peer.address.is_none()).map(|peer| TunnelState {
            peer: peer.peer,
            endpoint: &peer.endpoint,
            address: peer.host.clone(),
            learned: None,
            failures: complaint(peer.peer).collect(),
            report: None,
        });
        read(&GatewayState {
            shared: rib.shared(),
            counters: rib.counters(),
            names: rib.names(),
            history: rib.history(),
            loops: rib.loops(),
            activity: Some(rib.activity()),
            crews: &self.crews,
            drop_samples: rib.drop_samples(),
            ports: self
                .backends
                .iter()
                .map(|(id, io)| (id, PortState { io, failure: rib.failures().get(&id).map(String::as_str) }))
                .collect(),
            tunnels: known.chain(nameless).collect(),
            now: self.clock.now(),
        })
    }

    fn tunnels(&self) -> Vec<(PeerId, Option<u64>)> {
        let rib = self.rib();
        let nameless = rib.plan().named.iter().filter(|peer| peer.address.is_none());
        let nameless = nameless.map(|peer| (peer.peer, None));
        rib.tunnel_ends().map(|tunnel| (tunnel.peer, tunnel.learned)).chain(nameless).collect()
    }

    fn gateway(&self) -> GatewayRow {
        let FileHistory { file, sha256, loaded, last, done, rejected } = self.record.history();
        let fdb = &self.shared.fdb;
        GatewayRow {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            role: GatewayRole::Active,
            file,
            sha256,
            started: self.record.started,
            loaded,
            in_force: last.as_ref().is_none_or(|last| last.result == ReloadResult::Done),
            last_reload: last,
            reloads_done: done,
            reloads_rejected: rejected,
            metrics_failure: self.metrics_failure(),
            fdb_entries: fdb.len() as u64,
            fdb_capacity: fdb.capacity() as u64,
            events_lost: self.events_lost.load(Ordering::Relaxed),
            log_lost: unlogged().lost(),
        }
    }

    fn leaves_out(&self) -> Box<dyn Fn(&str) -> bool> {
        let patterns = self.rib().plan().settings.metrics.leave_out.clone();
        Box::new(move |name| patterns.fit(name))
    }

    fn last_minute(&self) -> LastMinute {
        let rib = self.rib();
        self.drop_history().last_minute(rib.counters(), rib.names())
    }

    async fn changed_files(&self) -> BTreeMap<String, String> {
        let source = self.rib().plan().source.clone();
        // A disk may be slow.
        tokio::task::spawn_blocking(move || on_disk::differing(&source)).await.unwrap_or_default()
    }

    fn log(&self) -> LogRow {
        LogRow { held_back: unlogged().held_back(), lost: unlogged().lost() }
    }

    fn capture(self: Arc<Self>, request: CaptureRequest) -> Result<impl CaptureParts, String> {
        Capturing::begin(self, request)
    }

    async fn reload(&self) -> Option<Result<Reloaded, String>> {
        self.ask_for_reload().await.ok()
    }

    fn hand_over(&self, process: u32) -> HandedOver {
        let watchdog = self.manager.succeeded_by(process);
        HandedOver { watchdog_usec: watchdog.and_then(|time| u64::try_from(time.as_micros()).ok()) }
    }
}
