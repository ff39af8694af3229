//! The peer stacks: whose code is at the far end.

use std::fmt;
use std::process::Command;
use std::sync::OnceLock;

use transload_lab::skip;

/// The implementation of the run's external endpoint, once it is known.
static EXTERNAL: OnceLock<String> = OnceLock::new();

/// A peer stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stack {
    /// The running kernel, in namespaces.
    Kernel,
    /// User-Mode Linux: a kernel that is a process.
    Uml,
    /// Open vSwitch, its userspace datapath.
    Ovs,
    /// Somebody's own endpoint, on a device of this machine.
    External,
}

impl Stack {
    /// All, in the order of the report.
    pub const ALL: [Self; 4] = [Self::Kernel, Self::Uml, Self::Ovs, Self::External];

    /// The word for it, on the command line and in names of sites; also the gateway's port towards it.
    #[must_use]
    pub fn port(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Uml => "uml",
            Self::Ovs => "ovs",
            Self::External => "external",
        }
    }

    /// The port on which its tags arrive.
    #[must_use]
    pub fn tagged_port(self) -> &'static str {
        if self == Self::Ovs { "ovs-access" } else { self.port() }
    }

    /// The number of its underlay network.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8 + 1
    }

    /// Its IPv4 network, without the last number.
    #[must_use]
    pub fn net(self) -> &'static str {
        match self {
            Self::Kernel => "192.0.2",
            Self::Uml => "198.51.100",
            Self::Ovs => "203.0.113",
            Self::External => "192.88.99",
        }
    }

    /// The implementation. Two versions of one count as one.
    #[must_use]
    pub fn implementation(self) -> &'static str {
        match self {
            Self::Kernel | Self::Uml => "Linux",
            Self::Ovs => "Open vSwitch",
            Self::External => EXTERNAL.get().map_or("external", String::as_str),
        }
    }

    /// From now on the external endpoint is of this implementation.
    pub(super) fn name_external(implementation: &str) {
        // A second one would be refused by the command line.
        let _ = EXTERNAL.set(implementation.to_owned());
    }

    /// Whether it is somebody else's code: only then does it prove anything.
    #[must_use]
    pub fn is_independent(self) -> bool {
        !self.implementation().to_lowercase().contains("transload")
    }

    /// Why its cases cannot run here, if they cannot.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        let needs: &[fn() -> Result<(), String>] = match self {
            Self::Kernel => &[skip::root, skip::ip, skip::ping, skip::vxlan],
            Self::Uml => &[skip::uml, skip::ip, skip::ping],
            Self::Ovs => &[skip::root, skip::ip, skip::ping, skip::ethtool, skip::ovs],
            Self::External => &[skip::root, skip::ip, skip::ping],
        };
        needs.iter().find_map(|need| need().err()).map(|what| format!("needs {what}"))
    }

    /// What is there, with its version.
    #[must_use]
    pub fn version(self) -> String {
        // Also asked for the report of a run that was interrupted.
        let said = |command: &mut Command| {
            let printed = command.output().map(|output| output.stdout).unwrap_or_default();
            String::from_utf8_lossy(&printed).into_owned()
        };
        match self {
            Self::Kernel => format!("Linux {} (this kernel)", said(Command::new("uname").arg("-r")).trim()),
            Self::Uml => format!("Linux {} (User-Mode Linux)", said(Command::new("linux.uml").arg("--version")).trim()),
            Self::Ovs => {
                let said = said(Command::new("ovs-vsctl").arg("--version"));
                let version = said.lines().next().and_then(|line| line.split_whitespace().last());
                format!("Open vSwitch {} (userspace datapath)", version.unwrap_or("?"))
            }
            Self::External => self.implementation().to_owned(),
        }
    }
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.port())
    }
}
