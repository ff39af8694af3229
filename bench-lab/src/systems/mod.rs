//! The gateways that are compared.

pub mod bare;
mod kernel;
mod ovs;
mod transload;

use std::io;

use transload_lab::{Gateway, OpenVswitch};

use crate::lab::Lab;
use crate::path::Path;

pub use kernel::device;
pub(crate) use kernel::missing;
pub use transload::configuration;

/// How a port's frames reach a userspace gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Io {
    /// A packet socket.
    AfPacket,
    /// An XDP socket.
    AfXdp,
}

/// A gateway to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// A bridge of the kernel's own tunnel devices.
    Kernel,
    /// Open vSwitch with its userspace datapath.
    OpenVswitch(Io),
    /// This gateway, on ports of this back-end.
    Transload(Io),
    /// XDP sockets and nothing else: what a process could carry at most.
    Bare,
}

/// A gateway that runs, as long as this lives.
pub struct Running {
    /// Its processes; none if the kernel does all the work.
    pub processes: Vec<u32>,
    _holder: Holder,
}

/// What ends the gateway when it is dropped.
enum Holder {
    /// The namespace's devices are all there is.
    Devices,
    Forwarder(#[expect(dead_code, reason = "it is held")] bare::Forwarder),
    Switch(#[expect(dead_code, reason = "it is held")] OpenVswitch),
    Gateway(#[expect(dead_code, reason = "it is held")] Gateway),
}

/// Why a gateway does not run.
#[derive(Debug)]
pub enum Why {
    /// It is not here, or cannot do this: the words are for the report.
    NotAvailable(String),
    /// It could not be started or configured.
    Failed(io::Error),
}

impl From<io::Error> for Why {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl System {
    /// In the order of the report.
    pub const ALL: [Self; 6] = [
        Self::Kernel,
        Self::OpenVswitch(Io::AfPacket),
        Self::OpenVswitch(Io::AfXdp),
        Self::Transload(Io::AfPacket),
        Self::Transload(Io::AfXdp),
        Self::Bare,
    ];

    /// As the report calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel bridge",
            Self::OpenVswitch(Io::AfPacket) => "Open vSwitch, AF_PACKET",
            Self::OpenVswitch(Io::AfXdp) => "Open vSwitch, AF_XDP",
            Self::Transload(Io::AfPacket) => "transload, AF_PACKET",
            Self::Transload(Io::AfXdp) => "transload, AF_XDP",
            Self::Bare => "bare forwarder, AF_XDP",
        }
    }

    /// Starts it in the lab, on the processor of the calling thread.
    ///
    /// # Errors
    /// When it is not here, cannot do this, or does not come up.
    pub fn start(self, lab: &Lab, path: &Path) -> Result<Running, Why> {
        match self {
            Self::Kernel => kernel::start(lab, path),
            Self::OpenVswitch(io) => ovs::start(lab, path, io),
            Self::Transload(io) => transload::start(lab, path, io),
            Self::Bare => bare::start(lab, path),
        }
    }
}
