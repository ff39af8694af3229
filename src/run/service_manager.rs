//! The service manager that has started the gateway, if one has: it is told that the gateway is ready, reloads, is well,
//! stops, and who takes its place (`sd_notify(3)`).
//!
//! Each message is a datagram to the socket that the environment names. Control does not wait for the manager: what it has no
//! room for is sent again a moment later. Without such a socket nothing is sent.

use std::collections::VecDeque;
use std::env;
use std::ffi::OsStr;
use std::future::pending;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

use super::gateway::Gateway;
use crate::dataplane::Now;
use crate::dataplane::thread::Pulse;
use crate::logging::LogEvent;

/// Names the manager's socket.
const SOCKET: &str = "NOTIFY_SOCKET";
/// So many messages wait for the manager; an older one is then given up.
const MOST_OWED: usize = 16;
/// How often they are sent again, and the status looked at.
const LOOK: Duration = Duration::from_secs(1);
/// The status is sent at most so often.
const STATUS_PAUSE: Duration = Duration::from_secs(10);
/// A process that takes our place has us end within so long of saying so.
const SUCCESSION: Duration = Duration::from_secs(5);
/// A worker that has not moved for so long, or for half the watchdog's time if that is longer, hangs.
const BREATHLESS: Duration = Duration::from_secs(2);

/// The service manager, which may be nobody.
pub struct ServiceManager {
    channel: Option<(UnixDatagram, SocketAddr)>,
    talk: Mutex<Talk>,
}

/// What is said to it.
#[derive(Default)]
struct Talk {
    /// Messages that it has had no room for, the oldest first.
    owed: VecDeque<String>,
    /// Messages that were given up.
    lost: u64,
    /// It ends the gateway if it does not hear for so long that all is well.
    watchdog: Option<Duration>,
    /// The status that it knows, and since when.
    status: Option<(String, Instant)>,
    /// Since when another process takes our place and speaks instead.
    succeeded_at: Option<Instant>,
    /// We have been told to end.
    is_ending: bool,
    /// When we last said that all is well while we waited for our place.
    waiting_beat: Option<Instant>,
    /// A worker hangs, and the log says so.
    hangs: bool,
}

impl ServiceManager {
    /// The one that the environment names. To be called before rights are given up.
    #[must_use]
    pub fn find() -> Self {
        let name = env::var_os(SOCKET).filter(|name| !name.is_empty());
        let channel = name.and_then(|name| {
            let opened = open(&name);
            let failed = |error| {
                let why = format!("{SOCKET}={}: {error}", name.display());
                LogEvent::ServiceManagerNotTold { why: &why }.tell();
            };
            opened.map_err(failed).ok()
        });
        let watchdog = sd_notify::watchdog_enabled().filter(|_| channel.is_some());
        Self { channel, talk: Mutex::new(Talk { watchdog, ..Talk::default() }) }
    }

    /// The gateway carries frames. `status` is a line about it.
    pub fn is_ready(&self, status: String) {
        self.say(&[NotifyState::Ready, NotifyState::Status(&status)]);
        self.talk().status = Some((status, Instant::now()));
    }

    /// The file is read again.
    pub fn reloads(&self) {
        let since = NotifyState::monotonic_usec_now().ok();
        self.say(&[NotifyState::Reloading].into_iter().chain(since).collect::<Vec<_>>());
    }

    /// A reload is over, however it went: the gateway goes on.
    pub fn has_reloaded(&self) {
        self.say(&[NotifyState::Ready]);
    }

    /// The gateway ends.
    pub fn stops(&self) {
        self.say(&[NotifyState::Stopping]);
        self.talk().is_ending = true;
    }

    /// A process that takes our place has us end at once. Whoever has not has come to nothing: the service is ours again.
    fn take_back(&self) {
        let is_left = |since: Instant| since.elapsed() > SUCCESSION;
        let mut talk = self.talk();
        if !talk.is_ending && talk.succeeded_at.is_some_and(is_left) {
            talk.succeeded_at = None;
            drop(talk);
            self.say(&[NotifyState::MainPid(std::process::id())]);
        }
    }

    /// Another process takes our place: it is the service from now on, and alone has something to say. Returns how often it
    /// has to. That we are well is still said, for as long as we are there: it may not come to that.
    pub fn succeeded_by(&self, process: u32) -> Option<Duration> {
        self.say(&[NotifyState::MainPid(process)]);
        let mut talk = self.talk();
        talk.succeeded_at = Some(Instant::now());
        talk.watchdog
    }

    /// We take the place of a process that has been watched like this.
    pub fn succeeds(&self, watchdog: Option<Duration>) {
        if self.channel.is_some() {
            let mut talk = self.talk();
            talk.watchdog = talk.watchdog.or(watchdog);
        }
    }

    /// We wait for that process to end, and are well. To be called again and again.
    pub fn waits(&self) {
        let Some(watchdog) = self.talk().watchdog else { return };
        let is_due = |last: Option<Instant>| last.is_none_or(|last| last.elapsed() >= watchdog / 2);
        let last = self.talk().waiting_beat;
        if is_due(last) {
            self.say_now(&[NotifyState::Watchdog]);
            self.talk().waiting_beat = Some(Instant::now());
        }
    }

    /// Keeps it informed until the task is dropped: of the status when it changes, and that all is well as long as the workers
    /// breathe.
    pub(super) async fn attend(&self, gateway: &Gateway, pulses: &[Pulse]) {
        if self.channel.is_none() {
            return pending().await;
        }
        let watchdog = self.talk().watchdog;
        let half = watchdog.map_or(LOOK, |all| (all / 2).max(Duration::from_millis(1)));
        let [mut beats, mut looks] = [half, LOOK].map(interval);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = beats.tick(), if watchdog.is_some() => {
                    self.beat(pulses, gateway.clock.now(), half.max(BREATHLESS));
                }
                _ = looks.tick() => {
                    self.say(&[]);
                    self.take_back();
                    self.tell_status(gateway);
                }
            }
        }
    }

    fn beat(&self, pulses: &[Pulse], now: Now, patience: Duration) {
        let hanging =
            pulses.iter().position(|pulse| Duration::from_nanos(now.nanos).saturating_sub(pulse.last()) > patience);
        let was_hanging = std::mem::replace(&mut self.talk().hangs, hanging.is_some());
        match hanging {
            None => self.say_now(&[NotifyState::Watchdog]),
            Some(worker) if !was_hanging => LogEvent::WorkerHangs { worker, seconds: patience.as_secs() }.tell(),
            Some(_) => {}
        }
    }

    fn tell_status(&self, gateway: &Gateway) {
        let is_due = |status: &Option<(String, Instant)>| {
            status.as_ref().is_none_or(|(_, since)| since.elapsed() >= STATUS_PAUSE)
        };
        if self.talk().succeeded_at.is_some() || !is_due(&self.talk().status) {
            return;
        }
        let summary = gateway.summary();
        if self.talk().status.as_ref().is_none_or(|(known, _)| *known != summary) {
            self.say_now(&[NotifyState::Status(&summary)]);
            self.talk().status = Some((summary, Instant::now()));
        }
    }

    /// Says what must be heard, after what is owed.
    fn say(&self, states: &[NotifyState<'_>]) {
        let Some(channel) = &self.channel else { return };
        let mut talk = self.talk();
        if !states.is_empty() && talk.succeeded_at.is_none() {
            talk.owe(message(states));
        }
        while let Some(first) = talk.owed.front() {
            if send(channel, first).is_err() {
                break;
            }
            talk.owed.pop_front();
        }
    }

    /// Says what is of no use later.
    fn say_now(&self, states: &[NotifyState<'_>]) {
        self.say(&[]);
        let Some(channel) = &self.channel else { return };
        let mut talk = self.talk();
        if !talk.owed.is_empty() || send(channel, &message(states)).is_err() {
            talk.lose();
        }
    }

    fn talk(&self) -> MutexGuard<'_, Talk> {
        self.talk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Talk {
    fn owe(&mut self, message: String) {
        self.owed.push_back(message);
        if self.owed.len() > MOST_OWED {
            self.owed.pop_front();
            self.lose();
        }
    }

    fn lose(&mut self) {
        self.lost += 1;
        if self.lost.is_power_of_two() {
            LogEvent::ServiceManagerDeaf { count: self.lost }.tell();
        }
    }
}

fn open(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        _ => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is neither a path nor an abstract name (`@NAME`)",
            ));
        }
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

fn message(states: &[NotifyState<'_>]) -> String {
    states.iter().fold(String::new(), |lines, state| lines + &state.to_string() + "\n")
}

fn send((socket, address): &(UnixDatagram, SocketAddr), message: &str) -> io::Result<()> {
    socket.send_to_addr(message.as_bytes(), address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manager that listens on an abstract name of its own, and what it has been told so far.
    fn manager(name: &str) -> (ServiceManager, UnixDatagram) {
        let name = format!("transload-{name}-{}", std::process::id());
        let listener = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        listener.set_nonblocking(true).unwrap();
        let channel = Some(open(format!("@{name}").as_ref()).unwrap());
        (ServiceManager { channel, talk: Mutex::default() }, listener)
    }

    fn heard(listener: &UnixDatagram) -> Vec<String> {
        let mut buffer = [0; 512];
        let next = || listener.recv(&mut buffer).ok().map(|len| String::from_utf8_lossy(&buffer[..len]).into_owned());
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn who_has_no_room_is_told_later_in_order_and_nobody_waits() {
        let (manager, listener) = manager("room");
        let mut said = 0;
        while manager.talk().owed.len() < 3 {
            manager.reloads();
            manager.has_reloaded();
            said += 2;
        }
        manager.say_now(&[NotifyState::Watchdog]);
        assert_eq!(manager.talk().lost, 1, "a beat is of no use later");
        let mut messages = heard(&listener);
        while !manager.talk().owed.is_empty() {
            manager.say(&[]);
            messages.extend(heard(&listener));
        }
        assert_eq!(messages.len(), said);
        for pair in messages.chunks(2) {
            assert!(pair[0].starts_with("RELOADING=1\nMONOTONIC_USEC=") && pair[1] == "READY=1\n", "{pair:?}");
        }
    }

    #[test]
    fn a_manager_that_never_listens_costs_a_bounded_number_of_messages() {
        let (manager, listener) = manager("deaf");
        drop(listener);
        for _ in 0..100 {
            manager.has_reloaded();
        }
        let talk = manager.talk();
        assert_eq!((talk.owed.len(), talk.lost), (MOST_OWED, 100 - MOST_OWED as u64));
    }

    #[test]
    fn all_is_well_only_while_every_worker_breathes() {
        let (manager, listener) = manager("breath");
        let (at, patience) = (|seconds: u64| Now { nanos: seconds * 1_000_000_000 }, Duration::from_secs(5));
        let pulses = [Pulse::at(at(7)), Pulse::at(at(10))];
        manager.beat(&pulses, at(12), patience);
        assert_eq!(heard(&listener), ["WATCHDOG=1\n"]);
        manager.beat(&pulses, at(13), patience);
        assert!(heard(&listener).is_empty(), "the first has not moved for 6 s");
        pulses[0].beats(at(13));
        manager.beat(&pulses, at(14), patience);
        assert_eq!(heard(&listener), ["WATCHDOG=1\n"]);
    }

    #[test]
    fn who_is_succeeded_names_the_successor_and_says_only_that_it_is_well() {
        let (manager, listener) = manager("successor");
        manager.talk().watchdog = Some(Duration::from_secs(10));
        assert_eq!(manager.succeeded_by(4711), Some(Duration::from_secs(10)));
        manager.stops();
        manager.has_reloaded();
        manager.say_now(&[NotifyState::Watchdog]);
        assert_eq!(heard(&listener), ["MAINPID=4711\n", "WATCHDOG=1\n"]);
    }

    #[test]
    fn a_successor_that_comes_to_nothing_is_taken_back() {
        let (manager, listener) = manager("nothing");
        manager.succeeded_by(4711);
        manager.take_back();
        let ago = Instant::now().checked_sub(SUCCESSION * 2).unwrap();
        manager.talk().succeeded_at = Some(ago);
        manager.take_back();
        manager.has_reloaded();
        let ours = format!("MAINPID={}\n", std::process::id());
        assert_eq!(heard(&listener), ["MAINPID=4711\n", &*ours, "READY=1\n"]);
        manager.succeeded_by(4711);
        manager.stops();
        manager.talk().succeeded_at = Some(ago);
        manager.take_back();
        assert_eq!(heard(&listener), ["MAINPID=4711\n"], "it has us end");
    }

    #[test]
    fn a_socket_is_a_path_or_an_abstract_name() {
        open("/run/systemd/notify".as_ref()).unwrap();
        open("@/org/freedesktop".as_ref()).unwrap();
        open("vsock:2:1".as_ref()).unwrap_err();
        open(format!("/{}", "x".repeat(200)).as_ref()).unwrap_err();
    }
}
