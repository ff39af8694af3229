//! Captured frames, as the live port would have handed them over.
//!
//! A capture holds the bytes and nothing of what the kernel tells a port besides. On a veth, or on the sending machine,
//! frames are captured before a device has filled in the checksum that their sender left to it: the field then holds
//! the folded sum of the pseudo-header, not complemented, and zero in an IPv4 header (`headers`). Such frames may be
//! super-frames, longer than any on the wire. A capture of both directions also holds what the gateway itself has sent.

mod headers;

use std::ops::AddAssign;

use schemars::JsonSchema;
use serde::Serialize;
use transload_encaps::outer::{self, Outer, pseudo_header};
use transload_encaps::{Carrier, Checksum, Gso, GsoKind, Kind, checksum, ethernet};

use crate::forwarding::{EndpointId, Forwarding, PortId, Sender};
use crate::io::arena::LONGEST;
use crate::io::memory::Packet;
use crate::io::pcap::Record;

const TCP: u8 = 6;
const UDP: u8 = 17;
const UDP_LEN: usize = 8;
const TCP_CHECKSUM: usize = 16;
/// The high half of TCP's byte here is the length of its header, in words.
const TCP_DATA_OFFSET: usize = 12;
/// A tunnel, what the tenant built inside, and once more.
const MOST_LAYERS: usize = 3;
/// MTU of a port that states none, where a super-frame shows that there must be one.
const MTU: u32 = 1500;

/// How many frames of captures were not what they seem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct Captured {
    /// Frames whose checksum their sender's device had still to fill in.
    pub unfinished: u64,
    /// Frames of the unfinished ones that were super-frames.
    pub super_frames: u64,
    /// Frames that were our own tunnel packets on their way out, which the live port does not receive; they are left out.
    pub leaving: u64,
    /// Frames that were super-frames longer than a port takes; they are dropped, as `super_frame_too_long`.
    pub too_long: u64,
    /// Frames with a frame check sequence behind them, which is cut off.
    pub fcs: u64,
}

impl AddAssign for Captured {
    fn add_assign(&mut self, more: Self) {
        let Self { unfinished, super_frames, leaving, too_long, fcs } = more;
        self.unfinished += unfinished;
        self.super_frames += super_frames;
        self.leaving += leaving;
        self.too_long += too_long;
        self.fcs += fcs;
    }
}

impl Captured {
    /// Whether every frame was what it seems.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// A sentence for each number that is not zero.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let of = |count: u64, one: &str, several: &str| match count {
            0 => None,
            1 => Some(format!("1 frame {one}")),
            count => Some(format!("{count} frames {several}")),
        };
        let unfinished = of(
            self.unfinished,
            "was captured before its sender's device had filled in the checksum; it is taken as the live port would \
             take it",
            "were captured before their sender's device had filled in the checksum; they are taken as the live port \
             would take them",
        );
        let super_frames = of(
            self.super_frames,
            "is longer than the wire carries; a capture does not say how its sender's device cuts it: it is taken as \
             segments that fit the MTU of its port, or 1500",
            "are longer than the wire carries; a capture does not say how their sender's device cuts them: they are \
             taken as segments that fit the MTU of their port, or 1500",
        );
        let leaving = of(
            self.leaving,
            "was leaving: its source is our own endpoint; it is left out (capture with `tcpdump -Q in`)",
            "were leaving: their source is our own endpoint; they are left out (capture with `tcpdump -Q in`)",
        );
        let too_long = of(
            self.too_long,
            "is a super-frame longer than a port takes (64 KB of IP), and is dropped (its sender's `ip link` shows \
             `gso_max_size` or `gso_ipv4_max_size` above 65536: capture where the packets have been cut, or lower it)",
            "are super-frames longer than a port takes (64 KB of IP), and are dropped (their sender's `ip link` shows \
             `gso_max_size` or `gso_ipv4_max_size` above 65536: capture where the packets have been cut, or lower it)",
        );
        let fcs = of(
            self.fcs,
            "was captured with its frame check sequence, which is cut off",
            "were captured with their frame check sequences, which are cut off",
        );
        [unfinished, super_frames, leaving, too_long, fcs].into_iter().flatten().collect()
    }

    /// A record as its port receives it, counted; `None` for what was leaving.
    pub fn arrival(&mut self, tables: &Forwarding, port: PortId, record: Record) -> Option<Packet> {
        let (packet, seen) = of_record(tables, port, record);
        let is_leaving = leaving(tables, port, &packet.bytes).is_some();
        *self += if is_leaving { Self { leaving: 1, ..Self::default() } } else { seen };
        (!is_leaving).then_some(packet)
    }
}

/// A record as a port receives it, and what is to be said of it.
#[must_use]
pub fn of_record(tables: &Forwarding, port: PortId, record: Record) -> (Packet, Captured) {
    let (is_cut, fcs) = (record.is_cut(), u64::from(record.fcs_len > 0));
    let (packet, seen) = if record.original_len as usize > LONGEST {
        too_long(record.bytes)
    } else {
        of_bytes(tables, port, record.bytes)
    };
    (Packet { cut: is_cut || packet.cut, ..packet }, Captured { fcs, ..seen })
}

/// A frame as a port receives it, and what is to be said of it.
#[must_use]
pub fn of_bytes(tables: &Forwarding, port: PortId, mut bytes: Vec<u8>) -> (Packet, Captured) {
    let mtu = tables.ports.get(port).and_then(|port| port.mtu).unwrap_or(MTU);
    let completed = match headers::complete(tables, &mut bytes, mtu) {
        Ok(completed) if bytes.len() <= LONGEST => completed,
        _ => return too_long(bytes),
    };
    let packet = match unfinished(tables, &bytes, mtu) {
        Some((checksum, gso)) => Packet { bytes, checksum, gso, cut: false },
        None => bytes.into(),
    };
    let unfinished = u64::from(completed || packet.checksum != Checksum::Unknown);
    let seen = Captured { unfinished, super_frames: u64::from(packet.gso.is_some()), ..Captured::default() };
    (packet, seen)
}

/// What a port has of a super-frame that is longer than it takes: the beginning, and that it is one.
fn too_long(mut bytes: Vec<u8>) -> (Packet, Captured) {
    bytes.truncate(LONGEST);
    let gso = Some(Gso { kind: GsoKind::Tcp4, size: 0 });
    (Packet { bytes, gso, checksum: Checksum::Unknown, cut: true }, Captured { too_long: 1, ..Captured::default() })
}

/// The endpoint that a frame is on its way out from, if it is one of our own tunnel packets.
#[must_use]
pub fn leaving(tables: &Forwarding, port: PortId, frame: &[u8]) -> Option<EndpointId> {
    let here = &tables.ports.get(port)?.endpoints;
    let is_ours = |id: &&EndpointId| -> Option<bool> {
        let endpoint = tables.endpoints.get(**id)?;
        let packet = outer::walk(frame, outer::ip_start(frame, endpoint.vlan)?).ok()?;
        let comes_back = tables.endpoints.values().any(|other| other.address == packet.dst);
        Some(packet.src == endpoint.address && endpoint.carriers.contains(&packet.carrier) && !comes_back)
    };
    here.iter().find(|id| is_ours(id).unwrap_or(false)).copied()
}

/// What a sender has left to its device: the innermost checksum that is unfinished, and, if the packet is longer than
/// the MTU, how long the payload of a segment may be.
///
/// None where the checksum of a header further out can never become right.
fn unfinished(tables: &Forwarding, frame: &[u8], mtu: u32) -> Option<(Checksum, Option<Gso>)> {
    let layers = layers(tables, frame);
    let at = layers.iter().rposition(|layer| layer.is_unfinished(frame))?;
    let (layer, around) = (layers.get(at)?, layers.get(..at)?);
    let filled = layer.filled(frame)?;
    if !around.iter().all(|outer| outer.fits(frame, &filled)) {
        return None;
    }
    let first = layers.first()?;
    let is_long = first.packet.end - u32::from(first.packet.ip_at) > mtu;
    let is_tunnel = inside(tables, frame, &layer.packet).is_some();
    let gso = if is_long && !is_tunnel { layer.segments(frame, first, mtu) } else { None };
    Some((Checksum::Partial { start: layer.start as u32, offset: layer.field as u16 }, gso))
}

/// A TCP or UDP header, somewhere in a frame.
struct TransportHeader {
    packet: Outer,
    protocol: u8,
    /// Where the header begins.
    start: usize,
    /// Where in it the checksum is.
    field: usize,
}

/// The TCP and UDP headers of a frame, the outermost first.
fn layers(tables: &Forwarding, frame: &[u8]) -> Vec<TransportHeader> {
    let (mut found, mut from) = (Vec::new(), Some(0));
    for _ in 0..MOST_LAYERS {
        let Some(packet) = from.and_then(|from| packet(frame, from)) else { break };
        let at = usize::from(packet.at);
        let (protocol, start, field) = match packet.carrier {
            Carrier::Udp(_) => (UDP, at - UDP_LEN, outer::UDP_CHECKSUM.into()),
            _ => (TCP, at, TCP_CHECKSUM),
        };
        if matches!(packet.carrier, Carrier::Udp(_) | Carrier::Ip(TCP)) {
            found.push(TransportHeader { packet, protocol, start, field });
        }
        from = inside(tables, frame, &packet);
    }
    found
}

/// The IP packet of the Ethernet frame that begins here.
fn packet(frame: &[u8], from: usize) -> Option<Outer> {
    let (ether_type, at) = ethernet::payload(frame.get(from..)?)?;
    let is_ip = matches!(ether_type, ethernet::IPV4 | ethernet::IPV6);
    outer::walk(frame, from + at).ok().filter(|_| is_ip)
}

/// Where the frame in a tunnel packet begins, if it may be one: as the peer's encapsulation says that sent it, else as
/// those say that usually ride on its carrier. A tenant's own tunnels are such, too.
fn inside(tables: &Forwarding, frame: &[u8], packet: &Outer) -> Option<usize> {
    let at = usize::from(packet.at);
    let tunnel = frame.get(at..packet.end as usize)?;
    let mut kinds = spoken(tables, packet).into_iter().chain(Kind::on(packet.carrier));
    kinds.find_map(|kind| kind.inner_at(tunnel)).map(|inner| at + inner)
}

/// What the peer speaks that sent a packet to one of our endpoints.
fn spoken(tables: &Forwarding, packet: &Outer) -> Option<Kind> {
    let mut here = tables.endpoints.iter().filter(|(_, endpoint)| endpoint.carriers.contains(&packet.carrier));
    let peer = here.find_map(|(endpoint, _)| {
        let sender = Sender { endpoint, address: packet.src, carrier: packet.carrier };
        tables.senders.get(&sender).copied().or_else(|| tables.unnamed(&sender))
    })?;
    tables.peer(peer).map(|peer| peer.compiled.kind())
}

impl TransportHeader {
    fn pseudo_header(&self) -> u64 {
        let Outer { src, dst, end, .. } = self.packet;
        pseudo_header(src, dst, self.protocol, (end as usize).saturating_sub(self.start))
    }

    fn sent(&self, frame: &[u8]) -> Option<u16> {
        ethernet::be16(frame, self.start + self.field)
    }

    fn is_right(&self, frame: &[u8]) -> bool {
        let covered = frame.get(self.start..self.packet.end as usize).unwrap_or_default();
        checksum::fold(checksum::add(self.pseudo_header(), covered)) == 0xffff
    }

    fn is_unfinished(&self, frame: &[u8]) -> bool {
        self.sent(frame) == Some(checksum::fold(self.pseudo_header())) && !self.is_right(frame)
    }

    /// Whether this checksum, further out than the one that was `filled` in, is one that a kernel sends: none, that of
    /// a super-frame, or the one that is right afterwards.
    fn fits(&self, frame: &[u8], filled: &[u8]) -> bool {
        let is_none = self.protocol == UDP && self.sent(frame) == Some(0);
        is_none || self.is_unfinished(frame) || self.is_right(filled)
    }

    /// The frame with this checksum filled in.
    fn filled(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let mut filled = frame.to_vec();
        let covered = filled.get_mut(self.start..self.packet.end as usize)?;
        let sum = !checksum::fold(checksum::add(0, covered));
        covered.get_mut(self.field..)?.first_chunk_mut().map(|field| *field = sum.to_be_bytes())?;
        Some(filled)
    }

    /// Segments of which each fits the MTU with all the headers in front of its payload.
    fn segments(&self, frame: &[u8], first: &Self, mtu: u32) -> Option<Gso> {
        let (kind, header) = match (self.protocol, self.packet.src.is_ipv4()) {
            (UDP, _) => (GsoKind::Udp, UDP_LEN),
            (_, is_ipv4) => {
                let words = frame.get(self.start + TCP_DATA_OFFSET)? >> 4;
                (if is_ipv4 { GsoKind::Tcp4 } else { GsoKind::Tcp6 }, usize::from(words) * 4)
            }
        };
        let headers = self.start + header - usize::from(first.packet.ip_at);
        let size = (mtu as usize).checked_sub(headers).filter(|&size| size > 0)?;
        Some(Gso { kind, size: u16::try_from(size).ok()? })
    }
}
