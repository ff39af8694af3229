//! The DNS names of peers: asked of the system's resolver, away from the control thread, at the start and now and then.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::compile::{NamedPeer, Plan};
use crate::config::Answers;
use crate::logging::LogEvent;

/// How long anybody waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer is believed.
const EVERY: Duration = Duration::from_mins(1);
/// How soon to ask again while a name has no address.
const SOON: Duration = Duration::from_secs(5);
/// Questions at a time: the resolver takes a thread for each.
const AT_A_TIME: usize = 64;

/// A place for each question that the resolver has not answered, whether or not anybody still waits: threads are there
/// for other work too.
static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(AT_A_TIME)));

/// What names resolve to, by name.
pub type Found = BTreeMap<String, Result<BTreeSet<IpAddr>, String>>;

/// Asks for the addresses of names. It takes five seconds at most, however many there are and whatever the resolver does.
pub async fn look_up(hosts: BTreeSet<String>) -> Found {
    let deadline = Instant::now() + PATIENCE;
    let mut asking = JoinSet::new();
    for host in hosts {
        asking.spawn(async move {
            let found = match timeout_at(deadline, addresses(host.clone())).await {
                Ok(Ok(found)) => Ok(found),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
            };
            (host, found)
        });
    }
    asking.join_all().await.into_iter().collect()
}

/// Asks the system's resolver, on a thread that keeps its place until there is an answer.
async fn addresses(host: String) -> io::Result<BTreeSet<IpAddr>> {
    let place = Arc::clone(&PLACES).acquire_owned().await.map_err(io::Error::other)?;
    let asking = spawn_blocking(move || -> io::Result<BTreeSet<IpAddr>> {
        let _place = place;
        Ok((host.as_str(), 0).to_socket_addrs()?.map(|address| address.ip()).collect())
    });
    asking.await?
}

/// The addresses that the peers of a plan have.
#[must_use]
pub fn kept(plan: &Plan) -> BTreeMap<(String, String), IpAddr> {
    let of = |peer: &NamedPeer| Some(((peer.name.clone(), peer.host.clone()), peer.address?));
    plan.named.iter().filter_map(of).collect()
}

/// What is known of names before a plan is compiled beside this one.
pub async fn ask(hosts: BTreeSet<String>, before: impl FnOnce() -> BTreeMap<(String, String), IpAddr>) -> Answers {
    let found = if hosts.is_empty() { Found::new() } else { look_up(hosts).await };
    Answers { found, kept: before() }
}

/// Asks again, now and then.
#[derive(Default)]
pub struct Rounds {
    hosts: BTreeSet<String>,
    due: Option<Instant>,
    asking: Option<JoinHandle<Found>>,
}

impl Rounds {
    /// Goes on with the names of this plan, which have just been asked for.
    pub fn follow(&mut self, plan: &Plan) {
        self.hosts = plan.named.iter().map(|peer| peer.host.clone()).collect();
        let is_whole = plan.named.iter().all(|peer| peer.address.is_some());
        self.due = Some(Instant::now() + spread(if is_whole { EVERY } else { SOON }));
        self.asking = None;
    }

    /// The next answers. Whoever stops waiting loses none.
    pub async fn next(&mut self) -> Found {
        let Some(due) = self.due.filter(|_| !self.hosts.is_empty()) else { return std::future::pending().await };
        if self.asking.is_none() {
            sleep_until(due).await;
        }
        let asking = self.asking.get_or_insert_with(|| tokio::spawn(look_up(self.hosts.clone())));
        let found = asking.await.unwrap_or_default();
        self.asking = None;
        found
    }
}

/// A time that differs from gateway to gateway, so that they do not all ask at once: up to a tenth more or less.
fn spread(time: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) % 200;
    time * (900 + random as u32) / 1000
}

/// Tells what has become of names.
pub fn tell(before: &[NamedPeer], now: &[NamedPeer]) {
    for peer in now {
        let old = before.iter().find(|old| old.name == peer.name && old.host == peer.host);
        if let Some(address) = peer.address.filter(|address| old.is_none_or(|old| old.address != Some(*address))) {
            let was = old.and_then(|old| old.address);
            LogEvent::PeerAddress { peer: &peer.name, host: &peer.host, address, was }.tell();
        }
        if let Some(complaint) =
            peer.complaint.as_ref().filter(|_| old.is_none_or(|old| old.complaint != peer.complaint))
        {
            LogEvent::PeerAddressRefused { peer: &peer.name, why: complaint }.tell();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_names_than_there_are_places_are_all_asked_for() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let hosts: BTreeSet<_> = (1..=200).map(|host| format!("192.0.2.{host}")).collect();
        let found = runtime.block_on(look_up(hosts.clone()));
        assert!(found.keys().eq(&hosts));
        assert!(
            found.iter().all(|(host, found)| *found == Ok(BTreeSet::from([host.parse::<IpAddr>().unwrap()]))),
            "{found:?}"
        );
        assert_eq!(PLACES.available_permits(), AT_A_TIME, "every place is free again");
    }

    #[test]
    fn gateways_ask_at_different_times() {
        let times: BTreeSet<_> = (0..50).map(|_| spread(EVERY)).collect();
        assert!(times.len() > 10, "{times:?}");
        assert!(times.iter().all(|time| (54..=66).contains(&time.as_secs())), "{times:?}");
    }
}
