//! Control at work: everything it does while the workers move frames, until it is told to stop.

use std::io;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::control::gateway::Gateway;
use crate::control::opening::quiet_device;
use crate::control::resolver::Resolver;
use crate::control::revive::Revival;
use crate::control::start::StartError;
use crate::control::{admin, housekeeping, publish};
use crate::events::Receiver;
use crate::io::quiet::Quiet;

const LOOK: Duration = Duration::from_secs(1);

/// What control has in hand.
pub struct Supervision<'g, 'mem> {
    /// The gateway.
    pub gateway: &'g Arc<Gateway>,
    /// What follows the kernel's routes and neighbours.
    pub resolver: Resolver,
    /// What brings ports back.
    pub revivals: Vec<Revival<'mem>>,
    /// What keeps the machine from answering.
    pub quiet: Quiet,
    /// What the workers tell.
    pub rings: Vec<Receiver>,
    /// The admin socket.
    pub listener: UnixListener,
    /// What tells us to stop.
    pub signals: Signals,
}

impl Supervision<'_, '_> {
    /// Works until a signal, or, if `attended`, until standard input is closed.
    ///
    /// # Errors
    /// When the admin socket breaks, or a worker is not `alive` any more.
    pub async fn run(self, attended: bool, alive: impl Fn() -> bool) -> Result<(), StartError> {
        let Self { gateway, resolver, mut revivals, mut quiet, rings, listener, mut signals } = self;
        let follow = resolver.run(|resolution, kernel| {
            for revival in &mut revivals {
                let Some(device) = revival.look(kernel, &gateway.shared.forwarding.load()) else { continue };
                if gateway.tenant_devices.iter().any(|tenants| tenants == device)
                    && let Err(error) = quiet_device(device, &mut quiet)
                {
                    tracing::warn!("{error}");
                }
            }
            publish::publish(gateway, resolution, kernel);
            for revival in &revivals {
                revival.follow(&gateway.shared.forwarding.load());
            }
        });
        tokio::select! {
            () = signals.told() => Ok(()),
            () = closed_input(attended) => Ok(()),
            () = died(alive) => Err(StartError::WorkerDied),
            () = follow => Ok(()),
            () = housekeeping::keep(gateway, rings) => Ok(()),
            served = admin::serve(listener, gateway.clone()) => {
                served.map_err(|error| StartError::System("the admin socket broke", error))
            }
        }
    }
}

/// SIGINT, SIGTERM and SIGHUP.
pub struct Signals([Signal; 3]);

impl Signals {
    /// Listens from now on; a signal that comes before anybody waits is not lost.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn listen(runtime: &Runtime) -> io::Result<Self> {
        let _inside = runtime.enter();
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    /// Waits for one.
    pub async fn told(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
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
