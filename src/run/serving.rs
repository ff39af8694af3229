//! The TCP port that metrics are served on: opened at the start, and exchanged for another at a reload.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::admin::metrics::MetricsServer;
use crate::compile::{Plan, Serving};
use crate::config::Problem;
use crate::logging::LogEvent;

/// Clients that may wait to be taken in.
const BACKLOG: i32 = 64;

/// The thread that serves metrics, and the port that it serves on.
#[derive(Debug)]
pub struct MetricsPort {
    server: MetricsServer,
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
    /// Serves by this port from now on.
    #[must_use]
    pub fn new(server: MetricsServer, open: Option<OpenPort>) -> Self {
        let mut port = Self { server, open: None };
        port.switch(NextPort::Other(open));
        port
    }

    /// The thread that serves.
    #[must_use]
    pub const fn server(&self) -> &MetricsServer {
        &self.server
    }

    /// Opens what another plan wants, while the port of now goes on.
    ///
    /// # Errors
    /// When it cannot be had, which is told with its place in the file.
    pub(super) fn prepare(&self, plan: &Plan) -> Result<NextPort, Problem> {
        let Some(serving) = plan.settings.metrics.serving else { return Ok(NextPort::Other(None)) };
        if self.open.as_ref().is_some_and(|open| open.at == serving.at) {
            return Ok(NextPort::Same);
        }
        let opened = open(serving.at, self.open.as_ref()).map_err(|error| problem(plan, serving, &error))?;
        Ok(NextPort::Other(Some(opened)))
    }

    /// Serves by what was prepared.
    pub(super) fn switch(&mut self, next: NextPort) {
        let NextPort::Other(open) = next else { return };
        let listener = open.as_ref().map(|open| open.listener.try_clone());
        match listener.transpose() {
            Ok(listener) => self.server.serve(listener),
            Err(error) => LogEvent::MetricsNotServed { why: &error.to_string() }.tell(),
        }
        self.open = open;
    }
}

/// Opens the port that a plan names, if it names one.
///
/// # Errors
/// When it cannot be had, which is told with its place in the file.
pub fn open_first(plan: &Plan) -> Result<Option<OpenPort>, Problem> {
    let Some(serving) = plan.settings.metrics.serving else { return Ok(None) };
    open(serving.at, None).map(Some).map_err(|error| problem(plan, serving, &error))
}

/// Why the port that a plan names could not be had now, if it could not.
pub(super) fn examine(plan: &Plan) -> Option<Problem> {
    open_first(plan).err()
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
