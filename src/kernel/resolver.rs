//! Keeps next hops right while the gateway runs: reads the kernel's tables once, then follows what changes, and has
//! the kernel ask for the neighbours that tunnels use.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{Stream, StreamExt};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, MissedTickBehavior};

use super::asking::{Asking, NeighbourKey, crowded};
use super::netlink::{KernelChange, Netlink};
use super::next_hops::{Complaint, Resolution, flows, resolve};
use super::said::SaidComplaints;
use super::tables::{Kernel, NeighbourRoom};
use crate::forwarding::{PeerId, PortId, Slab};
use crate::logging::LogEvent;
use crate::rib::facts::{PathFact, PortLink, Targets, Tunnel};

/// How often it is seen which neighbours are to be asked for, and complaints are looked at. The unit of [`Asking`].
const TICK: Duration = Duration::from_secs(1);
/// Changes come in bunches; this long we wait for the rest of one.
const BUNCH: Duration = Duration::from_millis(10);
/// Reading the kernel's tables again takes at most one part in so many of our time, whatever a routing daemon does.
const SHARE: u32 = 10;
/// But what has changed waits no longer than this for its turn: on a busy machine reading takes long for reasons of its own.
const LONGEST_REST: Duration = Duration::from_secs(1);

type Changes = Pin<Box<dyn Stream<Item = KernelChange> + Send + Sync>>;

/// Follows the kernel's tables for a set of tunnels.
pub struct Resolver {
    netlink: Netlink,
    changes: Changes,
    tunnels: BTreeMap<PeerId, Tunnel>,
    ports: Slab<PortId, PortLink>,
    kernel: Kernel,
    resolutions: BTreeMap<PeerId, Resolution>,
    /// The neighbours that any of them depends on.
    neighbours: BTreeSet<NeighbourKey>,
    /// The peers whose resolution has changed since the last call of [`news`](Self::news).
    changed: BTreeSet<PeerId>,
    asking: Asking,
    said: SaidComplaints,
    /// How many neighbours the kernel has room for, and what was said of it.
    room: NeighbourRoom,
    crowded: Vec<String>,
    ticks: u32,
    /// What of our copy of the kernel's tables has to be read again, and when the time for it has come.
    stale: Stale,
    rests_until: Instant,
}

/// How much of our copy of the kernel's tables is out of date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stale {
    Nothing,
    Routes,
    Everything,
}

impl Resolver {
    /// Reads the kernel's tables in this thread's network namespace and resolves what is already known.
    ///
    /// # Errors
    /// When the kernel answers no netlink question.
    pub async fn start(tunnels: Vec<Tunnel>, ports: Slab<PortId, PortLink>) -> io::Result<Self> {
        let (netlink, changes) = Netlink::open()?;
        let kernel = netlink.read(|kernel| flows(&tunnels, &ports, kernel)).await?;
        let room = netlink.neighbour_room().await;
        let mut resolver = Self {
            netlink,
            changes: Box::pin(changes),
            tunnels: tunnels.into_iter().map(|tunnel| (tunnel.peer, tunnel)).collect(),
            ports,
            kernel,
            resolutions: BTreeMap::new(),
            neighbours: BTreeSet::new(),
            changed: BTreeSet::new(),
            asking: Asking::default(),
            said: SaidComplaints::default(),
            room,
            crowded: Vec::new(),
            ticks: 0,
            stale: Stale::Nothing,
            rests_until: Instant::now(),
        };
        resolver.resolve_all();
        resolver.ask().await;
        Ok(resolver)
    }

    /// The ports that it knows.
    #[must_use]
    pub fn ports(&self) -> &Slab<PortId, PortLink> {
        &self.ports
    }

    /// The kernel's tables as we know them now.
    #[must_use]
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The resolution of the tunnel to a peer.
    #[must_use]
    pub fn resolution(&self, peer: PeerId) -> Option<&Resolution> {
        self.resolutions.get(&peer)
    }

    /// The paths of the tunnels whose resolution has changed since the last call.
    pub fn news(&mut self) -> Vec<PathFact> {
        let fact = |peer: PeerId| {
            let Resolution { hops, complaints, .. } = self.resolutions.get(&peer)?;
            let complaints = complaints.iter().map(Complaint::to_string).collect();
            Some(PathFact { peer, hops: hops.as_slice().into(), complaints })
        };
        std::mem::take(&mut self.changed).into_iter().filter_map(fact).collect()
    }

    /// Gives neighbours a moment to answer, so that a gateway that says it is ready usually is.
    pub async fn settle(&mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while self.complaints().any(|(_, complaint)| complaint.is_passing()) {
            tokio::select! {
                Some(change) = self.changes.next() => drop(self.follow(change).await),
                () = tokio::time::sleep_until(self.rests_until), if self.stale > Stale::Nothing => {
                    self.catch_up(false).await;
                }
                () = tokio::time::sleep_until(deadline) => return,
            }
        }
    }

    fn complaints(&self) -> impl Iterator<Item = (PeerId, &Complaint)> {
        let all = self.resolutions.iter();
        all.flat_map(|(peer, resolution)| resolution.complaints.iter().map(|complaint| (*peer, complaint)))
    }

    /// Follows the kernel for ever, calling `report` whenever something that it may care about has changed.
    /// `targets` brings other tunnels and ports.
    pub async fn run(mut self, mut targets: UnboundedReceiver<Targets>, mut report: impl FnMut(&mut Self)) {
        let mut tick = tokio::time::interval_at(Instant::now() + TICK, TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Neighbours have a moment more before we complain of them; what time will not heal is said now.
        self.say(|complaint| !complaint.is_passing());
        self.count();
        report(&mut self);
        loop {
            let has_news = tokio::select! {
                change = self.changes.next() => {
                    if change.is_none() {
                        LogEvent::KernelLost {}.tell();
                        tokio::time::sleep(TICK).await;
                    }
                    self.follow(change.unwrap_or(KernelChange::Lost)).await
                }
                () = tokio::time::sleep_until(self.rests_until), if self.stale > Stale::Nothing => {
                    self.catch_up(false).await
                }
                Some(newest) = targets.recv() => {
                    self.aim(newest).await;
                    true
                }
                _ = tick.tick() => {
                    self.tick().await;
                    false
                }
            };
            if has_news {
                report(&mut self);
            }
        }
    }

    /// Takes in this change and the bunch it comes in, and resolves. Whether there is anything new.
    async fn follow(&mut self, change: KernelChange) -> bool {
        let mut has_changed = self.note(change);
        let bunch = tokio::time::sleep(BUNCH);
        tokio::pin!(bunch);
        loop {
            tokio::select! {
                biased;
                () = &mut bunch => break,
                change = self.changes.next() => match change {
                    Some(change) => has_changed |= self.note(change),
                    None => break,
                },
            }
        }
        self.catch_up(has_changed).await
    }

    /// Reads again what has become doubtful, if it is time to, and resolves if anything is new.
    async fn catch_up(&mut self, has_changed: bool) -> bool {
        let is_due = self.stale > Stale::Nothing && Instant::now() >= self.rests_until;
        if is_due {
            let started = Instant::now();
            self.refresh().await;
            self.rests_until = Instant::now() + (started.elapsed() * SHARE).min(LONGEST_REST);
        }
        if is_due || has_changed {
            self.resolve_all();
            self.ask().await;
        }
        is_due || has_changed
    }

    fn resolve_all(&mut self) {
        self.neighbours.clear();
        let all: Vec<_> = self.tunnels.keys().copied().collect();
        self.resolve(&all);
    }

    fn resolve(&mut self, peers: &[PeerId]) {
        for peer in peers {
            let Some(tunnel) = self.tunnels.get(peer) else { continue };
            let resolution = resolve(tunnel, &self.ports, &self.kernel);
            self.neighbours.extend(&resolution.neighbours);
            if self.resolutions.get(peer) != Some(&resolution) {
                self.resolutions.insert(*peer, resolution);
                self.changed.insert(*peer);
            }
        }
    }

    /// Goes on with other tunnels and ports.
    async fn aim(&mut self, targets: Targets) {
        let fresh = match targets {
            Targets::All { tunnels, ports } => {
                self.ports = ports;
                self.tunnels = tunnels.into_iter().map(|tunnel| (tunnel.peer, tunnel)).collect();
                let tunnels = &self.tunnels;
                self.resolutions.retain(|peer, _| tunnels.contains_key(peer));
                let wanted = flows(tunnels.values(), &self.ports, &self.kernel);
                let wanted: HashSet<_> = wanted.into_iter().collect();
                self.kernel.routes.retain(|flow, _| wanted.contains(flow));
                // The RIB has another plan now, and gets all our facts again.
                self.changed.extend(tunnels.keys());
                self.neighbours.clear();
                self.asking.begin_again(|_| true);
                tunnels.keys().copied().collect()
            }
            Targets::Add(tunnels) => {
                let fresh: Vec<_> = tunnels.iter().map(|tunnel| tunnel.peer).collect();
                self.tunnels.extend(tunnels.into_iter().map(|tunnel| (tunnel.peer, tunnel)));
                fresh
            }
            Targets::Remove(peers) => {
                self.remove(&peers);
                return;
            }
        };
        let wanted = flows(fresh.iter().filter_map(|peer| self.tunnels.get(peer)), &self.ports, &self.kernel);
        let missing: Vec<_> = wanted.into_iter().filter(|flow| !self.kernel.routes.contains_key(flow)).collect();
        if !missing.is_empty() {
            self.kernel.missing.extend(self.netlink.missing(&missing).await);
            self.kernel.routes.extend(self.netlink.routes(&missing).await);
        }
        self.resolve(&fresh);
        self.ask().await;
        self.count();
    }

    fn remove(&mut self, peers: &[PeerId]) {
        for peer in peers {
            self.tunnels.remove(peer);
            self.resolutions.remove(peer);
            self.changed.remove(peer);
        }
        self.neighbours = self.resolutions.values().flat_map(|resolution| &resolution.neighbours).copied().collect();
    }

    /// Takes in a change. Whether anything that we have is another now; what has to be read again first is `stale`.
    fn note(&mut self, change: KernelChange) -> bool {
        match change {
            KernelChange::Neighbour(key, Some(neighbour)) => drop(self.kernel.neighbours.insert(key, neighbour)),
            KernelChange::Neighbour(key, None) => drop(self.kernel.neighbours.remove(&key)),
            KernelChange::Link(index, link) => {
                let before = match link.clone() {
                    Some(link) => self.kernel.links.insert(index, link),
                    None => self.kernel.links.remove(&index),
                };
                if before == link {
                    return false;
                }
                self.asking.begin_again(|(on, _)| *on == index);
                // IPv6 routes of a device that loses its carrier change without a message of their own.
                self.stale = self.stale.max(Stale::Routes);
            }
            KernelChange::Routes => {
                self.stale = self.stale.max(Stale::Routes);
                return false;
            }
            KernelChange::Lost => {
                self.stale = Stale::Everything;
                return false;
            }
        }
        true
    }

    async fn refresh(&mut self) {
        match std::mem::replace(&mut self.stale, Stale::Nothing) {
            Stale::Nothing => {}
            Stale::Routes => {
                let wanted = flows(self.tunnels.values(), &self.ports, &self.kernel);
                // The addresses first: the kernel tells of a device before it changes that device's routes, and answers this
                // only once it has.
                self.kernel.missing = self.netlink.missing(&wanted).await;
                self.kernel.routes = self.netlink.routes(&wanted).await.into_iter().collect();
            }
            Stale::Everything => {
                if let Err(error) = self.read_anew().await {
                    LogEvent::KernelUnreadable { why: &error.to_string() }.tell();
                    self.stale = Stale::Everything;
                }
            }
        }
    }

    /// Reads everything, with sockets of its own: what still waits in the old ones is older than what is read, and
    /// would undo it.
    async fn read_anew(&mut self) -> io::Result<()> {
        let (netlink, changes) = Netlink::open()?;
        self.kernel = netlink.read(|kernel| flows(self.tunnels.values(), &self.ports, kernel)).await?;
        self.netlink = netlink;
        self.changes = Box::pin(changes);
        Ok(())
    }

    async fn tick(&mut self) {
        self.ticks += 1;
        self.ask().await;
        self.say(|_| true);
    }

    /// Asks for the neighbours whose turn it is.
    async fn ask(&mut self) {
        self.forget_silent().await;
        let neighbours = &self.kernel.neighbours;
        for key in self.asking.due(self.ticks, &self.neighbours, |key| neighbours.get(key)) {
            let (link, address) = key;
            let on = |error| format!("{error} (on {})", self.kernel.link_name(link));
            let outcome = self.netlink.probe(link, address).await;
            self.asking
                .answer(key, outcome.map_err(|error| if is_full(&error) { error.to_string() } else { on(error) }));
        }
        for words in self.asking.refusals() {
            LogEvent::NeighboursRefused { why: &words }.tell();
        }
    }

    /// Makes room in the kernel's table where nobody has answered.
    async fn forget_silent(&mut self) {
        let known = &mut self.kernel.neighbours;
        for key in &self.neighbours {
            if known.get(key).is_some_and(|entry| entry.has_failed) {
                // The kernel may have been quicker.
                let _ = self.netlink.forget(key.0, key.1).await;
                known.remove(key);
            }
        }
    }

    /// Says, once, that the kernel's table has no room for the neighbours of all tunnels.
    fn count(&mut self) {
        let crowded = crowded(&self.neighbours, self.room);
        if crowded != self.crowded {
            for words in &crowded {
                LogEvent::NeighboursRefused { why: words }.tell();
            }
            self.crowded = crowded;
        }
    }

    /// Logs each complaint once, and once more when it is over.
    fn say(&mut self, about: impl Fn(&Complaint) -> bool) {
        let complaints = self.complaints().filter(|(_, complaint)| about(complaint));
        let now = complaints.map(|(peer, complaint)| (peer, complaint.clone())).collect();
        let tunnels = &self.tunnels;
        self.said.update(now, &self.kernel, |peer| tunnels.get(&peer).map(|tunnel| &*tunnel.name));
    }
}

fn is_full(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOBUFS)
}
