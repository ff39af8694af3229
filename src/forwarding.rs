//! The frozen tables: everything a worker needs to decide where a frame goes, read-only while it is in use.
//!
//! Control compiles them from the configuration and publishes them whole; a worker reads the pointer once per
//! burst. Numbers ([`PortId`], [`PeerId`], [`DomainId`], and an attachment's place in its domain) are given out by
//! control and keep their meaning from one `Forwarding` to the next, because the FDB outlives them all.

mod bum;
mod groups;
mod ids;
mod mappings;
mod memory;
mod slab;

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use transload_encaps::l2cp::ControlGroups;
use transload_encaps::outer::UdpRules;
use transload_encaps::underlay::{LinkAddresses, Underlay};
use transload_encaps::{Carrier, Compiled, InnerTags, Mac, Segment};

pub use bum::{BumClass, BumDue, BumLimits};
pub use groups::{Group, Learned, LearnedPeer, Learner};
pub use ids::{AttachmentId, DomainId, EndpointId, GroupId, MappingId, PeerId, PortId, Scope};
pub use mappings::{Connection, Crossing, End, Mappings};
pub use memory::{DomainState, LoopMemory, Watched};
pub use slab::{RowId, Slab};

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
        (self.attachment.number() as u32) << Self::PEER_BITS | self.peer.number() & ((1 << Self::PEER_BITS) - 1)
    }

    /// Out of the FDB.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        let attachment = AttachmentId::new((bits >> Self::PEER_BITS) as u16);
        Self { attachment, peer: PeerId::new(bits & ((1 << Self::PEER_BITS) - 1)) }
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
    /// The ports, with what their devices say of themselves.
    pub ports: Slab<PortId, Port>,
    /// The gateway's own address in every tenant and mapping.
    pub own_macs: Arc<OwnMacs>,
    /// The peers that no configuration names.
    pub learned: Arc<Learned>,
    /// The next hops to a tunnel peer, learned ones included, all of equal cost; none or empty while unresolved.
    pub hops: Slab<PeerId, Arc<[Hop]>>,
    /// The gateway has just started, so that much is unknown that soon will not be: tenants may send more unknown unicast.
    pub is_starting: bool,
}

/// The gateway's own MAC address in every tenant and mapping, from which it says that a packet is too big. Never
/// learned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnMacs {
    /// That in a tenant.
    pub domains: Slab<DomainId, Mac>,
    /// That in every tenant of a mapping.
    pub mappings: Slab<MappingId, Mac>,
}

impl OwnMacs {
    /// The gateway's address in a tenant.
    #[must_use]
    #[inline]
    pub fn domain(&self, id: DomainId) -> Option<Mac> {
        self.domains.get(id).copied()
    }

    /// The gateway's address in every tenant of a mapping.
    #[must_use]
    pub fn mapping(&self, id: MappingId) -> Option<Mac> {
        self.mappings.get(id).copied()
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
    /// The ports, as far as the file states what they are.
    pub ports: Slab<PortId, Port>,
    /// Our tunnel addresses.
    pub endpoints: Slab<EndpointId, Endpoint>,
    /// The peers that the file names, and the tags of ports.
    pub peers: Slab<PeerId, Peer>,
    /// The groups.
    pub groups: Slab<GroupId, Group>,
    /// The peer that a tunnel packet is from.
    pub senders: Map<Sender, PeerId>,
    /// The address ranges that groups accept senders from which the configuration does not name; sorted, and no two
    /// overlap.
    pub learners: Vec<Learner>,
    /// The attachment that a segment belongs to.
    pub segments: Map<(Scope, Segment), Claim>,
    /// The tenants' bridge domains.
    pub domains: Slab<DomainId, Domain>,
    /// How many places of the FDB are in no tenant's reserve. While the FDB has no more MAC addresses than these and a
    /// tenant's reserve, that tenant learns beyond its reserve; after that, what is free is kept for the reserves of others.
    pub common_macs: usize,
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
    /// Whether packets that arrive in fragments are put together again.
    pub reassembly: Option<Reassembly>,
}

/// How many fragmented packets each worker puts together, and for how long it waits for the rest of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reassembly {
    /// Most packets at a time.
    pub most: usize,
    /// Nanoseconds from the first fragment on.
    pub timeout: u64,
}

/// The sender of a tunnel packet, as its outer headers show it: names exactly one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sender {
    /// The endpoint that the packet came to.
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
    /// The number space that its segments are looked up in.
    pub scope: Scope,
    /// How frames leave towards it.
    pub exit: Exit,
    /// The identification of the next packet to it, if routers may fragment them; shared by all workers and tables.
    pub ids: Option<Arc<AtomicU16>>,
    /// Rules for the UDP checksums of its packets.
    pub udp: UdpRules,
    /// The multicast group of the underlay that its packets may come to.
    pub multicast_group: Option<IpAddr>,
    /// Whether it stands for senders that have no number: nothing is learned to be behind it.
    pub is_anonymous: bool,
}

impl Peer {
    /// Goes on with the identifications of `before`.
    pub fn carry_ids(&mut self, before: Option<&Self>) {
        let before = before.and_then(|before| before.ids.as_ref());
        if let Some((ids, before)) = self.ids.as_mut().zip(before) {
            *ids = Arc::clone(before);
        }
    }
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
#[derive(Debug, Clone, Default)]
pub struct Domain {
    /// The attachments.
    pub attachments: Slab<AttachmentId, Attachment>,
    /// Whether sources are learned.
    pub learning: bool,
    /// Seconds after which a silent MAC is forgotten.
    pub ageing: u16,
    /// Whether a unicast frame to an unknown MAC goes to everyone.
    pub flood_unknown: bool,
    /// Most MAC addresses that are learned.
    pub mac_limit: u32,
    /// How many of these find room in the FDB whatever other tenants learn.
    pub mac_reserve: u32,
    /// How many copies of broadcast, unknown and multicast frames may be made.
    pub bum: BumLimits,
    /// How long TCP segments may be that the tenant's hosts allow each other; `None` leaves it to them.
    pub mss_clamp: Option<MssClamp>,
    /// When a MAC that keeps moving is held; `None` for never.
    pub duplicates: Option<Duplicates>,
    /// Nanoseconds that a loop's broadcast, unknown and multicast frames are held; 0 for no guard.
    pub loop_hold: u64,
    /// What counts from frame to frame and outlives a reload.
    pub state: Arc<DomainState>,
}

/// When a MAC is taken for one that two hosts have (RFC 7432 §15.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duplicates {
    /// Number of moves that make a duplicate.
    pub moves: u32,
    /// Window in which they are counted, in nanoseconds.
    pub within: u64,
    /// Time for which the MAC is then held where it was for the longest of that window, in nanoseconds.
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
    /// The tenant ID of what is sent there.
    pub segment: Segment,
    /// The one of what is received; mostly the same.
    pub received: Segment,
    /// The peers behind it.
    pub members: Members,
    /// The rule for VLAN tags inside the tenant's frames.
    pub inner_tags: InnerTags,
    /// The bridges' control frames that pass here, to and from others where they do.
    pub relayed: ControlGroups,
    /// Attachments of a domain with the same number never feed each other, nor themselves.
    pub horizon: u16,
    /// How far the frames that come in here have used up [`Domain::bum`]; outlives a reload.
    pub bum_due: Arc<BumDue>,
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
        match self.file.peers.get(id) {
            Some(peer) => Some(peer),
            None => self.learned.peers.get(&id).map(|learned| &learned.peer),
        }
    }

    /// The next hops to a tunnel peer; `None` while there is none.
    #[must_use]
    #[inline]
    pub fn hops(&self, id: PeerId) -> Option<&[Hop]> {
        self.hops.get(id).filter(|hops| !hops.is_empty()).map(|hops| &**hops)
    }

    /// The domain with this number.
    #[must_use]
    #[inline]
    pub fn domain(&self, id: DomainId) -> Option<&Domain> {
        self.file.domain(id)
    }
}

impl FileTables {
    /// Counts one more MAC of a tenant, in an FDB that has so many, if it may have it: up to its reserve always, and up to
    /// its limit while the others' reserves are not touched. Returns whether it may.
    #[must_use]
    pub fn admit_mac(&self, domain: &Domain, macs: usize) -> bool {
        let is_crowded = macs > self.common_macs + domain.mac_reserve as usize;
        let most = if is_crowded { domain.mac_reserve } else { domain.mac_limit };
        let one_more = |macs| (macs < most).then_some(macs + 1);
        domain.state.macs.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// The peer with this number that the file names.
    #[must_use]
    #[inline]
    pub fn peer(&self, id: PeerId) -> Option<&Peer> {
        self.peers.get(id)
    }

    /// The domain with this number.
    #[must_use]
    #[inline]
    pub fn domain(&self, id: DomainId) -> Option<&Domain> {
        self.domains.get(id)
    }
}

impl Attachment {
    /// Whether what is flooded goes here, coming in behind this horizon; of bridges' control frames, one to `control`.
    #[must_use]
    #[inline]
    pub fn is_fed(&self, horizon: Option<u16>, control: ControlGroups) -> bool {
        Some(self.horizon) != horizon && self.relayed.holds(control)
    }

    /// Its IDs, at a peer behind it: `vni 10100`, `s_vid 100, c_vid 7`; `vni 10, sent: vni 20`.
    #[must_use]
    pub fn ids_in_words(&self, compiled: &Compiled) -> String {
        let received = compiled.ids_in_words(self.received);
        if self.segment == self.received {
            return received;
        }
        format!("{received}, sent: {}", compiled.ids_in_words(self.segment))
    }
}

impl Domain {
    /// The attachment in this place.
    #[must_use]
    #[inline]
    pub fn attachment(&self, id: AttachmentId) -> Option<&Attachment> {
        self.attachments.get(id)
    }
}
