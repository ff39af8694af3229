//! The kernel's links, routes and neighbours over rtnetlink; the only room that knows that crate.
//!
//! Routes are not dumped and searched: for every tunnel the kernel is asked which entry of its tables matches
//! (`RTM_F_FIB_MATCH`), so that routing rules, metrics and next-hop groups mean what they mean to the kernel, and a
//! full Internet table costs us nothing. What changes arrives as [`KernelChange`]s; one that touches routes means asking
//! again.

mod build;
mod messages;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::stream::{Stream, StreamExt, TryStreamExt};
use rtnetlink::packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::neighbour::{NeighbourFlags, NeighbourState};
use rtnetlink::packet_route::neighbour_table::NeighbourTableMessage;
use rtnetlink::packet_route::route::{RouteAttribute, RouteFlags};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{MulticastGroup, RouteMessageBuilder};
use tokio::task::JoinHandle;

use crate::kernel::tables::{Flow, Kernel, Link, LinkIndex, Neighbour, NeighbourRoom, Route};

pub use build::{GreDevice, VxlanDevice, furnish};

/// The kernel said this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelChange {
    /// A device appeared or changed, or is gone.
    Link(LinkIndex, Option<Link>),
    /// A neighbour appeared or changed, or is gone.
    Neighbour((LinkIndex, IpAddr), Option<Neighbour>),
    /// Routes or routing rules changed: ask again.
    Routes,
    /// The kernel had more to say than its buffer holds: read everything again.
    Lost,
}

/// A netlink socket for questions, and one that listens.
#[derive(Debug)]
pub struct Netlink {
    handle: rtnetlink::Handle,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Netlink {
    /// Opens both sockets in the network namespace of the calling thread, inside a tokio runtime. Whatever changes
    /// after this call is in the stream.
    ///
    /// # Errors
    /// When the kernel gives no netlink socket.
    pub fn open() -> io::Result<(Self, impl Stream<Item = KernelChange> + Send + Sync + use<>)> {
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Neigh,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv6Route,
            MulticastGroup::Ipv4Rule,
            MulticastGroup::Ipv6Rule,
        ];
        // Two sockets: an overrun of the listening one must not swallow an answer.
        let (listening, _, events) = rtnetlink::new_multicast_connection(&groups)?;
        let (asking, handle, _) = rtnetlink::new_connection()?;
        let tasks = [tokio::spawn(listening), tokio::spawn(asking)];
        let changes = events.filter_map(|(message, _)| std::future::ready(messages::change(message)));
        Ok((Self { handle, tasks }, changes))
    }

    /// Reads links and neighbours, and asks for the routes that are wanted where there are such links.
    ///
    /// # Errors
    /// When the kernel refuses a dump.
    pub async fn read(&self, flows: impl FnOnce(&Kernel) -> Vec<Flow>) -> io::Result<Kernel> {
        let links = self.links().await?.into_iter().collect();
        let mut kernel = Kernel { links, ..Kernel::default() };
        let flows = flows(&kernel);
        kernel.missing = self.missing(&flows).await;
        kernel.routes = self.routes(&flows).await.into_iter().collect();
        kernel.neighbours = self.neighbours().await?.into_iter().collect();
        Ok(kernel)
    }

    /// Every device.
    ///
    /// # Errors
    /// When the kernel refuses the dump.
    pub async fn links(&self) -> io::Result<Vec<(LinkIndex, Link)>> {
        let messages: Vec<_> = self.handle.link().get().execute().try_collect().await.map_err(to_io)?;
        Ok(messages.iter().map(|message| (message.header.index, messages::link(message))).collect())
    }

    /// Every IP neighbour.
    ///
    /// # Errors
    /// When the kernel refuses the dump.
    pub async fn neighbours(&self) -> io::Result<Vec<((LinkIndex, IpAddr), Neighbour)>> {
        let messages: Vec<_> = self.handle.neighbours().get().execute().try_collect().await.map_err(to_io)?;
        Ok(messages.iter().filter_map(messages::neighbour).collect())
    }

    /// How many neighbours the kernel's tables hold.
    pub async fn neighbour_room(&self) -> NeighbourRoom {
        let mut room = NeighbourRoom::default();
        let question = RouteNetlinkMessage::GetNeighbourTable(NeighbourTableMessage::default());
        let mut question = NetlinkMessage::from(question);
        question.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let Ok(mut answers) = self.handle.clone().request(question) else { return room };
        while let Some(answer) = answers.next().await {
            let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbourTable(table)) = answer.payload else {
                continue;
            };
            match messages::neighbour_room(&table) {
                Some((AddressFamily::Inet, most)) => room.v4 = Some(most),
                Some((AddressFamily::Inet6, most)) => room.v6 = Some(most),
                _ => {}
            }
        }
        room
    }

    /// Every address of every device, with the device.
    ///
    /// # Errors
    /// When the kernel refuses the dump.
    pub async fn addresses(&self) -> io::Result<Vec<(LinkIndex, IpAddr)>> {
        let messages: Vec<_> = self.handle.address().get().execute().try_collect().await.map_err(to_io)?;
        Ok(messages.iter().filter_map(messages::address).collect())
    }

    /// The source addresses of flows that no device has; none where the kernel does not say.
    pub async fn missing(&self, flows: &[Flow]) -> BTreeSet<IpAddr> {
        let mut missing: BTreeSet<_> = flows.iter().map(|flow| flow.src).collect();
        let Ok(there) = self.addresses().await else { return BTreeSet::new() };
        for (_, address) in there {
            missing.remove(&address);
        }
        missing
    }

    /// The route of every flow. An answer that says no, or none, is [`Route::None`].
    pub async fn routes(&self, flows: &[Flow]) -> Vec<(Flow, Route)> {
        let mut routes = Vec::with_capacity(flows.len());
        for &flow in flows {
            routes.push((flow, self.route(flow).await));
        }
        routes
    }

    async fn route(&self, flow: Flow) -> Route {
        let mut question = match (flow.src, flow.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                RouteMessageBuilder::<Ipv4Addr>::new().source_prefix(src, 32).destination_prefix(dst, 32).build()
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                RouteMessageBuilder::<Ipv6Addr>::new().source_prefix(src, 128).destination_prefix(dst, 128).build()
            }
            _ => return Route::None,
        };
        question.header.flags = RouteFlags::FibMatch;
        // A VRF as the device that it leaves by stands for the VRF's table.
        question.attributes.extend(flow.vrf.map(RouteAttribute::Oif));
        let mut answers = Box::pin(self.handle.route().get(question).execute());
        match answers.next().await {
            Some(Ok(message)) => messages::route(&message),
            // Unreachable, prohibited, or nothing at all: the kernel would not send it either.
            Some(Err(_)) | None => Route::None,
        }
    }

    /// Has the kernel resolve a neighbour, or confirm one that it has not heard of for a while. A
    /// [fixed](Neighbour::fixed) entry is left alone.
    ///
    /// `NTF_USE` does what sending a packet would do, without the packet.
    ///
    /// # Errors
    /// When the device is gone, or without the right to administer the network.
    pub async fn probe(&self, link: LinkIndex, address: IpAddr) -> io::Result<()> {
        // The kernel would make a permanent entry a mortal one, and what we were told of it may be out of date.
        if self.neighbour(link, address).await.is_some_and(|entry| entry.fixed) {
            return Ok(());
        }
        let request = self.handle.neighbours().add(link, address).replace();
        request.state(NeighbourState::None).flags(NeighbourFlags::Use).execute().await.map_err(to_io)
    }

    /// Has the kernel forget a neighbour that did not answer, whose place another may need.
    ///
    /// # Errors
    /// When there is no such entry any more, or without the right to administer the network.
    pub async fn forget(&self, link: LinkIndex, address: IpAddr) -> io::Result<()> {
        self.handle.neighbours().del(messages::neighbour_of(link, address)).execute().await.map_err(to_io)
    }

    /// One neighbour, as it is now; `None` also from a kernel that does not answer this (before Linux 5.0).
    async fn neighbour(&self, link: LinkIndex, address: IpAddr) -> Option<Neighbour> {
        let question = RouteNetlinkMessage::GetNeighbour(messages::neighbour_of(link, address));
        let mut question = NetlinkMessage::from(question);
        question.header.flags = NLM_F_REQUEST;
        let mut answers = Box::pin(self.handle.clone().request(question).ok()?);
        match answers.next().await?.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbour(message)) => {
                messages::neighbour(&message).map(|(_, entry)| entry)
            }
            _ => None,
        }
    }
}

fn to_io(error: rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other.to_string()),
    }
}
