//! Classify: which peer's tunnel packet is this, or which port's tags has it?

use std::net::IpAddr;

use transload_encaps::ethernet::HEADER_LEN;
use transload_encaps::outer::{self, Outer, Pattern};
use transload_encaps::{Common, DropReason, Frame, Mac};

use super::burst::Burst;
use super::host_traffic;
use super::known_senders::KnownSenders;
use super::note::PacketOrigin;
use super::trace::Tracer;
use super::trains::{self, Aside};
use crate::counters::Counters;
use crate::forwarding::{Endpoint, EndpointId, Forwarding, Peer, PeerId, Port, PortId, Reassembly, Sender};

/// What the classify stage reads besides the burst.
pub(super) struct Classifier<'a, 'mem, T> {
    /// The port that the burst came in by.
    pub port: PortId,
    /// The frozen tables.
    pub tables: &'a Forwarding,
    /// This worker's counters.
    pub counters: &'a Counters,
    /// The senders whose packets are known at a look.
    pub known: &'a mut KnownSenders,
    /// Where a train waits with all frames behind it.
    pub aside: &'a mut Aside<'mem>,
    /// The observer of the stages.
    pub tracer: &'a mut T,
}

/// Finds the origin of every frame of a burst, as far as the first train; what is left is set aside.
#[inline(never)]
pub(super) fn classify<'mem, T: Tracer>(burst: &mut Burst<'mem>, with: &mut Classifier<'_, 'mem, T>) {
    let Some(port) = with.tables.ports.get(with.port) else {
        return burst.pending().for_each(|(_, note)| note.drop(Common::NotForUs.into()));
    };
    with.known.under(with.tables);
    let only_tags = port.tags.filter(|_| port.endpoints.is_empty());
    let Burst { frames, notes, unknown_senders, .. } = burst;
    let (mut train, mut has_fragments) = (None, false);
    for (at, (frame, note)) in frames.iter().zip(notes).enumerate() {
        if !T::WATCHES
            && let Some(origin) = with.at_a_look(frame, only_tags)
        {
            note.origin = origin;
            continue;
        }
        match with.origin(frame, port, unknown_senders) {
            Ok(origin) => note.origin = origin,
            Err(NoOrigin::Dropped(reason)) => {
                has_fragments |= reason == Common::OuterFragment.into();
                note.drop(reason);
            }
            Err(NoOrigin::Train(peer)) => {
                train = Some((at, peer));
                break;
            }
        }
    }
    burst.has_fragments = has_fragments;
    if let Some((at, peer)) = train {
        with.aside.put(burst, at, peer);
    }
}

/// Why a frame has no origin.
pub(super) enum NoOrigin {
    /// It is dropped.
    Dropped(DropReason),
    /// It is several packets of this peer.
    Train(PeerId),
}

impl<R: Into<DropReason>> From<R> for NoOrigin {
    fn from(reason: R) -> Self {
        Self::Dropped(reason.into())
    }
}

/// The endpoint that a packet is to.
#[derive(Clone, Copy)]
struct Addressee<'a> {
    id: EndpointId,
    endpoint: &'a Endpoint,
    /// The outer destination address: the endpoint's, or a multicast group that it listens to.
    to: IpAddr,
    /// Offset of the outer IP header, in bytes.
    ip_at: usize,
}

impl Addressee<'_> {
    fn is_group(&self) -> bool {
        self.to != self.endpoint.address
    }
}

impl<'a, T: Tracer> Classifier<'a, '_, T> {
    /// The origin of a frame with nothing wrong about it: of a packet of a known sender, or of any frame that has come
    /// in by a port where there is nothing but tags.
    #[inline]
    fn at_a_look(&self, frame: &Frame<'_>, only_tags: Option<PeerId>) -> Option<PacketOrigin> {
        match only_tags {
            None => self.known.origin(frame, self.port),
            Some(peer) => (!frame.meta.cut && frame.len() >= HEADER_LEN).then(|| in_tags(frame, peer)),
        }
    }

    /// The origin of any frame: a tunnel packet to one of the port's endpoints, or whatever else has the port's tags.
    #[inline(never)]
    pub(super) fn origin(
        &mut self,
        frame: &Frame<'_>,
        port: &Port,
        unknown_senders: &mut Vec<IpAddr>,
    ) -> Result<PacketOrigin, NoOrigin> {
        if frame.meta.cut || frame.len() < HEADER_LEN {
            return Err(not_whole(frame).into());
        }
        let Some(addressee) = self.addressee(frame, port) else {
            let peer = port.tags.ok_or_else(|| host_traffic::nobodys(frame.bytes(), port, self.tables))?;
            return Ok(in_tags(frame, peer));
        };
        self.tracer.to_endpoint(addressee.id);
        check_mac(frame, port, &addressee)?;
        let outer = outer::walk(frame.bytes(), addressee.ip_at)
            .map_err(|reason| host_traffic::broken(frame.bytes(), addressee.ip_at, reason, self.tables))?;
        self.tracer.outer(&outer);
        let sender = Sender { endpoint: addressee.id, address: outer.src, carrier: outer.carrier };
        let (id, peer) = self.peer(&sender, &addressee)?;
        let unverified = outer::verify_udp(frame, &outer, peer.udp)?;
        if let Some(gso) = frame.meta.gso
            && trains::is_train(frame, gso, &outer, peer.compiled.kind())
        {
            return Err(NoOrigin::Train(id));
        }
        if let Some(reason) = unverified {
            self.unverified(id, reason);
        }
        let mut origin = origin_of(&outer, id);
        if peer.is_anonymous {
            origin.unknown_sender = Some(unknown_senders.len() as u8);
            unknown_senders.push(outer.src);
        } else if let Some(pattern) = Pattern::of(frame.bytes(), &outer) {
            self.known.remember(frame, pattern, self.port, id);
        }
        Ok(origin)
    }

    /// Counts a packet whose UDP checksum the peer has ignored.
    #[cold]
    fn unverified(&mut self, peer: PeerId, reason: DropReason) {
        self.tracer.unverified(peer);
        if let Some(counter) = self.counters.tolerated(reason) {
            counter.add(1);
        }
    }

    /// The endpoint that a frame is a tunnel packet to.
    #[expect(clippy::inline_always, reason = "with two callers, one of them rare, it would be a call for every frame")]
    #[inline(always)]
    fn addressee(&self, frame: &Frame<'_>, port: &Port) -> Option<Addressee<'a>> {
        for &id in &port.endpoints {
            let Some(endpoint) = self.tables.endpoints.get(id) else { continue };
            // Exactly the endpoint's outer tag: a tagged tenant must not be able to forge a tunnel.
            let Some(ip_at) = outer::ip_start(frame.bytes(), endpoint.vlan) else { continue };
            let Some(to) = outer::ip_destination(frame.bytes(), ip_at) else { continue };
            if to == endpoint.address || endpoint.multicast.contains(&to) {
                return Some(Addressee { id, endpoint, to, ip_at });
            }
        }
        None
    }

    /// How the endpoint puts fragments together that a frame is to, if it does; and the offset of the outer IP header.
    #[cold]
    pub(super) fn reassembly(&self, frame: &Frame<'_>, port: &Port) -> Option<(EndpointId, Reassembly, usize)> {
        let Addressee { id, endpoint, ip_at, .. } = self.addressee(frame, port)?;
        Some((id, endpoint.reassembly?, ip_at))
    }

    /// Whether an endpoint has a peer with this address, of whichever carrier.
    pub(super) fn knows(&self, endpoint: EndpointId, address: IpAddr) -> bool {
        let carriers = self.tables.endpoints.get(endpoint).map_or(&[][..], |endpoint| &endpoint.carriers);
        carriers.iter().any(|&carrier| {
            let sender = Sender { endpoint, address, carrier };
            self.tables.senders.contains_key(&sender) || unnamed(&sender, self.tables).is_ok()
        })
    }

    /// The peer that a sender is, if it may send to this address.
    fn peer(&mut self, sender: &Sender, addressee: &Addressee<'_>) -> Result<(PeerId, &'a Peer), DropReason> {
        if !addressee.endpoint.carriers.contains(&sender.carrier) {
            return Err(host_traffic::by_other_carrier(sender, self.tables).into());
        }
        let found = match self.tables.senders.get(sender) {
            Some(peer) => Ok(*peer),
            None => unnamed(sender, self.tables),
        };
        self.tracer.sender(sender, found.ok());
        let id = found?;
        let peer = self.tables.peer(id).ok_or(Common::UnknownPeer)?;
        if addressee.is_group() && peer.multicast_group != Some(addressee.to) {
            return Err(Common::OtherGroup.into());
        }
        Ok((id, peer))
    }
}

#[inline]
const fn in_tags(frame: &Frame<'_>, peer: PeerId) -> PacketOrigin {
    PacketOrigin { peer, at: 0, end: frame.len() as u32, outer_class: None, unknown_sender: None }
}

#[inline]
const fn origin_of(outer: &Outer, peer: PeerId) -> PacketOrigin {
    let outer_class = Some(outer.traffic_class);
    PacketOrigin { peer, at: outer.at, end: outer.end, outer_class, unknown_sender: None }
}

/// Tunnel packets come to the port's MAC address, or to that of their multicast group.
fn check_mac(frame: &Frame<'_>, port: &Port, addressee: &Addressee<'_>) -> Result<(), Common> {
    let mac = if addressee.is_group() { Some(Mac::of_group(addressee.to)) } else { port.mac };
    if mac.is_some() && mac != outer::destination(frame.bytes()) { Err(Common::NotOurMac) } else { Ok(()) }
}

/// Why a frame is not whole: the port takes no super-frame as long, or the capture cut it.
#[cold]
const fn not_whole(frame: &Frame<'_>) -> Common {
    if frame.meta.cut && frame.meta.gso.is_some() { Common::SuperFrameTooLong } else { Common::Truncated }
}

/// The peer of a sender that no configuration names, where a group learns its peers.
#[cold]
fn unnamed(sender: &Sender, tables: &Forwarding) -> Result<PeerId, DropReason> {
    // Somebody else may have a link-local address of ours, on another link.
    let is_one_link = matches!(sender.address, IpAddr::V6(address) if address.is_unicast_link_local());
    let is_ours = |(id, endpoint): (EndpointId, &Endpoint)| {
        endpoint.address == sender.address && (id == sender.endpoint || !is_one_link)
    };
    if tables.endpoints.iter().any(is_ours) {
        return Err(Common::OwnPacket.into());
    }
    tables.unnamed(sender).ok_or(Common::UnknownPeer.into())
}
