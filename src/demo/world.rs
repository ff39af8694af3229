//! The world of the demonstration: a namespace for the gateway, one for each site, and the cables between them.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::process::Process;
use super::sites::{
    ENDPOINT_V4, ENDPOINT_V6, GATEWAY, Joint, SITES, Site, Speaker, TENANT, TENANT_MTU, TENANT_PORT, TENANT_PREFIX, UNDERLAY_MTU, WIRE,
};
use super::tcp::{self, Budget, Moved};
use super::{ping, tcp::listen};
use crate::control::netlink::VxlanDevice;
use crate::lab::Namespace;

/// The world. Gone when dropped: processes first, then their namespaces with everything in them.
pub(super) struct World {
    /// The gateway.
    pub gateway: Process,
    /// The sites, in the order of [`SITES`].
    pub hosts: Vec<Host>,
    _directory: Directory,
}

/// A site's host.
pub(super) struct Host {
    /// What and where it is.
    pub site: Site,
    /// Its namespace.
    pub namespace: Namespace,
    speaker: Option<Process>,
}

impl World {
    /// Builds it, with everything running.
    ///
    /// # Errors
    /// When the system refuses something, or a gateway does not start.
    pub(super) fn build(joint: Joint) -> io::Result<Self> {
        let directory = Directory::new()?;
        let middle = Namespace::new()?;
        middle.netlink(async |netlink| {
            netlink.add_address("lo", IpAddr::V4(ENDPOINT_V4), 32).await?;
            netlink.add_address("lo", IpAddr::V6(ENDPOINT_V6), 128).await
        })?;
        let mut sites = Vec::new();
        for site in SITES {
            let namespace = Namespace::new()?;
            lay_cable(&middle, &namespace, &site)?;
            sites.push((site, namespace));
        }
        let gateway = Process::start(&middle, &directory.0, "gateway", GATEWAY)?;
        let hosts = sites.into_iter().map(|(site, namespace)| Host::start(site, namespace, joint, &directory.0));
        let hosts = hosts.collect::<io::Result<_>>()?;
        Ok(Self { gateway, hosts, _directory: directory })
    }

    /// Stops the gateways; true if each ended as it should.
    ///
    /// # Errors
    /// When one does not end at all.
    pub(super) fn stop(self) -> io::Result<bool> {
        let speakers = self.hosts.into_iter().filter_map(|host| host.speaker);
        let mut clean = true;
        for process in speakers.chain([self.gateway]) {
            clean &= process.stop()?.success();
        }
        Ok(clean)
    }
}

/// A pair of devices between the gateway and a site, with addresses and routes.
fn lay_cable(middle: &Namespace, there: &Namespace, site: &Site) -> io::Result<()> {
    let device = site.device();
    middle.netlink(async |netlink| {
        netlink.add_veth(&device, WIRE).await?;
        netlink.set_mac(&device, site.near_mac()).await?;
        netlink.set_mac(WIRE, site.far_mac()).await?;
        netlink.set_mtu(&device, UNDERLAY_MTU).await?;
        netlink.set_mtu(WIRE, UNDERLAY_MTU).await?;
        netlink.move_to(WIRE, there.as_fd()).await?;
        if let Some(cable) = site.cable {
            netlink.add_address(&device, cable.near, cable.prefix).await?;
        }
        netlink.set_up(&device, true).await
    })?;
    there.netlink(async |netlink| {
        netlink.set_up(WIRE, true).await?;
        let Some(cable) = site.cable else { return Ok(()) };
        netlink.add_address(WIRE, cable.far, cable.prefix).await?;
        let host_prefix = if cable.endpoint.is_ipv4() { 32 } else { 128 };
        netlink.add_route((cable.endpoint, host_prefix), &[(WIRE, cable.near)]).await
    })
}

fn join_by_veth(namespace: &Namespace) -> io::Result<()> {
    namespace.netlink(async |netlink| {
        netlink.add_veth(TENANT, TENANT_PORT).await?;
        netlink.set_up(TENANT_PORT, true).await
    })
}

impl Host {
    fn start(site: Site, namespace: Namespace, joint: Joint, directory: &Path) -> io::Result<Self> {
        let speaker = match (site.speaker, site.cable) {
            (Speaker::Transload(configuration), _) => {
                if joint == Joint::Veth {
                    join_by_veth(&namespace)?;
                }
                Some(Process::start(&namespace, directory, site.name, &joint.adapt(configuration))?)
            }
            (Speaker::Kernel { vni }, Some(cable)) => {
                let (local, remote) = (cable.far, cable.endpoint);
                let device = VxlanDevice { name: TENANT.into(), vni, local, remote, udp_port: 4789 };
                namespace.netlink(async |netlink| netlink.add_vxlan(&device).await)?;
                None
            }
            (Speaker::Kernel { .. }, None) => None,
        };
        namespace.netlink(async |netlink| {
            netlink.set_mac(TENANT, site.tenant_mac()).await?;
            netlink.set_mtu(TENANT, TENANT_MTU).await?;
            netlink.add_address(TENANT, IpAddr::V4(site.tenant()), TENANT_PREFIX).await?;
            netlink.set_up(TENANT, true).await
        })?;
        namespace.enter(|| listen(site.tenant()))?;
        Ok(Self { site, namespace, speaker })
    }

    /// Pings another host: the time of an answered request, the first of which also had to find the way.
    ///
    /// # Errors
    /// When nobody answers.
    pub(super) fn ping(&self, other: &Self, patience: Duration) -> io::Result<Duration> {
        self.namespace.enter(|| {
            ping::ping(other.site.tenant(), patience)?;
            ping::ping(other.site.tenant(), patience)
        })
    }

    /// Moves bytes to another host.
    ///
    /// # Errors
    /// When they do not all arrive unchanged.
    pub(super) fn send(&self, other: &Self, budget: Budget) -> io::Result<Moved> {
        self.namespace.enter(|| tcp::send(other.site.tenant(), budget))
    }
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
