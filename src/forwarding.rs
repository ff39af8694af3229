//! The frozen tables: everything a worker needs to decide where a frame goes, read-only while it is in use.
//!
//! Control compiles them from the configuration and publishes them whole; a worker reads the pointer once per
//! burst. Numbers ([`PortId`], [`PeerId`], [`DomainId`], and an attachment's place in its domain) are given out by
//! control and keep their meaning from one `Forwarding` to the next, because the FDB outlives them all.

mod groups;
mod mappings;
mod memory;

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use transload_encaps::outer::UdpRules;
use transload_encaps::underlay::{LinkAddresses, Underlay};
use transload_encaps::{Carrier, Compiled, InnerTags, Mac, Segment};

pub use groups::{Group, Learned, LearnedPeer, Learner};
pub use mappings::{Connection, Crossing, End, MappingId, Mappings};
pub use memory::{DomainState, LoopMemory, Watched};

/// A port of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u16);

/// A far tunnel endpoint, or the tags of a port: whatever frames are decapsulated from and encapsulated for.
/// At most 20 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub u32);

/// A tenant's bridge domain. At most 24 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainId(pub u32);

/// One of our tunnel addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(pub u16);

/// The number space that a peer's segments are looked up in: its own, its group's, or its port's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(pub u32);

/// Peers that share a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u32);

/// An attachment's place in its domain. At most 12 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttachmentId(pub u16);

/// Where a MAC address lives: an attachment of its own domain, and which peer of it.
///
/// Since the attachment is counted within the domain, an entry can never name another tenant's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    /// The attachment, within the domain of the lookup.
    pub attachment: AttachmentId,
    /// The peer behind it.
    pub peer: PeerId,
}

impl Target {
    const PEER_BITS: u32 = 20;

    /// As the FDB stores it.
    #[must_use]
    pub const fn to_bits(self) -> u32 {
        (self.attachment.0 as u32) << Self::PEER_BITS | self.peer.0 & ((1 << Self::PEER_BITS) - 1)
    }

    /// Out of the FDB.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        let attachment = AttachmentId((bits >> Self::PEER_BITS) as u16);
        Self { attachment, peer: PeerId(bits & ((1 << Self::PEER_BITS) - 1)) }
    }
}

/// Most peers, tags of ports included.
pub const MAX_PEERS: usize = 1 << 20;
/// Most attachments of one domain.
pub const MAX_ATTACHMENTS: usize = 1 << 12;
/// Most domains of a gateway.
pub const MAX_DOMAINS: usize = 1 << 24;

/// A hash map for keys that an attacker cannot choose: they come from the configuration.
pub type Map<K, V> = HashMap<K, V, FixedState>;

/// Everything a worker needs to decide where a frame goes: what the file alone decides, and what changes while it
/// stands. The RIB's `assemble` is what makes one.
///
/// It reads like its [`FileTables`], but for [`ports`](Self::ports), which know their devices here.
#[derive(Debug, Clone, Default)]
pub struct Forwarding {
    /// What the file decides, shared by all tables until it is read again.
    pub file: Arc<FileTables>,
    /// By [`PortId`]: the ports with what their devices say of themselves.
    pub ports: Vec<Port>,
    /// The gateway's own address in every tenant and mapping.
    pub own_macs: Arc<OwnMacs>,
    /// The peers that no configuration names.
    pub learned: Arc<Learned>,
    /// By [`PeerId`], learned ones included: the paths to a tunnel peer, all of equal cost; empty while unresolved, and
    /// for tags of ports.
    pub hops: Vec<Arc<[Hop]>>,
}

/// The gateway's own MAC address in every tenant and mapping, from which it says that a packet is too big. Never
/// learned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnMacs {
    /// By [`DomainId`].
    pub domains: Vec<Mac>,
    /// By [`MappingId`].
    pub mappings: Vec<Mac>,
}

impl OwnMacs {
    /// The gateway's address in a tenant.
    #[must_use]
    #[inline]
    pub fn domain(&self, id: DomainId) -> Option<Mac> {
        self.domains.get(id.0 as usize).copied()
    }

    /// The gateway's address in every tenant of a mapping.
    #[must_use]
    pub fn mapping(&self, id: MappingId) -> Option<Mac> {
        self.mappings.get(id.0 as usize).copied()
    }
}

impl Deref for Forwarding {
    type Target = FileTables;

    fn deref(&self) -> &FileTables {
        &self.file
    }
}

/// The tables that the file alone decides.
#[derive(Debug, Default)]
pub struct FileTables {
    /// By [`PortId`], as far as the file states what they are.
    pub ports: Vec<Port>,
    /// By [`EndpointId`].
    pub endpoints: Vec<Endpoint>,
    /// By [`PeerId`]; `None` where a number is free.
    pub peers: Vec<Option<Peer>>,
    /// By [`GroupId`].
    pub groups: Vec<Group>,
    /// The peer that a tunnel packet is from.
    pub senders: Map<Sender, PeerId>,
    /// The address ranges that groups accept senders from which the configuration does not name; sorted, and no two
    /// overlap.
    pub learners: Vec<Learner>,
    /// The attachment that a segment belongs to.
    pub segments: Map<(Scope, Segment), Claim>,
    /// By [`DomainId`]; `None` where a number is free.
    pub domains: Vec<Option<Domain>>,
    /// Stateless cross-connects, for the segments that no attachment claims.
    pub mappings: Mappings,
}

/// A port, as the classifier sees it.
#[derive(Debug, Clone, Default)]
pub struct Port {
    /// The port's MAC address; `None` accepts tunnel packets to any.
    pub mac: Option<Mac>,
    /// Our tunnel addresses that are reached through this port.
    pub endpoints: Vec<EndpointId>,
    /// The port's tags, if any attachment claims some.
    pub tags: Option<PeerId>,
    /// Most bytes an IP packet, or a tagged frame's payload, may have on this port; `None` for no limit.
    pub mtu: Option<u32>,
    /// Its device is down or has no carrier: the kernel would drop what is sent by it without a word.
    pub is_down: bool,
}

/// One of our tunnel addresses.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// The tag that its packets carry on the wire.
    pub vlan: Option<u16>,
    /// What its peers ride on; a packet of any other kind is not a tunnel's.
    pub carriers: Vec<Carrier>,
    /// The multicast groups that its packets may be sent to besides.
    pub multicast: Vec<IpAddr>,
}

/// The sender of a tunnel packet, as its outer headers show it: names exactly one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sender {
    /// The endpoint it came to.
    pub endpoint: EndpointId,
    /// The outer source address.
    pub address: IpAddr,
    /// The carrier: a UDP port or an IP protocol.
    pub carrier: Carrier,
}

/// A far tunnel endpoint, or the tags of a port.
#[derive(Debug)]
pub struct Peer {
    /// Its encapsulation, compiled.
    pub compiled: Compiled,
    /// Where its segments are looked up.
    pub scope: Scope,
    /// How frames leave towards it.
    pub exit: Exit,
    /// What it makes of UDP checksums.
    pub udp: UdpRules,
    /// The multicast group of the underlay that its packets may come to.
    pub multicast_group: Option<IpAddr>,
    /// Whether it stands for senders that have no number: nothing is learned to be behind it.
    pub is_anonymous: bool,
}

/// How frames leave towards a peer.
#[derive(Debug)]
pub enum Exit {
    /// Inside IP, by one of the [`hops`](Forwarding::hops).
    Tunnel(Underlay),
    /// As they are, on this port.
    Port(PortId),
}

/// One path to a tunnel peer: its next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// The port it leaves by.
    pub port: PortId,
    /// The outer MAC addresses.
    pub link: LinkAddresses,
    /// Most bytes an IP packet may have on this path; `None` for no limit.
    pub mtu: Option<u32>,
}

/// The attachment that a segment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The tenant's domain.
    pub domain: DomainId,
    /// The attachment in it.
    pub attachment: AttachmentId,
}

/// A tenant's bridge domain.
#[derive(Debug, Clone)]
pub struct Domain {
    /// By [`AttachmentId`]; `None` where a number is free.
    pub attachments: Vec<Option<Attachment>>,
    /// Whether sources are learned.
    pub learning: bool,
    /// Seconds after which a silent MAC is forgotten.
    pub ageing: u16,
    /// Whether a unicast frame to an unknown MAC goes to everyone.
    pub flood_unknown: bool,
    /// Most MAC addresses that are learned.
    pub mac_limit: u32,
    /// Nanoseconds between broadcast, unknown and multicast frames at the full allowed rate; 0 for no limit.
    pub bum_interval: u64,
    /// How long TCP segments may be that the tenant's hosts allow each other; `None` leaves it to them.
    pub mss_clamp: Option<MssClamp>,
    /// When a MAC that keeps moving is held; `None` for never.
    pub duplicates: Option<Duplicates>,
    /// Nanoseconds that a loop's broadcast, unknown and multicast frames are held; 0 for no guard.
    pub loop_hold: u64,
    /// What counts from frame to frame and outlives a reload.
    pub state: Arc<DomainState>,
}

/// When a MAC is taken for one that two hosts have (RFC 7432 §15.1); all times in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duplicates {
    /// So many moves,
    pub moves: u32,
    /// within so long,
    pub within: u64,
    /// hold it where it is for so long.
    pub hold: u64,
}

/// How long TCP segments may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MssClamp {
    /// As long as the paths in both directions can carry.
    Path,
    /// At most so many bytes of payload.
    Bytes(u16),
}

/// One attachment of a domain.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// The tenant ID there.
    pub segment: Segment,
    /// The peers behind it.
    pub members: Members,
    /// What happens to VLAN tags inside the tenant's frames.
    pub inner_tags: InnerTags,
    /// Whether bridges' control frames (01:80:c2:00:00:0x) pass here, to and from others where they do.
    pub tunnels_l2cp: bool,
    /// Attachments of a domain with the same number never feed each other, nor themselves.
    pub horizon: u16,
}

/// The peers behind an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Members {
    /// One peer, or the tags of a port.
    One(PeerId),
    /// A mesh.
    Group(GroupId),
}

impl Forwarding {
    /// The peer with this number, learned ones included.
    #[must_use]
    #[inline]
    pub fn peer(&self, id: PeerId) -> Option<&Peer> {
        match self.file.peers.get(id.0 as usize) {
            Some(Some(peer)) => Some(peer),
            _ => self.learned.peers.get(&id).map(|learned| &learned.peer),
        }
    }

    /// The paths to a tunnel peer; `None` while there is none.
    #[must_use]
    #[inline]
    pub fn hops(&self, id: PeerId) -> Option<&[Hop]> {
        self.hops.get(id.0 as usize).filter(|hops| !hops.is_empty()).map(|hops| &**hops)
    }

    /// The domain with this number.
    #[must_use]
    #[inline]
    pub fn domain(&self, id: DomainId) -> Option<&Domain> {
        self.file.domain(id)
    }
}

impl FileTables {
    /// The peer with this number that the file names.
    #[must_use]
    #[inline]
    pub fn peer(&self, id: PeerId) -> Option<&Peer> {
        self.peers.get(id.0 as usize)?.as_ref()
    }

    /// The domain with this number.
    #[must_use]
    #[inline]
    pub fn domain(&self, id: DomainId) -> Option<&Domain> {
        self.domains.get(id.0 as usize)?.as_ref()
    }
}

impl Domain {
    /// The attachment in this place.
    #[must_use]
    #[inline]
    pub fn attachment(&self, id: AttachmentId) -> Option<&Attachment> {
        self.attachments.get(usize::from(id.0))?.as_ref()
    }
}
