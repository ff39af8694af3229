//! The TCP port that metrics are served on: opened at the start, and exchanged for another at a reload.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use rustix::fs::{Gid, Uid, fchown};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::gateway::Gateway;
use crate::admin::metrics::MetricsServer;
use crate::compile::{Plan, Serving};
use crate::config::{Problem, Problems};
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
    /// Starts the thread, which serves by this port.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start(gateway: &Arc<Gateway>, open: Option<OpenPort>) -> io::Result<Self> {
        let mut port = Self { server: MetricsServer::start(Arc::clone(gateway))?, open: None };
        port.switch(NextPort::Other(open));
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
    /// When it cannot be had, which is told with its place in the file.
    pub(super) fn prepare(&self, plan: &Plan) -> Result<NextPort, Problems> {
        let Some(serving) = plan.settings.metrics.serving else { return Ok(NextPort::Other(None)) };
        if self.server.is_serving() && self.open.as_ref().is_some_and(|open| open.at == serving.at) {
            return Ok(NextPort::Same);
        }
        let opened = open(serving.at, self.open.as_ref()).map_err(|error| problems(plan, serving, &error))?;
        Ok(NextPort::Other(Some(opened)))
    }

    /// Serves by what was prepared.
    pub(super) fn switch(&mut self, next: NextPort) {
        let NextPort::Other(open) = next else { return };
        match open.as_ref().map(|open| open.listener.try_clone()).transpose() {
            Ok(listener) => {
                self.server.serve(listener);
                self.open = open;
            }
            Err(error) => {
                self.server.serve(None);
                self.open = None;
                LogEvent::MetricsNotServed { why: &error.to_string() }.tell();
            }
        }
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

/// Opens the port that a plan names, if it names one. A gateway that has taken the place of another goes on without, since
/// there is no way back.
///
/// # Errors
/// When it cannot be had, which is told with its place in the file.
pub fn open_first(plan: &Plan, is_successor: bool) -> Result<Option<OpenPort>, Problems> {
    let Some(serving) = plan.settings.metrics.serving else { return Ok(None) };
    match open(serving.at, None) {
        Ok(port) => Ok(Some(port)),
        Err(error) if is_successor => {
            LogEvent::MetricsNotServed { why: &format!("{}: {error}", serving.at) }.tell();
            Ok(None)
        }
        Err(error) => Err(problems(plan, serving, &error)),
    }
}

/// Why the port that a plan names could not be had now, if it could not.
pub(super) fn examine(plan: &Plan) -> Vec<Problem> {
    open_first(plan, false).err().map_or_else(Vec::new, |problems| problems.0)
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

fn problems(plan: &Plan, serving: Serving, error: &io::Error) -> Problems {
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
    let problem = Problem::error(&plan.source, span, format!("cannot serve metrics on {at}: {error}"));
    Problems(vec![problem.help(help)])
}
