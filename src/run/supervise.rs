//! Supervision: everything that the control plane does while the workers move frames, until it is stopped.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::thread::CapabilitySet;
use tokio::signal::unix::Signal;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use crate::admin;
use crate::admin::socket::AdminSocket;
use crate::compile::PortPlan;
use crate::config::Config;
use crate::dataplane::thread::Pulse;
use crate::events::EventReceiver;
use crate::io::heap;
use crate::io::quiet::{Quiet, UdpListener};
use crate::kernel::devices::devices;
use crate::kernel::memberships::{Memberships, wanted_groups};
use crate::kernel::resolver::Resolver;
use crate::logging::LogEvent;
use crate::run::exclusive::Exclusive;
use crate::run::gateway::{Gateway, ReloadReply, Requests};
use crate::run::host_names::Rounds;
use crate::run::housekeeping;
use crate::run::ipsec::Objections;
use crate::run::opening::{listen, listeners, quiet_tenants};
use crate::run::reload::Reloader;
use crate::run::remembering::{self, StateKeeper};
use crate::run::reopen::PortReopener;
use crate::run::serving::MetricsPort;
use crate::run::signals::Signals;
use crate::run::start::StartError;
use crate::run::underlay;

const LOOK: Duration = Duration::from_secs(1);
/// Lines of what a reload has changed that the event about it has at most.
const MOST_CHANGES: usize = 100;

/// What the control plane works with.
pub struct Supervision<'g, 'mem> {
    /// The gateway.
    pub gateway: &'g Arc<Gateway>,
    /// What follows the kernel's routes and neighbours.
    pub resolver: Resolver,
    /// What opens ports again whose device came back.
    pub reopeners: Vec<PortReopener<'mem>>,
    /// What keeps the kernel from answering tunnel packets and tenants.
    pub quiet: Quiet,
    /// The UDP ports among it.
    pub listening: BTreeSet<UdpListener>,
    /// The workers' events, one ring each.
    pub rings: Vec<EventReceiver>,
    /// The workers' pulses.
    pub pulses: Vec<Pulse>,
    /// The admin socket.
    pub admin: AdminSocket,
    /// What listens on it.
    pub listener: UnixListener,
    /// What tells us to stop, or to read the file again.
    pub signals: Signals,
    /// What others ask of control.
    pub requests: Requests,
    /// The gateway's file.
    pub file: PathBuf,
    /// The file as it was last loaded.
    pub config: Config,
    /// What no other gateway may serve.
    pub exclusive: Exclusive,
    /// The capabilities that were given up.
    pub given_up: CapabilitySet,
    /// The state file.
    pub keeper: Arc<StateKeeper>,
    /// What serves metrics.
    pub metrics: MetricsPort,
}

impl Supervision<'_, '_> {
    /// Works until a signal, or, if `attended`, until standard input is closed; or until the admin socket breaks or a worker
    /// is not `alive`, which is an error. Returns the locks too: they are kept until the workers rest.
    pub async fn run(self, attended: bool, alive: impl Fn() -> bool) -> (Result<(), StartError>, Exclusive) {
        let Self {
            gateway,
            resolver,
            mut reopeners,
            quiet,
            mut listening,
            rings,
            pulses,
            admin,
            listener,
            signals,
            requests,
            file,
            config,
            exclusive,
            given_up,
            keeper,
            metrics,
        } = self;
        let asking = metrics.server().asking();
        let mut signals = signals;
        let quiet = Mutex::new(quiet);
        let mut memberships = Memberships::default();
        let follow = resolver.run(requests.targets, |resolver| {
            for reopener in &mut reopeners {
                let Some(device) = reopener.look(resolver.kernel(), &gateway.shared.forwarding.load()) else {
                    continue;
                };
                let (rib, mut quiet) = (gateway.rib(), quiet.lock().unwrap_or_else(PoisonError::into_inner));
                let on_device = |port: &&PortPlan| port.backend.network_device() == Some(device);
                for port in rib.plan().ports.iter().filter(on_device) {
                    if let Err(error) = quiet_tenants(rib.plan(), port, &mut quiet) {
                        LogEvent::NotKeptQuiet { why: &error.to_string() }.tell();
                    }
                }
            }
            let wanted = listeners(gateway.rib().plan(), resolver.kernel());
            if wanted != listening {
                listen_elsewhere(&listening, &wanted, &mut quiet.lock().unwrap_or_else(PoisonError::into_inner));
                listening = wanted;
            }
            memberships.update(&wanted_groups(gateway.rib().plan()), resolver.kernel());
            gateway.change(|rib| {
                rib.devices(devices(resolver.ports(), resolver.kernel()));
                rib.resolved(resolver.news());
            });
            for reopener in &mut reopeners {
                reopener.follow(&gateway.shared.forwarding.load());
            }
        });
        let mut reloader = Reloader { file, config: Arc::new(config), exclusive, quiet: &quiet, given_up, metrics };
        // What reading the file took.
        tokio::task::spawn_blocking(heap::give_back);
        let Signals { stop, hangup } = &mut signals;
        let result = tokio::select! {
            () = stop.told() => Ok("a signal says so"),
            () = closed_input(attended) => Ok("standard input is closed"),
            () = died(alive) => Err(StartError::WorkerDied),
            () = follow => Ok("the kernel is followed no longer"),
            () = housekeeping::keep(gateway, rings) => Ok("the workers are heard no longer"),
            () = underlay::listen(gateway) => Ok("the underlay is heard no longer"),
            () = reloads(gateway, &mut reloader, requests.reloads, hangup) => Ok("nobody can ask for a reload"),
            () = remembering::keep(gateway, &keeper) => Ok("the state is kept no longer"),
            () = gateway.manager.attend(gateway, &pulses) => Ok("the service manager is attended no longer"),
            served = admin::serve(listener, gateway.clone(), asking) => match served {
                Ok(()) => Ok("the admin socket is closed"),
                Err(error) => Err(StartError::System("the admin socket broke", error)),
            }
        };
        gateway.manager.stops();
        LogEvent::Stopping { why: &result.as_ref().map_or_else(ToString::to_string, ToString::to_string) }.tell();
        // Those who follow events are told on this thread.
        tokio::task::yield_now().await;
        let result = result.map(drop);
        // A disk may be slow; the workers go on meanwhile.
        let Reloader { exclusive, metrics, .. } = reloader;
        drop((admin, metrics));
        keeper.write(gateway);
        (result, exclusive)
    }
}

/// Listens by other devices than before: one that came back is another, and a VRF may have been left.
fn listen_elsewhere(before: &BTreeSet<UdpListener>, now: &BTreeSet<UdpListener>, quiet: &mut Quiet) {
    quiet.keep_udp(now);
    for listener in now.difference(before) {
        if let Err(error) = listen(listener, quiet) {
            LogEvent::NotKeptQuiet { why: &error.to_string() }.tell();
        }
    }
}

/// Reads the file again whenever somebody asks for it, or SIGHUP comes; has the names of peers resolved anew, now and
/// then; and looks at IPsec policies when they change. Whoever asks while a reload runs waits for the next one, together
/// with all others who do.
async fn reloads(
    gateway: &Arc<Gateway>,
    reloader: &mut Reloader<'_>,
    mut asked: UnboundedReceiver<ReloadReply>,
    hangup: &mut Signal,
) {
    let mut rounds = Rounds::default();
    let mut objections = Objections::none();
    loop {
        rounds.follow(gateway.rib().plan());
        let first = tokio::select! {
            first = asked.recv() => first,
            _ = hangup.recv() => None,
            never = reloader.metrics.keep() => match never {},
            () = objections.change() => {
                objections.tell(gateway, &reloader.config).await;
                continue;
            }
            found = rounds.next() => {
                if let Err(refused) = reloader.resolve(gateway, found).await {
                    LogEvent::NamesRefused { why: &refused.to_string() }.tell();
                }
                continue;
            }
        };
        let askers: Vec<_> = first.into_iter().chain(std::iter::from_fn(|| asked.try_recv().ok())).collect();
        gateway.manager.reloads();
        let outcome = reloader.reload(gateway).await;
        gateway.manager.has_reloaded();
        match &outcome {
            Ok(done) => {
                done.warnings.iter().for_each(|why| LogEvent::Warning { why }.tell());
                let (count, summary) = (done.changes.len(), &*done.summary);
                let changes = &done.changes[..count.min(MOST_CHANGES)];
                LogEvent::ReloadDone { count, changes, summary }.tell();
                objections.tell(gateway, &reloader.config).await;
            }
            Err(refused) => LogEvent::ReloadRefused { why: &refused.to_string() }.tell(),
        }
        let outcome = outcome.map_err(|refused| refused.to_string());
        if let Err(why) = &outcome {
            gateway.record.rejected(why.clone());
        }
        for asker in askers {
            // Whoever asked may have gone.
            let _ = asker.send(outcome.clone());
        }
    }
}

async fn closed_input(attended: bool) {
    let (closed, told) = oneshot::channel();
    if !attended {
        return std::future::pending().await;
    }
    // A thread of its own: standard input has no other way to wait. It ends with the process.
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = closed.send(());
    });
    let _ = told.await;
}

async fn died(alive: impl Fn() -> bool) {
    while alive() {
        tokio::time::sleep(LOOK).await;
    }
}
