//! Opening a device: attach the program, bind a socket to every queue, and say how well it went.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capabilities};

use super::attach::Redirect;
use super::filter::Filter;
use super::queue::{self, Queue, RECEIVE_RING};
use super::umem::{Transfer, Umem};
use super::{AfXdpPort, CHUNKS_PER_SOCKET};
use crate::bpf::Hook;
use crate::io::ethtool::Unstripped;

/// How often a queue that is still busy with the socket before is tried, and how long after each time.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(25);

/// What a port on XDP sockets is to be opened with.
#[derive(Debug)]
pub struct OpenRequest<'w, 'mem> {
    /// The device.
    pub device: &'w str,
    /// The device's interface index.
    pub ifindex: u32,
    /// Number of its queues.
    pub queues: u32,
    /// The frames that are the gateway's.
    pub filter: Filter,
    /// The memory of each worker; there are at most as many as queues.
    pub umems: &'w [Arc<Umem<'mem>>],
    /// Whether the program may run behind the driver.
    pub may_be_generic: bool,
}

/// How frames come and go: what the log says.
#[derive(Debug)]
pub struct Mode {
    hook: Hook,
    transfer: Transfer,
    /// The driver's error, if it runs no XDP program.
    no_driver: Option<io::Error>,
    /// The error of the first bind without copies, if that was refused.
    no_zero_copy: Option<io::Error>,
    queues: u32,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.hook, self.transfer) {
            (Hook::Native, Transfer::ZeroCopy) => "zero-copy",
            (Hook::Native, Transfer::Copy) => "native, with copies",
            (Hook::Generic, _) => "generic, with copies",
        })?;
        write!(f, ", {} queue{}", self.queues, if self.queues == 1 { "" } else { "s" })?;
        if let Some(error) = &self.no_driver {
            write!(f, "; the driver runs no XDP program: {error}")?;
        } else if let Some(error) = &self.no_zero_copy {
            write!(f, "; zero-copy was refused: {error}")?;
        }
        Ok(())
    }
}

/// Why a device is not open.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Capabilities are missing.
    #[error("no permission for XDP sockets: {} missing; run as root, or grant {}", list(.0), list(.0))]
    Capabilities(Vec<&'static str>),
    /// Every capability is here, but only within a user namespace.
    #[error(
        "the kernel refuses to load XDP programs although all capabilities are here: they do not count in a user \
         namespace"
    )]
    UserNamespace,
    /// Somebody else's program is on the device.
    #[error("another XDP program is attached to the device; `ip link show` tells its number")]
    Attached,
    /// It cannot carry frames in one piece as long as its MTU lets them be.
    #[error("the device takes no XDP program at its MTU: {0}; a smaller MTU may do")]
    Mtu(io::Error),
    /// The device takes VLAN tags out of the frames.
    #[error("it strips VLAN tags on receive, and that cannot be turned off: {0}")]
    Strips(io::Error),
    /// Some worker would have none of its queues.
    #[error("it has {0} queues for {1} workers (`ethtool -l`)")]
    Queues(u32, usize),
    /// There is no memory for it.
    #[error("no memory was laid out for XDP sockets")]
    NoMemory,
    /// The system refuses something.
    #[error("{0}: {1}")]
    System(&'static str, #[source] io::Error),
}

fn list(names: &[&str]) -> String {
    names.join(" and ")
}

/// The capabilities that XDP sockets take and this thread does not have. Without the right to lock memory they take
/// what an ordinary process may lock, which is little.
#[must_use]
pub fn missing(locking: bool) -> Vec<&'static str> {
    let Ok(have) = capabilities(None) else { return Vec::new() };
    let wanted = [
        // CAP_SYS_ADMIN includes CAP_BPF for the sake of older programs.
        (CapabilitySet::BPF | CapabilitySet::SYS_ADMIN, "CAP_BPF"),
        (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
        (CapabilitySet::NET_RAW, "CAP_NET_RAW"),
        (if locking { CapabilitySet::IPC_LOCK } else { CapabilitySet::all() }, "CAP_IPC_LOCK"),
    ];
    let lacks = |any: CapabilitySet| !have.effective.intersects(any);
    wanted.into_iter().filter(|(any, _)| lacks(*any)).map(|(_, name)| name).collect()
}

fn fault(doing: &'static str, error: io::Error) -> SetupError {
    match Errno::from_io_error(&error) {
        Some(Errno::PERM) => {
            let missing = missing(false);
            if missing.is_empty() { SetupError::UserNamespace } else { SetupError::Capabilities(missing) }
        }
        // The memory is more than an ordinary process may lock.
        Some(Errno::NOBUFS) => SetupError::Capabilities(vec!["CAP_IPC_LOCK"]),
        Some(Errno::BUSY | Errno::EXIST) => SetupError::Attached,
        Some(Errno::RANGE) => SetupError::Mtu(error),
        _ => SetupError::System(doing, error),
    }
}

/// Opens a device for as many workers as there is memory for. Every one gets every so-many-th queue. No frame is
/// taken from the kernel before the ports are started.
///
/// # Errors
/// Why not. Nothing is left behind then.
pub fn open<'mem>(request: OpenRequest<'_, 'mem>) -> Result<(Vec<AfXdpPort<'mem>>, Arc<Redirect>, Mode), SetupError> {
    let OpenRequest { device, ifindex, queues, filter, umems, may_be_generic } = request;
    if (queues as usize) < umems.len() {
        return Err(SetupError::Queues(queues, umems.len()));
    }
    // A frame whose tag is gone would pass for one that never had any.
    let unstripped = Unstripped::of(device, ifindex).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => fault("cannot have the device leave VLAN tags in the frames", error),
        _ => SetupError::Strips(error),
    })?;
    let frags = umems.first().is_some_and(|umem| umem.frags());
    let attached = Redirect::attach(ifindex, filter, queues, frags, may_be_generic, unstripped);
    let (redirect, no_driver) = attached.map_err(|error| fault("cannot attach an XDP program", error))?;
    let redirect = Arc::new(redirect);
    let mut mode = Mode { hook: redirect.hook(), transfer: Transfer::Copy, no_driver, no_zero_copy: None, queues };

    let mut workers: Vec<_> = umems.iter().map(|_| Vec::new()).collect();
    for queue in 0..queues {
        let worker = queue as usize % umems.len().max(1);
        let (Some(umem), Some(share)) = (umems.get(worker), workers.get_mut(worker)) else { continue };
        share.push(bind(umem, ifindex, queue, &mut mode).map_err(|error| fault("cannot bind an XDP socket", error))?);
    }
    let ports = workers.into_iter().map(|queues| AfXdpPort::new(redirect.clone(), queues)).collect::<io::Result<_>>();
    Ok((ports.map_err(|error| fault("cannot wait for XDP sockets", error))?, redirect, mode))
}

/// Whether this process can open a device, as far as that shows before anything is changed or held there.
///
/// # Errors
/// Why not.
pub fn examine(device: &str, filter: &Filter, frags: bool) -> Result<(), SetupError> {
    let missing = missing(true);
    if !missing.is_empty() {
        return Err(SetupError::Capabilities(missing));
    }
    Unstripped::examine(device).map_err(SetupError::Strips)?;
    Redirect::examine(filter, frags).map_err(|error| fault("cannot load an XDP program", error))?;
    queue::open().map(drop).map_err(|error| fault("cannot make an XDP socket", error))
}

/// Binds one queue: without copies if the device can do without, until the first one was refused that.
fn bind<'mem>(umem: &Arc<Umem<'mem>>, ifindex: u32, queue: u32, mode: &mut Mode) -> io::Result<Queue<'mem>> {
    if mode.hook == Hook::Native && mode.no_zero_copy.is_none() {
        match patiently(|| Queue::bind(umem, ifindex, queue, Transfer::ZeroCopy)) {
            Ok(bound) => {
                mode.transfer = Transfer::ZeroCopy;
                return Ok(bound);
            }
            Err(error) => mode.no_zero_copy = Some(error),
        }
    }
    mode.transfer = Transfer::Copy;
    patiently(|| Queue::bind(umem, ifindex, queue, Transfer::Copy))
}

/// Tries again while the kernel is still taking a socket before apart.
fn patiently<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..TRIES {
        match work() {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::BUSY) => thread::sleep(PAUSE),
            other => return other,
        }
    }
    work()
}

/// Chunks of one granule that a worker's memory should have for so many sockets, and for what is between them.
#[must_use]
pub const fn chunks_for(sockets: usize) -> usize {
    sockets * RECEIVE_RING as usize + CHUNKS_PER_SOCKET
}
