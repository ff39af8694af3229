//! rtnetlink's messages, read into what the control plane wants to know of them.

use std::net::IpAddr;

use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload, Nla};
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{
    InfoData, InfoIpVlan, InfoKind, InfoMacVlan, InfoMacVtap, InfoTun, InfoVlan, IpVlanMode, LinkAttribute, LinkFlags,
    LinkInfo, LinkMessage, LinkXdp, MacVlanMode, MacVtapMode, Prop, XdpAttached,
};
use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState};
use rtnetlink::packet_route::neighbour_table::{NeighbourTableAttribute, NeighbourTableMessage};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteNextHopFlags, RouteType, RouteVia,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use transload_encaps::Mac;

use super::KernelChange;
use crate::io::LinkLayer;
use crate::kernel::device_kinds::{DeviceFamily, DeviceKind};
use crate::kernel::tables::{Link, LinkIndex, LinkState, Neighbour, NextHop, Route};

pub(super) fn change(message: NetlinkMessage<RouteNetlinkMessage>) -> Option<KernelChange> {
    let message = match message.payload {
        NetlinkPayload::InnerMessage(message) => message,
        NetlinkPayload::Overrun(_) => return Some(KernelChange::Lost),
        _ => return None,
    };
    match message {
        // AF_BRIDGE repeats a bridge port's link; the device itself did not change.
        RouteNetlinkMessage::NewLink(message) if message.header.interface_family == AddressFamily::Unspec => {
            Some(KernelChange::Link(message.header.index, Some(link(&message))))
        }
        RouteNetlinkMessage::DelLink(message) if message.header.interface_family == AddressFamily::Unspec => {
            Some(KernelChange::Link(message.header.index, None))
        }
        RouteNetlinkMessage::NewNeighbour(message) => {
            neighbour(&message).map(|(key, entry)| KernelChange::Neighbour(key, Some(entry)))
        }
        RouteNetlinkMessage::DelNeighbour(message) => {
            neighbour(&message).map(|(key, _)| KernelChange::Neighbour(key, None))
        }
        RouteNetlinkMessage::NewRoute(_)
        | RouteNetlinkMessage::DelRoute(_)
        | RouteNetlinkMessage::NewRule(_)
        | RouteNetlinkMessage::DelRule(_) => Some(KernelChange::Routes),
        _ => None,
    }
}

pub(super) fn link(message: &LinkMessage) -> Link {
    let flags = message.header.flags;
    let layer = LinkLayer::of(message.header.link_layer_type.into());
    let has_far_end = flags.contains(LinkFlags::Pointopoint);
    let kind = DeviceKind { layer, has_far_end, family: DeviceFamily::Other };
    let mut link = Link { kind, mac: layer.mac(&[]), ..Link::default() };
    link.state = match (flags.contains(LinkFlags::Up), flags.contains(LinkFlags::LowerUp)) {
        (true, true) => LinkState::Up,
        (true, false) => LinkState::NoCarrier,
        (false, _) => LinkState::Down,
    };
    let (mut lower, mut is_elsewhere) = (None, false);
    let mut tag = None;
    let mut master = None;
    let mut master_kind = None;
    let mut has_carrier = false;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(bytes) => link.mac = layer.mac(bytes),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Carrier(carrier) => has_carrier = *carrier == 1,
            LinkAttribute::Link(index) => lower = Some(*index),
            LinkAttribute::LinkNetNsId(_) => is_elsewhere = true,
            LinkAttribute::Xdp(programs) => link.has_xdp = programs.iter().any(is_attached),
            LinkAttribute::Controller(index) => master = Some(*index),
            LinkAttribute::PropList(names) => link.other_names = names.iter().filter_map(other_name).collect(),
            LinkAttribute::LinkInfo(infos) => {
                tag = infos.iter().find_map(vlan_id);
                link.kind.family = family(infos);
                master_kind = infos.iter().find_map(kind_of_master);
            }
            _ => {}
        }
    }
    if let DeviceFamily::Tun { is_open, .. } = &mut link.kind.family {
        // Whoever has it open is its cable.
        *is_open = has_carrier;
    }
    link.vlan = lower.zip(tag);
    if let DeviceFamily::Veth { far_end } = &mut link.kind.family {
        *far_end = lower.filter(|_| !is_elsewhere);
    }
    link.master = master.map(|index| (index, master_kind.unwrap_or_default()));
    link
}

fn family(infos: &[LinkInfo]) -> DeviceFamily {
    let of = |info: &LinkInfo| match info {
        LinkInfo::Kind(InfoKind::IpIp | InfoKind::Ip6Tnl | InfoKind::SitTun | InfoKind::GreTun | InfoKind::GreTun6) => {
            Some(DeviceFamily::IpTunnel)
        }
        LinkInfo::Kind(InfoKind::Veth) => Some(DeviceFamily::Veth { far_end: None }),
        LinkInfo::Kind(InfoKind::Vrf) => Some(DeviceFamily::Vrf),
        LinkInfo::Data(InfoData::Tun(infos)) => Some(DeviceFamily::Tun {
            is_tap: tun_byte(infos, TUN_TYPE) == Some(IS_TAP),
            multi_queue: tun_byte(infos, TUN_MULTI_QUEUE) == Some(1),
            is_open: false,
        }),
        LinkInfo::Data(InfoData::MacVlan(infos)) => {
            Some(DeviceFamily::MacVlan { takes_all: infos.contains(&InfoMacVlan::Mode(MacVlanMode::Passthrough)) })
        }
        LinkInfo::Data(InfoData::MacVtap(infos)) => {
            Some(DeviceFamily::MacVlan { takes_all: infos.contains(&InfoMacVtap::Mode(MacVtapMode::Passthrough)) })
        }
        LinkInfo::Data(InfoData::IpVlan(infos)) => {
            Some(DeviceFamily::IpVlan { routes: !infos.contains(&InfoIpVlan::Mode(IpVlanMode::L2)) })
        }
        _ => None,
    };
    infos.iter().find_map(of).unwrap_or_default()
}

/// `IFLA_TUN_TYPE`, and `IFF_TAP` there.
const TUN_TYPE: u16 = 3;
const IS_TAP: u8 = 2;
/// `IFLA_TUN_MULTI_QUEUE`.
const TUN_MULTI_QUEUE: u16 = 7;

/// What a tun or TAP says of itself in an attribute of one byte.
fn tun_byte(infos: &[InfoTun], kind: u16) -> Option<u8> {
    let info = infos.iter().find(|info| info.kind() == kind && info.value_len() == 1)?;
    let mut value = [0];
    info.emit_value(&mut value);
    Some(value[0])
}

fn vlan_id(info: &LinkInfo) -> Option<u16> {
    let LinkInfo::Data(InfoData::Vlan(infos)) = info else { return None };
    infos.iter().find_map(|info| match info {
        InfoVlan::Id(id) => Some(*id),
        _ => None,
    })
}

fn is_attached(program: &LinkXdp) -> bool {
    matches!(program, LinkXdp::Attached(how) if *how != XdpAttached::None)
}

fn kind_of_master(info: &LinkInfo) -> Option<String> {
    match info {
        LinkInfo::PortKind(kind) => Some(kind.to_string()),
        _ => None,
    }
}

fn other_name(property: &Prop) -> Option<String> {
    match property {
        Prop::AltIfName(name) => Some(name.clone()),
        _ => None,
    }
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    bytes.try_into().ok().map(Mac)
}

pub(super) fn neighbour(message: &NeighbourMessage) -> Option<((LinkIndex, IpAddr), Neighbour)> {
    // AF_BRIDGE messages are a bridge's FDB, not neighbours.
    if !matches!(message.header.family, AddressFamily::Inet | AddressFamily::Inet6) {
        return None;
    }
    let mut address = None;
    let mut lladdr = None;
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => address = Some(IpAddr::V4(*v4)),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => address = Some(IpAddr::V6(*v6)),
            NeighbourAttribute::LinkLayerAddress(bytes) => lladdr = mac(bytes),
            _ => {}
        }
    }
    let state = message.header.state;
    let known = matches!(
        state,
        NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Noarp
            | NeighbourState::Permanent
    );
    let fixed = matches!(state, NeighbourState::Noarp | NeighbourState::Permanent);
    let has_failed = state == NeighbourState::Failed;
    Some(((message.header.ifindex, address?), Neighbour { mac: lladdr.filter(|_| known), fixed, has_failed }))
}

/// The address family of a neighbour table, and the most entries it may have.
pub(super) fn neighbour_room(message: &NeighbourTableMessage) -> Option<(AddressFamily, u32)> {
    let most = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourTableAttribute::Threshold3(most) => Some(*most),
        _ => None,
    });
    Some((message.header.family, most?))
}

pub(super) fn route(message: &RouteMessage) -> Route {
    match message.header.kind {
        RouteType::Unicast => {}
        RouteType::Local => return Route::Local,
        _ => return Route::None,
    }
    let mut out = None;
    let mut mtu = None;
    let mut several = None;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => out = Some(*index),
            RouteAttribute::Metrics(metrics) => mtu = metrics.iter().find_map(route_mtu),
            RouteAttribute::MultiPath(hops) => several = Some(hops),
            _ => {}
        }
    }
    let one = out.map(|link| NextHop { link, gateway: gateway(&message.attributes), mtu });
    // A next hop that is dead stays in the list; the kernel only marks it.
    let alive = several.into_iter().flatten().filter(|hop| !hop.flags.contains(RouteNextHopFlags::Dead));
    let hops = alive.map(|hop| NextHop { link: hop.interface_index, gateway: gateway(&hop.attributes), mtu });
    let next_hops: Vec<_> = one.into_iter().chain(hops).collect();
    if next_hops.is_empty() { Route::None } else { Route::Out(next_hops) }
}

fn route_mtu(metric: &RouteMetric) -> Option<u32> {
    match metric {
        // Zero is the kernel's word for "not set".
        RouteMetric::Mtu(mtu) if *mtu > 0 => Some(*mtu),
        _ => None,
    }
}

fn gateway(attributes: &[RouteAttribute]) -> Option<IpAddr> {
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(v4)) | RouteAttribute::Via(RouteVia::Inet(v4)) => {
            Some(IpAddr::V4(*v4))
        }
        RouteAttribute::Gateway(RouteAddress::Inet6(v6)) | RouteAttribute::Via(RouteVia::Inet6(v6)) => {
            Some(IpAddr::V6(*v6))
        }
        _ => None,
    })
}

/// A message that names a neighbour and says nothing of it.
pub(super) fn neighbour_of(link: LinkIndex, address: IpAddr) -> NeighbourMessage {
    let (family, address) = match address {
        IpAddr::V4(address) => (AddressFamily::Inet, NeighbourAddress::Inet(address)),
        IpAddr::V6(address) => (AddressFamily::Inet6, NeighbourAddress::Inet6(address)),
    };
    let mut message = NeighbourMessage::default();
    message.header.ifindex = link;
    message.header.family = family;
    message.attributes.push(NeighbourAttribute::Destination(address));
    message
}

pub(super) fn address(message: &AddressMessage) -> Option<(LinkIndex, IpAddr)> {
    let mut local = None;
    let mut address = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ours) => local = Some(*ours),
            AddressAttribute::Address(either) => address = Some(*either),
            _ => {}
        }
    }
    // On a point-to-point device IFA_ADDRESS is the far end and IFA_LOCAL ours; IPv6 has mostly the former alone.
    Some((message.header.index, local.or(address)?))
}
