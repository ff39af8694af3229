//! The TCP port that metrics are served on: opened at the start, tried again while it cannot be had, and exchanged for another
//! at a reload.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Gid, Uid, fchown};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::gateway::Gateway;
use crate::admin::metrics::MetricsServer;
use crate::compile::{Plan, Serving};
use crate::config::{Problem, Problems};
use crate::logging::LogEvent;

/// Clients that may wait to be taken in.
const BACKLOG: i32 = 64;

/// The time between two attempts to open a port that could not be opened.
const AGAIN: Duration = Duration::from_secs(5);

/// The thread that serves metrics, and the port that it serves on.
pub struct MetricsPort {
    gateway: Arc<Gateway>,
    server: MetricsServer,
    /// Where the file wants metrics served, if it does.
    wanted: Option<SocketAddr>,
    /// None where the file names none, or it could not be had.
    open: Option<OpenPort>,
}

/// A port that is listened on.
#[derive(Debug)]
pub struct OpenPort {
    at: SocketAddr,
    listener: TcpListener,
}

/// What a reload makes of the port.
#[derive(Debug)]
pub(super) enum NextPort {
    /// It stays.
    Same,
    /// Another takes its place, or none.
    Other(Option<OpenPort>),
}

impl MetricsPort {
    /// Starts the thread, which serves by what was opened for the gateway's plan.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start(gateway: &Arc<Gateway>, opened: Option<io::Result<OpenPort>>) -> io::Result<Self> {
        let wanted = gateway.rib().plan().settings.metrics.serving.map(|serving| serving.at);
        let server = MetricsServer::start(Arc::clone(gateway))?;
        let mut port = Self { gateway: Arc::clone(gateway), server, wanted, open: None };
        if let Some(opened) = opened {
            port.serve_by(opened);
        }
        Ok(port)
    }

    /// The thread that serves.
    #[must_use]
    pub const fn server(&self) -> &MetricsServer {
        &self.server
    }

    /// Opens what another plan wants, while the port of now goes on.
    ///
    /// # Errors
    /// When it cannot be had, which is told with its place in the file. What could not be had before either stands in
    /// nobody's way.
    pub(super) fn prepare(&self, plan: &Plan) -> Result<NextPort, Problems> {
        let Some(serving) = plan.settings.metrics.serving else { return Ok(NextPort::Other(None)) };
        let is_the_same = self.wanted == Some(serving.at);
        if is_the_same && self.server.is_serving() {
            return Ok(NextPort::Same);
        }
        match open(serving.at, self.open.as_ref()) {
            Ok(opened) => Ok(NextPort::Other(Some(opened))),
            Err(_) if is_the_same => Ok(NextPort::Same),
            Err(error) => Err(Problems(vec![problem(plan, serving, &error)])),
        }
    }

    /// Serves by what was prepared.
    pub(super) fn switch(&mut self, next: NextPort) {
        let NextPort::Other(open) = next else { return };
        self.wanted = open.as_ref().map(|open| open.at);
        if let Some(open) = open {
            self.serve_by(Ok(open));
        } else {
            self.server.serve(None);
            self.open = None;
            self.gateway.set_metrics_failure(None);
        }
    }

    /// Tries again, for ever, to serve where that is wanted and could not be had. Whoever stops waiting loses nothing.
    pub(super) async fn keep(&mut self) -> Infallible {
        loop {
            tokio::time::sleep(AGAIN).await;
            if let Some(at) = self.wanted.filter(|_| !self.server.is_serving()) {
                self.open = None;
                self.serve_by(open(at, None));
                if self.server.is_serving() {
                    LogEvent::MetricsServed { listen: &at.to_string() }.tell();
                }
            }
        }
    }

    fn serve_by(&mut self, opened: io::Result<OpenPort>) {
        let shared = opened.and_then(|open| Ok((open.listener.try_clone()?, open)));
        let failure = match shared {
            Ok((listener, open)) => {
                self.server.serve(Some(listener));
                self.open = Some(open);
                None
            }
            Err(error) => {
                self.server.serve(None);
                self.open = None;
                self.wanted.map(|at| format!("{at}: {error}"))
            }
        };
        self.gateway.set_metrics_failure(failure);
    }
}

impl OpenPort {
    /// Gives it to another user, who can then open another one of the same number beside it, for a reload.
    ///
    /// # Errors
    /// When the system refuses it.
    pub(super) fn hand_over(&self, uid: u32, gid: u32) -> io::Result<()> {
        Ok(fchown(&self.listener, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?)
    }
}

/// Opens the port that a plan names, if it names one. A gateway that cannot have it starts all the same, and tries again:
/// tenants do not wait for whoever watches them.
#[must_use]
pub fn open_first(plan: &Plan) -> Option<io::Result<OpenPort>> {
    plan.settings.metrics.serving.map(|serving| open(serving.at, None))
}

/// Why the port that a plan names could not be had now, if it could not.
pub(super) fn examine(plan: &Plan) -> Option<Problem> {
    let serving = plan.settings.metrics.serving?;
    open(serving.at, None).err().map(|error| problem(plan, serving, &error))
}

fn open(at: SocketAddr, own: Option<&OpenPort>) -> io::Result<OpenPort> {
    match listen(at, false) {
        // Of two addresses one may cover the other: for a moment, both are ours.
        Err(error) if error.kind() == ErrorKind::AddrInUse && own.is_some_and(|own| own.at.port() == at.port()) => {
            let shared = own.map(|own| SockRef::from(&own.listener));
            shared.as_ref().map_or(Ok(()), |own| own.set_reuse_port(true))?;
            let opened = listen(at, true);
            shared.as_ref().map_or(Ok(()), |own| own.set_reuse_port(false))?;
            opened
        }
        opened => opened,
    }
}

fn listen(at: SocketAddr, is_shared: bool) -> io::Result<OpenPort> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    // Connections that were closed a moment ago are in nobody's way.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(is_shared)?;
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    socket.set_reuse_port(false)?;
    Ok(OpenPort { at, listener: socket.into() })
}

fn problem(plan: &Plan, serving: Serving, error: &io::Error) -> Problem {
    let Serving { at, span } = serving;
    let help = match error.kind() {
        ErrorKind::AddrInUse => {
            format!("`ss -ltnp 'sport = {}'` shows who listens there; name another port", at.port())
        }
        ErrorKind::AddrNotAvailable => "no device of this machine has the address; `ip address` shows them".to_owned(),
        ErrorKind::PermissionDenied => {
            "ports below 1024 are for whoever has CAP_NET_BIND_SERVICE, which a running gateway has given up: name \
             another port, or restart transload as root"
                .to_owned()
        }
        _ => "name another address or port".to_owned(),
    };
    Problem::error(&plan.source, span, format!("cannot serve metrics on {at}: {error}")).help(help)
}
