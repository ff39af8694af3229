//! Speakers, the network stacks that stand for the hosts: the running kernel where it can, else User-Mode Linux, else a
//! second transload.

use std::fs::OpenOptions;
use std::io;

use clap::ValueEnum;
use transload_lab::{Namespace, uml};

use super::native;
use super::sites::{COUNT, SITES, Site, WIRE};

/// The network stack that wraps a host's frames in its site's encapsulation, and unwraps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    /// A tunnel device of the running kernel.
    Kernel,
    /// A tunnel device of User-Mode Linux.
    Uml,
    /// A second transload.
    Transload(Joint),
}

/// A speaker for every site, in the order of the sites' numbers.
pub(super) type Cast = [Speaker; COUNT];

/// How a second transload is joined to the host it speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joint {
    /// The host is a TAP.
    Tap,
    /// The host is one end of a virtual cable, for want of a TAP.
    Veth,
}

/// The network stacks that may stand for hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Hosts {
    /// The running kernel where it can, else User-Mode Linux, else a second transload
    Auto,
    /// The running kernel where it can, else a second transload
    Transload,
}

impl Speaker {
    /// For the picture: at most 14 letters.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Kernel => "Linux kernel",
            Self::Uml => "Linux in UML",
            Self::Transload(Joint::Tap) => "transload, TAP",
            Self::Transload(Joint::Veth) => "transload,veth",
        }
    }

    /// Its explanation in the legend.
    pub(super) const fn explanation(self) -> &'static str {
        match self {
            Self::Kernel => "a tunnel device of the running kernel",
            Self::Uml => "a tunnel device of another Linux kernel: User-Mode Linux (UML)",
            Self::Transload(Joint::Tap) => "a TAP, and a second transload that speaks for it",
            Self::Transload(Joint::Veth) => "a veth, and a second transload that speaks for it (no right to TAPs)",
        }
    }
}

impl Joint {
    /// A TAP where we may have one: some systems keep `/dev/net/tun` to root.
    fn find() -> Self {
        let tun = OpenOptions::new().read(true).write(true).open("/dev/net/tun");
        if tun.is_ok() { Self::Tap } else { Self::Veth }
    }

    /// A site's configuration, which is written for a TAP.
    pub(super) fn adapt(self, configuration: &str) -> String {
        match self {
            Self::Tap => configuration.to_owned(),
            Self::Veth => configuration.replace("{ device: tenant, io: tap }", "{ device: tenant-port }"),
        }
    }
}

/// Finds a speaker for every site.
///
/// # Errors
/// Without the right to make namespaces.
pub(super) fn cast(hosts: Hosts) -> io::Result<Cast> {
    let joint = Joint::find();
    let second = match hosts {
        // User-Mode Linux is wired to the gateway by a TAP.
        Hosts::Auto if joint == Joint::Tap && uml::find().is_some() => Speaker::Uml,
        Hosts::Auto | Hosts::Transload => Speaker::Transload(joint),
    };
    let mut speakers = [second; COUNT];
    for (speaker, site) in speakers.iter_mut().zip(&SITES) {
        if kernel_speaks(site)? {
            *speaker = Speaker::Kernel;
        }
    }
    Ok(speakers)
}

/// Asks the running kernel for the site's device, in a namespace that is gone again right after.
fn kernel_speaks(site: &Site) -> io::Result<bool> {
    let namespace = Namespace::new()?;
    native::furnish(&namespace, async |netlink| {
        netlink.add_veth(WIRE, "far").await?;
        native::connect(netlink, site, WIRE).await?;
        Ok(native::speak(netlink, site, WIRE).await.is_ok())
    })
}
