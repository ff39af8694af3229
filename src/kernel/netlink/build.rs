//! Making devices, addresses and routes: what the demonstration's and the tests' namespaces are furnished with.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use futures_util::stream::TryStreamExt;
use rtnetlink::packet_route::address::AddressHeaderFlags;
use rtnetlink::packet_route::link::{GreIOFlags, VlanProtocol};
use rtnetlink::packet_route::route::RouteAttribute;
use rtnetlink::{
    LinkGre, LinkGre6, LinkMessageBuilder, LinkUnspec, LinkVeth, LinkVlan, LinkVxlan, RouteMessageBuilder,
    RouteNextHopBuilder,
};
use transload_encaps::Mac;

use super::{Netlink, to_io};
use crate::kernel::tables::LinkIndex;

/// One end of a VXLAN tunnel, as the kernel makes it.
#[derive(Debug, Clone)]
pub struct VxlanDevice {
    /// The device's name.
    pub name: String,
    /// The segment, at most 24 bits.
    pub vni: u32,
    /// Our tunnel address.
    pub local: IpAddr,
    /// The far one.
    pub remote: IpAddr,
    /// The UDP port.
    pub udp_port: u16,
}

/// One end of a GRE tunnel that carries Ethernet, as the kernel makes it.
#[derive(Debug, Clone)]
pub struct GreDevice {
    /// The device's name.
    pub name: String,
    /// The whole key, in both directions.
    pub key: u32,
    /// Whether packets carry a checksum, in both directions.
    pub checksum: bool,
    /// Our tunnel address.
    pub local: IpAddr,
    /// The far one.
    pub remote: IpAddr,
}

/// Opens netlink in the network namespace of the calling thread and drives this to its end: for whoever is outside
/// tokio.
///
/// # Errors
/// When the kernel gives no netlink socket, or as `work` says.
pub fn furnish<T>(work: impl AsyncFnOnce(&Netlink) -> io::Result<T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (netlink, _changes) = Netlink::open()?;
        work(&netlink).await
    })
}

impl Netlink {
    /// The index of a device.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn index(&self, name: &str) -> io::Result<LinkIndex> {
        let mut links = Box::pin(self.handle.link().get().match_name(name).execute());
        let link = links.try_next().await.map_err(to_io)?;
        link.map(|link| link.header.index).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// Makes a pair of devices joined by a virtual cable.
    ///
    /// # Errors
    /// When a name is taken, or without the right to.
    pub async fn add_veth(&self, name: &str, peer: &str) -> io::Result<()> {
        self.handle.link().add(LinkVeth::new(name, peer).build()).execute().await.map_err(to_io)
    }

    /// Makes a VXLAN device with a single far end.
    ///
    /// # Errors
    /// When the kernel has no VXLAN, or refuses.
    pub async fn add_vxlan(&self, device: &VxlanDevice) -> io::Result<()> {
        let builder = LinkVxlan::new(&device.name, device.vni).port(device.udp_port);
        let builder = match device.local {
            IpAddr::V4(address) => builder.local(address),
            IpAddr::V6(address) => builder.local6(address),
        };
        let builder = match device.remote {
            IpAddr::V4(address) => builder.remote(address),
            IpAddr::V6(address) => builder.remote6(address),
        };
        self.handle.link().add(builder.build()).execute().await.map_err(to_io)
    }

    /// Makes a device that carries Ethernet frames in GRE: gretap, or ip6gretap.
    ///
    /// # Errors
    /// `Unsupported` when the kernel has no GRE.
    pub async fn add_gretap(&self, device: &GreDevice) -> io::Result<()> {
        let flags = if device.checksum { GreIOFlags::Key | GreIOFlags::Checksum } else { GreIOFlags::Key };
        let message = match (device.local, device.remote) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => {
                let gre = LinkGre::new_gretap(&device.name).local(local).remote(remote).ttl(64);
                gre.iflags(flags).oflags(flags).ikey(device.key).okey(device.key).build()
            }
            (IpAddr::V6(local), IpAddr::V6(remote)) => {
                let gre = LinkGre6::new_gretap6(&device.name).local(local).remote(remote).ttl(64);
                gre.iflags(flags).oflags(flags).ikey(device.key).okey(device.key).build()
            }
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        self.handle.link().add(message).execute().await.map_err(to_io)
    }

    /// Makes a VLAN device on another: 802.1ad if it is for service tags, else 802.1Q.
    ///
    /// # Errors
    /// `Unsupported` when the kernel has no VLANs.
    pub async fn add_vlan(&self, name: &str, lower: &str, vid: u16, service: bool) -> io::Result<()> {
        let protocol = if service { VlanProtocol::Ieee8021Ad } else { VlanProtocol::Ieee8021Q };
        let vlan = LinkVlan::new(name, self.index(lower).await?, vid).protocol(protocol);
        self.handle.link().add(vlan.build()).execute().await.map_err(to_io)
    }

    /// Removes a device.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn delete(&self, name: &str) -> io::Result<()> {
        let index = self.index(name).await?;
        self.handle.link().del(index).execute().await.map_err(to_io)
    }

    /// Moves a device to another network namespace.
    ///
    /// # Errors
    /// When there is no such device, or its name is taken there.
    pub async fn move_to(&self, name: &str, namespace: BorrowedFd<'_>) -> io::Result<()> {
        self.set(name, |link| link.setns_by_fd(namespace.as_raw_fd())).await
    }

    /// Switches a device on or off.
    ///
    /// # Errors
    /// When there is no such device.
    pub async fn set_up(&self, name: &str, up: bool) -> io::Result<()> {
        self.set(name, |link| if up { link.up() } else { link.down() }).await
    }

    /// Sets a device's MAC address.
    ///
    /// # Errors
    /// When there is no such device, or it will not.
    pub async fn set_mac(&self, name: &str, mac: Mac) -> io::Result<()> {
        self.set(name, |link| link.address(mac.0.to_vec())).await
    }

    /// Sets a device's MTU.
    ///
    /// # Errors
    /// When there is no such device, or the size is out of its range.
    pub async fn set_mtu(&self, name: &str, mtu: u32) -> io::Result<()> {
        self.set(name, |link| link.mtu(mtu)).await
    }

    async fn set(
        &self,
        name: &str,
        change: impl FnOnce(LinkMessageBuilder<LinkUnspec>) -> LinkMessageBuilder<LinkUnspec>,
    ) -> io::Result<()> {
        let link = change(LinkUnspec::new_with_index(self.index(name).await?));
        self.handle.link().set(link.build()).execute().await.map_err(to_io)
    }

    /// Gives a device an address, which may be used at once: nobody else in these namespaces has it.
    ///
    /// # Errors
    /// When there is no such device, or it has the address already.
    pub async fn add_address(&self, name: &str, address: IpAddr, prefix: u8) -> io::Result<()> {
        let index = self.index(name).await?;
        let mut request = self.handle.address().add(index, address, prefix);
        request.message_mut().header.flags = AddressHeaderFlags::Nodad;
        request.execute().await.map_err(to_io)
    }

    /// Sets a neighbour for ever.
    ///
    /// # Errors
    /// When there is no such device.
    pub async fn add_neighbour(&self, name: &str, address: IpAddr, mac: Mac) -> io::Result<()> {
        let index = self.index(name).await?;
        let request = self.handle.neighbours().add(index, address).replace();
        request.link_layer_address(&mac.0).execute().await.map_err(to_io)
    }

    /// Has the kernel forget a neighbour.
    ///
    /// # Errors
    /// When there is no such device or neighbour.
    pub async fn delete_neighbour(&self, name: &str, address: IpAddr) -> io::Result<()> {
        self.forget(self.index(name).await?, address).await
    }

    /// Adds a route by one gateway on one device, or by several at equal cost.
    ///
    /// # Errors
    /// When there is no such device, or no route to a gateway.
    pub async fn add_route(&self, to: (IpAddr, u8), via: &[(&str, IpAddr)]) -> io::Result<()> {
        let mut hops = Vec::new();
        for (name, gateway) in via {
            let hop = match to.0 {
                IpAddr::V4(_) => RouteNextHopBuilder::new_ipv4(),
                IpAddr::V6(_) => RouteNextHopBuilder::new_ipv6(),
            };
            let hop = hop.interface(self.index(name).await?).via(*gateway).map_err(io::Error::other)?;
            hops.push(hop.build());
        }
        let mut message = match to.0 {
            IpAddr::V4(to_v4) => RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(to_v4, to.1).build(),
            IpAddr::V6(to_v6) => RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(to_v6, to.1).build(),
        };
        message.attributes.push(RouteAttribute::MultiPath(hops));
        self.handle.route().add(message).execute().await.map_err(to_io)
    }
}
