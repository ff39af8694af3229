//! Opening ports: the one arm per back-end, and errors that say what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use transload_encaps::Mac;

use super::Port;
use super::af_packet::AfPacketPort;
use super::af_xdp::{self, Filter, OpenRequest, Redirect, Survey, Umem};
use super::ip_device::IpDevicePort;
use super::link_layer::LinkLayer;
use super::sys::{self, Device};
use super::tap::TapPort;
use super::unix::UnixPort;
use crate::logging::LogEvent;

/// What moves a port's frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// Whatever works best on this device.
    Auto {
        /// The network device.
        device: String,
    },
    /// Packet sockets on a network device.
    AfPacket {
        /// The network device.
        device: String,
    },
    /// XDP sockets on a network device.
    AfXdp {
        /// The network device.
        device: String,
    },
    /// A TAP, created if it is not there.
    Tap {
        /// The network device.
        device: String,
    },
    /// A Unix datagram socket, one frame per datagram.
    Unix {
        /// Where our socket is.
        local: PathBuf,
        /// Where frames are sent; without it, to whoever sent last.
        remote: Option<PathBuf>,
    },
}

impl Backend {
    /// The network device, but for a TAP, which is the machine's end of a wire whose other end the gateway is.
    #[must_use]
    pub fn network_device(&self) -> Option<&str> {
        match self {
            Self::Auto { device } | Self::AfPacket { device } | Self::AfXdp { device } => Some(device),
            Self::Tap { .. } | Self::Unix { .. } => None,
        }
    }

    /// The same, to be given another name.
    pub fn network_device_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Auto { device } | Self::AfPacket { device } | Self::AfXdp { device } => Some(device),
            Self::Tap { .. } | Self::Unix { .. } => None,
        }
    }
}

/// What a port on XDP sockets is made of.
#[derive(Debug)]
pub struct Xdp<'x, 'mem> {
    /// The memory of each worker.
    pub umems: &'x [Arc<Umem<'mem>>],
    /// Which frames are the gateway's.
    pub filter: Filter,
}

/// An opened port.
pub struct Opened<'mem> {
    /// The port as each worker has it.
    pub ports: Vec<Box<dyn Port<'mem> + 'mem>>,
    /// Which back-end it is: `af_packet`, `af_packet (IP only)`, `af_xdp`, `tap` or `unix`.
    pub kind: &'static str,
    /// What decides which frames come to XDP sockets.
    pub redirect: Option<Arc<Redirect>>,
    /// Our MAC address there. A TAP's own address is the machine's at the other end of the wire, and a socket has
    /// none.
    pub mac: Option<Mac>,
    /// Most bytes of an IP packet; `None` for no limit.
    pub mtu: Option<u32>,
    /// The kernel's number of the device, if there is one.
    pub ifindex: Option<u32>,
    /// Whether frames can pass now.
    pub up: bool,
}

impl fmt::Debug for Opened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ports, kind, redirect, mac, mtu, ifindex, up } = self;
        f.debug_struct("Opened")
            .field("ports", &ports.len())
            .field("kind", kind)
            .field("redirect", redirect)
            .field("mac", mac)
            .field("mtu", mtu)
            .field("ifindex", ifindex)
            .field("up", up)
            .finish()
    }
}

/// A port that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("port {port}: {cause}")]
pub struct OpenError {
    /// The port's name in the configuration.
    pub port: String,
    /// The reason.
    #[source]
    pub cause: OpenCause,
}

/// Why a port cannot be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenCause {
    /// No network device has this name.
    #[error("there is no network device {device:?}{}", did_you_mean(.near.as_deref(), .all))]
    NoDevice {
        /// The name.
        device: String,
        /// The existing name that is most like it.
        near: Option<String>,
        /// Every name there is.
        all: Vec<String>,
    },
    /// A device that carries neither Ethernet frames nor IP packets.
    #[error(
        "{device} carries neither Ethernet frames nor bare IP packets (its ARPHRD type is {number}); use another device"
    )]
    NotEthernet {
        /// The device.
        device: String,
        /// The kernel's number of what it carries.
        number: u16,
    },
    /// A device that carries IP packets, for what takes Ethernet frames.
    #[error(
        "{device} carries IP packets without Ethernet headers, and XDP sockets take Ethernet; write `io: af_packet`"
    )]
    NoXdpWithoutEthernet {
        /// The device.
        device: String,
    },
    /// The permission to open it is missing.
    #[error("no permission to open {what}; run as root, or with {capability}")]
    NoPermission {
        /// What was to be opened.
        what: String,
        /// The capability that is missing.
        capability: &'static str,
    },
    /// The device and XDP sockets do not go together.
    #[error("cannot use XDP sockets on {device}: {fault}; `io: af_packet` works on every device")]
    Xdp {
        /// The device.
        device: String,
        /// The reason.
        #[source]
        fault: af_xdp::SetupError,
    },
    /// Any other error of the system.
    #[error("cannot open {what}: {error}{}", .help.map_or_else(String::new, |help| format!("; {help}")))]
    Failed {
        /// What was to be opened.
        what: String,
        /// What the kernel said.
        #[source]
        error: io::Error,
        /// What to do about it.
        help: Option<&'static str>,
    },
}

fn did_you_mean(near: Option<&str>, all: &[String]) -> String {
    match near {
        Some(near) => format!("; did you mean {near:?}?"),
        None if all.is_empty() => String::new(),
        None => format!("; there are {}", all.join(", ")),
    }
}

/// Opens a port for this many workers. A device that is down is opened too, with a warning. XDP sockets are used
/// only if there is what they take: `io: auto` does without where they are refused.
///
/// # Errors
/// When the device is not there, not ours to open, or not what the back-end needs. Nothing is left behind then.
pub fn open<'mem>(
    name: &str,
    backend: &Backend,
    workers: usize,
    xdp: Option<Xdp<'_, 'mem>>,
) -> Result<Opened<'mem>, OpenError> {
    let opened = match backend {
        Backend::Auto { device } => auto(name, device, workers, xdp),
        Backend::AfPacket { device } => af_packet(device, workers),
        Backend::AfXdp { device } => af_xdp(name, device, xdp, true),
        Backend::Tap { device } => tap(device, workers),
        Backend::Unix { local, remote } => unix(local, remote.as_deref(), workers),
    };
    let opened = opened.map_err(|cause| OpenError { port: name.to_owned(), cause })?;
    if !opened.up {
        LogEvent::DeviceDown { port: name }.tell();
    }
    Ok(opened)
}

fn auto<'mem>(name: &str, device: &str, workers: usize, xdp: Option<Xdp<'_, 'mem>>) -> Result<Opened<'mem>, OpenCause> {
    if xdp.is_some() {
        match af_xdp(name, device, xdp, false) {
            Err(OpenCause::Xdp { fault, .. }) => {
                let why = format!("io: auto chooses af_packet after all: {fault}");
                LogEvent::PortMode { port: name, why: &why }.tell();
            }
            other => return other,
        }
    }
    af_packet(device, workers)
}

fn af_xdp<'mem>(
    name: &str,
    device: &str,
    xdp: Option<Xdp<'_, 'mem>>,
    may_be_generic: bool,
) -> Result<Opened<'mem>, OpenCause> {
    let Device { ifindex, layer, mac, mtu, up } = look_up(device)?;
    match layer {
        LinkLayer::Ethernet => {}
        LinkLayer::Ip => return Err(OpenCause::NoXdpWithoutEthernet { device: device.to_owned() }),
        LinkLayer::Other(number) => return Err(OpenCause::NotEthernet { device: device.to_owned(), number }),
    }
    let refused = |fault| OpenCause::Xdp { device: device.to_owned(), fault };
    let Xdp { umems, filter } = xdp.ok_or_else(|| refused(af_xdp::SetupError::NoMemory))?;
    let survey = Survey::of(device);
    if survey.most_workers() < umems.len() {
        return Err(refused(af_xdp::SetupError::Queues(survey.most_workers() as u32, umems.len())));
    }
    let queues = survey.queues;
    let request = OpenRequest { device, ifindex, queues, filter, umems, may_be_generic };
    let (ports, redirect, mode) = af_xdp::open(request).map_err(refused)?;
    LogEvent::PortMode { port: name, why: &format!("af_xdp: {mode}") }.tell();
    let (mtu, ifindex) = (Some(mtu), Some(ifindex));
    Ok(Opened { ports: boxed(ports), kind: "af_xdp", redirect: Some(redirect), mac, mtu, ifindex, up })
}

fn boxed<'mem>(ports: Vec<impl Port<'mem> + 'mem>) -> Vec<Box<dyn Port<'mem> + 'mem>> {
    ports.into_iter().map(|port| -> Box<dyn Port<'mem> + 'mem> { Box::new(port) }).collect()
}

fn af_packet<'mem>(device: &str, workers: usize) -> Result<Opened<'mem>, OpenCause> {
    let Device { ifindex, layer, mac, mtu, up } = look_up(device)?;
    let (opened, kind) = match layer {
        LinkLayer::Ethernet => (AfPacketPort::open(device, ifindex, workers).map(boxed), "af_packet"),
        LinkLayer::Ip => (IpDevicePort::open(ifindex, workers).map(boxed), "af_packet (IP only)"),
        LinkLayer::Other(number) => return Err(OpenCause::NotEthernet { device: device.to_owned(), number }),
    };
    let what = || format!("a packet socket on {device}");
    let ports = opened.map_err(|e| refused(what(), "CAP_NET_RAW", e, None))?;
    Ok(Opened { ports, kind, redirect: None, mac, mtu: Some(mtu), ifindex: Some(ifindex), up })
}

fn tap<'mem>(device: &str, workers: usize) -> Result<Opened<'mem>, OpenCause> {
    let ports = TapPort::open(device, workers).map_err(|e| {
        let help = match e.raw_os_error() {
            Some(libc::EINVAL) => Some("a device of that name exists and is no TAP, or the name is none"),
            Some(libc::EBUSY) => Some("another process has it open"),
            Some(libc::ENOENT) => Some("load the tun module, or make /dev/net/tun"),
            _ => None,
        };
        refused(format!("the TAP {device:?}"), "CAP_NET_ADMIN", e, help)
    })?;
    let Device { ifindex, mtu, up, .. } = look_up(device)?;
    Ok(Opened {
        ports: boxed(ports),
        kind: "tap",
        redirect: None,
        mac: None,
        mtu: Some(mtu),
        ifindex: Some(ifindex),
        up,
    })
}

fn unix<'mem>(local: &Path, remote: Option<&Path>, workers: usize) -> Result<Opened<'mem>, OpenCause> {
    let first = UnixPort::bind(local, remote).map_err(|error| {
        let what = format!("the socket {}", local.display());
        OpenCause::Failed { what, error, help: None }
    })?;
    let others: Vec<_> = (1..workers).map(|_| first.sender()).collect();
    let ports = boxed(std::iter::once(first).chain(others).collect());
    Ok(Opened { ports, kind: "unix", redirect: None, mac: None, mtu: None, ifindex: None, up: true })
}

fn refused(what: String, capability: &'static str, error: io::Error, help: Option<&'static str>) -> OpenCause {
    if error.kind() == io::ErrorKind::PermissionDenied {
        OpenCause::NoPermission { what, capability }
    } else {
        OpenCause::Failed { what, error, help }
    }
}

fn look_up(device: &str) -> Result<Device, OpenCause> {
    sys::device(device).map_err(|error| match error.raw_os_error() {
        Some(libc::ENODEV | libc::ENXIO) => {
            let all: Vec<_> = pnet_datalink::interfaces().into_iter().map(|found| found.name).collect();
            let near = nearest(device, &all).cloned();
            OpenCause::NoDevice { device: device.to_owned(), near, all }
        }
        _ => OpenCause::Failed { what: format!("the device {device}"), error, help: None },
    })
}

/// The name that is at most two changed, missing or surplus letters away.
fn nearest<'a>(name: &str, all: &'a [String]) -> Option<&'a String> {
    all.iter().map(|other| (distance(name, other), other)).filter(|(d, _)| *d <= 2).min().map(|(_, other)| other)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let (mut diagonal, mut left) = (i, i + 1);
        for (cell, to) in row.iter_mut().skip(1).zip(b.bytes()) {
            let changed = diagonal + usize::from(from != to);
            diagonal = *cell;
            left = changed.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_does_not_exist_is_named_with_one_that_does() {
        let error = open("up1", &Backend::AfPacket { device: "l0".into() }, 1, None).unwrap_err();
        assert_eq!(error.to_string(), r#"port up1: there is no network device "l0"; did you mean "lo"?"#);
        let error = open("up1", &Backend::Auto { device: "uplink-to-nowhere-at-all".into() }, 1, None).unwrap_err();
        assert!(error.to_string().contains("; there are lo"), "{error}");
    }

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (a, b, far) in
            [("eth0", "eth0", 0), ("eth0", "eth1", 1), ("", "lo", 2), ("kitten", "sitting", 3), ("enp1s0", "enps0", 1)]
        {
            assert_eq!(distance(a, b), far, "{a} {b}");
            assert_eq!(distance(b, a), far, "{b} {a}");
        }
    }

    #[test]
    fn every_worker_has_its_unix_port() {
        let dir = tempfile::tempdir().unwrap();
        let backend = Backend::Unix { local: dir.path().join("port"), remote: None };
        let opened = open("uml", &backend, 3, None).unwrap();
        assert_eq!((opened.ports.len(), opened.kind, opened.mtu, opened.up), (3, "unix", None, true));
        assert!(opened.ports[0].readable().is_some() && opened.ports[1].readable().is_none());

        let error = open("uml", &backend, 1, None).unwrap_err();
        assert!(error.to_string().contains("in use by a running process"), "{error}");
    }
}
