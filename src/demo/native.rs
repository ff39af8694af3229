//! A site furnished by a Linux kernel, whichever runs here: its cable, its tunnel device, its host.

use std::io;
use std::net::IpAddr;

use transload_lab::Namespace;

use super::sites::{Carriage, Site, TENANT, TENANT_MTU, TENANT_PREFIX};
use crate::kernel::netlink::{self, GreDevice, Netlink, VxlanDevice};

/// The device with the outer tag, under the host's.
const OUTER_TAG: &str = "service";

/// Has this done in a namespace.
///
/// # Errors
/// When the namespace cannot be entered, or as `work` says.
pub(super) fn furnish<T: Send>(
    namespace: &Namespace,
    work: impl AsyncFnOnce(&Netlink) -> io::Result<T> + Send,
) -> io::Result<T> {
    namespace.enter(|| netlink::furnish(work))
}

/// The site's end of the cable: its address and the route to the gateway.
///
/// # Errors
/// When there is no such device.
pub(super) async fn connect(netlink: &Netlink, site: &Site, wire: &str) -> io::Result<()> {
    netlink.set_up(wire, true).await?;
    let Some(cable) = site.cable else { return Ok(()) };
    netlink.add_address(wire, cable.far, cable.prefix).await?;
    let host_prefix = if cable.endpoint.is_ipv4() { 32 } else { 128 };
    netlink.add_route((cable.endpoint, host_prefix), &[(wire, cable.near)]).await
}

/// The kernel's own device for what the site speaks, which is then the host's.
///
/// # Errors
/// When the kernel does not speak it.
pub(super) async fn speak(netlink: &Netlink, site: &Site, wire: &str) -> io::Result<()> {
    match (site.carriage, site.cable) {
        (Carriage::Vxlan { vni }, Some(cable)) => {
            let (local, remote) = (cable.far, cable.endpoint);
            netlink.add_vxlan(&VxlanDevice { name: TENANT.into(), vni, local, remote, udp_port: 4789 }).await
        }
        (Carriage::Gre { key, checksum }, Some(cable)) => {
            let (local, remote) = (cable.far, cable.endpoint);
            netlink.add_gretap(&GreDevice { name: TENANT.into(), key, checksum, local, remote }).await
        }
        (Carriage::QinQ { s_vid, c_vid }, _) => {
            netlink.add_vlan(OUTER_TAG, wire, s_vid, true).await?;
            netlink.set_up(OUTER_TAG, true).await?;
            netlink.add_vlan(TENANT, OUTER_TAG, c_vid, false).await
        }
        (Carriage::Vxlan { .. } | Carriage::Gre { .. }, None) => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// The host on its device, whoever made that.
///
/// # Errors
/// When there is no such device.
pub(super) async fn settle_in(netlink: &Netlink, site: &Site) -> io::Result<()> {
    netlink.set_mac(TENANT, site.tenant_mac()).await?;
    netlink.set_mtu(TENANT, TENANT_MTU).await?;
    netlink.add_address(TENANT, IpAddr::V4(site.tenant()), TENANT_PREFIX).await?;
    netlink.set_up(TENANT, true).await
}
