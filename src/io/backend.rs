//! Which back-end moves a port's frames, as the configuration asks for it.

use std::path::PathBuf;

/// What a port is opened with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// The best that works on this device; the log says which and why.
    Auto {
        /// The network device.
        device: String,
    },
    /// A packet socket on a network device.
    AfPacket {
        /// The network device.
        device: String,
    },
    /// A TAP device that the gateway makes.
    Tap {
        /// The name it gets.
        device: String,
    },
    /// One frame per datagram on a Unix socket, as User-Mode Linux and QEMU speak it.
    Unix {
        /// The socket to bind.
        local: PathBuf,
        /// The socket to send to; if left out, whoever sent last.
        remote: Option<PathBuf>,
    },
}
