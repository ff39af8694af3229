//! The world of the demonstration: a namespace for the gateway, a place for each site, and the cables between them.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use transload_lab::Namespace;

use super::process::Process;
use super::sites::{ENDPOINT_V4, ENDPOINT_V6, SITES, Site, TENANT, UNDERLAY_MTU, WIRE};
use super::speakers::{Cast, Joint, Speaker};
use super::tcp::{self, Budget, Moved};
use super::uml::UmlHost;
use super::{native, ping};

/// The other end of the tenant's device, where it is no TAP.
const TENANT_PORT: &str = "tenant-port";

/// The world. Gone when dropped: processes first, then their namespaces with everything in them.
pub(super) struct World {
    /// The gateway.
    pub(super) gateway: Process,
    /// The sites' hosts, in the order of [`SITES`].
    pub(super) hosts: Vec<Host>,
    _directory: Directory,
}

/// A site's host.
pub(super) struct Host {
    /// What and where it is.
    pub(super) site: Site,
    place: Place,
    /// Where its cable can be watched.
    wire: Arc<Namespace>,
}

/// Where a host is.
enum Place {
    /// In a namespace of the running kernel, perhaps with a transload that speaks for it.
    Here(Arc<Namespace>, Option<Process>),
    /// In User-Mode Linux.
    Elsewhere(UmlHost),
}

impl World {
    /// Builds it, with everything running.
    ///
    /// # Errors
    /// When the system refuses something, or a gateway does not start.
    pub(super) fn build(speakers: Cast, configuration: &str) -> io::Result<Self> {
        let directory = Directory::new()?;
        let middle = Arc::new(Namespace::new()?);
        native::furnish(&middle, async |netlink| {
            netlink.add_address("lo", IpAddr::V4(ENDPOINT_V4), 32).await?;
            netlink.add_address("lo", IpAddr::V6(ENDPOINT_V6), 128).await
        })?;
        let mut hosts = Vec::new();
        for (site, speaker) in SITES.into_iter().zip(speakers) {
            hosts.push(match speaker {
                Speaker::Uml => Host::elsewhere(site, &middle)?,
                Speaker::Kernel => Host::here(site, &middle, None, &directory.0)?,
                Speaker::Transload(joint) => Host::here(site, &middle, Some(joint), &directory.0)?,
            });
        }
        // Meanwhile they have booted side by side.
        for host in &mut hosts {
            host.connect_to(&middle)?;
        }
        let gateway = Process::start(&middle, &directory.0, "gateway", configuration)?;
        Ok(Self { gateway, hosts, _directory: directory })
    }

    /// Stops everything; true if all of it ended as it should.
    ///
    /// # Errors
    /// When something does not end at all.
    pub(super) fn stop(self) -> io::Result<bool> {
        let mut clean = true;
        for host in self.hosts {
            clean &= match host.place {
                Place::Here(_, Some(process)) => process.stop()?.success(),
                Place::Here(_, None) => true,
                Place::Elsewhere(mut uml) => uml.stop()?,
            };
        }
        clean &= self.gateway.stop()?.success();
        Ok(clean)
    }
}

impl Host {
    /// In a namespace of its own, spoken for by the kernel or by a second transload.
    fn here(site: Site, middle: &Namespace, joint: Option<Joint>, directory: &Path) -> io::Result<Self> {
        let namespace = Arc::new(Namespace::new()?);
        lay_cable(middle, &namespace, &site)?;
        native::furnish(&namespace, async |netlink| native::connect(netlink, &site, WIRE).await)?;
        let mut speaker = None;
        match joint {
            None => native::furnish(&namespace, async |netlink| native::speak(netlink, &site, WIRE).await)?,
            Some(joint) => {
                if joint == Joint::Veth {
                    join_by_veth(&namespace)?;
                }
                let configuration = joint.adapt(site.configuration);
                speaker = Some(Process::start(&namespace, directory, site.name, &configuration)?);
            }
        }
        native::furnish(&namespace, async |netlink| native::settle_in(netlink, &site).await)?;
        namespace.enter(|| tcp::listen(site.tenant()))?;
        Ok(Self { site, place: Place::Here(namespace.clone(), speaker), wire: namespace })
    }

    /// In User-Mode Linux, which boots while others are built.
    fn elsewhere(site: Site, middle: &Arc<Namespace>) -> io::Result<Self> {
        let uml = UmlHost::start(middle, &site)?;
        Ok(Self { site, place: Place::Elsewhere(uml), wire: middle.clone() })
    }

    /// The gateway's end of the cable, and for User-Mode Linux, everything behind it.
    fn connect_to(&mut self, middle: &Namespace) -> io::Result<()> {
        if let Place::Elsewhere(uml) = &mut self.place {
            uml.wait_until_wired()?;
        }
        let (site, device) = (self.site, self.site.device());
        native::furnish(middle, async |netlink| {
            netlink.set_mac(&device, site.near_mac()).await?;
            netlink.set_mtu(&device, UNDERLAY_MTU).await?;
            if let Some(cable) = site.cable {
                netlink.add_address(&device, cable.near, cable.prefix).await?;
            }
            netlink.set_up(&device, true).await
        })?;
        match &mut self.place {
            Place::Elsewhere(uml) => uml.furnish(),
            Place::Here(..) => Ok(()),
        }
    }

    /// Pings another host: the time of an answered request, the first of which also waits for ARP.
    ///
    /// # Errors
    /// When nobody answers.
    pub(super) fn ping(&mut self, to: &Site, patience: Duration) -> io::Result<Duration> {
        let mut once = || match &mut self.place {
            Place::Here(namespace, _) => namespace.enter(|| ping::ping(to.tenant(), patience)),
            Place::Elsewhere(uml) => uml.ping(to.tenant(), patience),
        };
        once()?;
        once()
    }

    /// Moves bytes to another host.
    ///
    /// # Errors
    /// When they do not all arrive unchanged.
    pub(super) fn send(&mut self, to: &Site, budget: Budget) -> io::Result<Moved> {
        match &mut self.place {
            Place::Here(namespace, _) => namespace.enter(|| tcp::send(to.tenant(), budget)),
            Place::Elsewhere(uml) => uml.send(to.tenant(), budget),
        }
    }

    /// A namespace that its cable ends in.
    pub(super) fn wire(&self) -> &Namespace {
        &self.wire
    }
}

/// A pair of devices between the gateway and a site.
fn lay_cable(middle: &Namespace, there: &Namespace, site: &Site) -> io::Result<()> {
    native::furnish(middle, async |netlink| {
        netlink.add_veth(&site.device(), WIRE).await?;
        netlink.set_mac(WIRE, site.far_mac()).await?;
        netlink.set_mtu(WIRE, UNDERLAY_MTU).await?;
        netlink.move_to(WIRE, there.as_fd()).await
    })
}

fn join_by_veth(namespace: &Namespace) -> io::Result<()> {
    native::furnish(namespace, async |netlink| {
        netlink.add_veth(TENANT, TENANT_PORT).await?;
        netlink.set_up(TENANT_PORT, true).await
    })
}

/// A directory of our own for configurations, sockets and logs, removed when dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("transload-demo-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
