//! A frame in words, layer by layer. Reads the outer headers with another library than the gateway uses, so that the
//! gateway's own idea of them is not what confirms it.

use etherparse::{Icmpv4Slice, InternetSlice, LinkSlice, SlicedPacket, TransportSlice};

const VXLAN_LEN: usize = 8;
const GRE: u8 = 47;
const NVGRE_LEN: usize = 8;
const VXLAN_PORT: u16 = 4789;

/// One layer: its name, and what its header says.
pub(super) type Layer = (&'static str, String);

/// A frame taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TunnelPacket {
    /// From the outermost, the tunnel header last.
    pub outer: Vec<Layer>,
    /// The tenant's frame.
    pub inner: Vec<u8>,
}

/// Takes a VXLAN or NVGRE packet over IPv4 apart; `None` for any other frame.
#[must_use]
pub(super) fn tunnel_packet(frame: &[u8]) -> Option<TunnelPacket> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let mut outer = plain_layers(&packet);
    let Some(InternetSlice::Ipv4(ip)) = &packet.net else { return None };
    let payload = match &packet.transport {
        Some(TransportSlice::Udp(udp)) if udp.destination_port() == VXLAN_PORT => {
            let (header, inner) = udp.payload().split_first_chunk::<VXLAN_LEN>()?;
            let [_, _, _, _, a, b, c, _] = *header;
            outer.push(("VXLAN", format!("VNI {}", u32::from_be_bytes([0, a, b, c]))));
            inner
        }
        None if ip.header().protocol().0 == GRE => {
            let (header, inner) = ip.payload().payload.split_first_chunk::<NVGRE_LEN>()?;
            let [0x20, 0, 0x65, 0x58, a, b, c, flow_id] = *header else { return None };
            outer.push(("NVGRE", format!("VSID {}, FlowID {flow_id:#04x}", u32::from_be_bytes([0, a, b, c]))));
            inner
        }
        _ => return None,
    };
    Some(TunnelPacket { outer, inner: payload.to_vec() })
}

/// The layers of a frame without a tunnel.
#[must_use]
pub(super) fn layers(frame: &[u8]) -> Vec<Layer> {
    SlicedPacket::from_ethernet(frame).map_or_else(|_| Vec::new(), |packet| plain_layers(&packet))
}

/// Whether this is a tenant's echo request, the one with this identifier's host as its destination.
#[must_use]
pub(super) fn is_echo_request(frame: &[u8], destination: std::net::Ipv4Addr) -> bool {
    let Ok(packet) = SlicedPacket::from_ethernet(frame) else { return false };
    let Some(InternetSlice::Ipv4(ip)) = &packet.net else { return false };
    let Some(TransportSlice::Icmpv4(icmp)) = &packet.transport else { return false };
    ip.header().destination_addr() == destination && icmp.type_u8() == 8
}

fn plain_layers(packet: &SlicedPacket<'_>) -> Vec<Layer> {
    let mut layers = Vec::new();
    if let Some(LinkSlice::Ethernet2(ethernet)) = &packet.link {
        layers.push(("Ethernet", format!("{} > {}", mac(ethernet.source()), mac(ethernet.destination()))));
    }
    if let Some(InternetSlice::Ipv4(ip)) = &packet.net {
        let header = ip.header();
        layers.push(("IPv4", format!("{} > {}", header.source_addr(), header.destination_addr())));
    }
    match &packet.transport {
        Some(TransportSlice::Udp(udp)) => {
            layers.push(("UDP", format!("{} > {}", udp.source_port(), udp.destination_port())));
        }
        Some(TransportSlice::Icmpv4(icmp)) => layers.push(("ICMP", echo(icmp))),
        _ => {}
    }
    layers
}

fn echo(icmp: &Icmpv4Slice<'_>) -> String {
    let what = match icmp.type_u8() {
        8 => "echo request",
        0 => "echo reply",
        _ => "something else",
    };
    let [_, _, high, low] = icmp.bytes5to8();
    format!("{what}, sequence {}", u16::from_be_bytes([high, low]))
}

fn mac(bytes: [u8; 6]) -> String {
    transload_encaps::Mac(bytes).to_string()
}
