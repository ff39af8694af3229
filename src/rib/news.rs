//! What comes out of the RIB besides tables.

use std::net::IpAddr;

use transload_encaps::Mac;

use super::facts::Targets;
use super::history::Duplicate;
use crate::compile::Static;
use crate::events::Shortage;
use crate::forwarding::{AttachmentId, DomainId, PeerId, PortId};

/// What somebody else has to do, or may want to know.
#[derive(Debug)]
pub enum Output {
    /// To find paths for these tunnels.
    Resolve(Targets),
    /// To be told to people.
    News(News),
}

/// What people may want to know.
#[derive(Debug)]
pub enum News {
    /// Two hosts seem to have this MAC address; it is held where it was for the longest.
    Duplicate(Duplicate),
    /// A MAC address that was held may move again.
    Released {
        /// The tenant.
        domain: DomainId,
        /// The address.
        mac: Mac,
    },
    /// A peer was learned from what it sends.
    PeerLearned {
        /// Its name.
        name: String,
    },
    /// A group has no room for further peers; told once.
    GroupFull {
        /// The group's name.
        group: String,
        /// How many unknown senders it had no room for so far.
        refused: u64,
    },
    /// Two attachments are no longer kept apart.
    LoopEnded {
        /// The tenant.
        domain: DomainId,
        /// The two, the lower number first.
        between: [AttachmentId; 2],
    },
    /// Learned peers were silent and are forgotten.
    PeersForgotten {
        /// How many.
        count: usize,
        /// The names of the first.
        names: Vec<String>,
    },
    /// A router carries no longer packets to a peer than so many bytes.
    PathMtu {
        /// The peer.
        peer: PeerId,
        /// The router.
        from: IpAddr,
        /// Most bytes of an IP packet.
        mtu: u32,
    },
    /// Packets do not get to a peer; told once, until it has not been said for a while.
    Unreachable {
        /// The peer.
        peer: PeerId,
        /// Who says so.
        from: IpAddr,
        /// Why, in words.
        what: String,
    },
    /// A peer answers no more, or is heard again.
    Silence {
        /// The peer.
        peer: PeerId,
        /// Whether it answers no more.
        is_silent: bool,
    },
    /// A tenant has more MAC addresses than are learned; told once, until that was over for a while.
    Shortage {
        /// The tenant.
        domain: DomainId,
        /// What keeps them from being learned.
        of: Shortage,
    },
    /// The FDB has no room for this address of the file.
    NoRoom(Static),
    /// A port does not carry frames.
    PortFailed {
        /// The port.
        port: PortId,
        /// Why, in words.
        cause: String,
    },
    /// A port that had failed carries frames again.
    PortWorks {
        /// The port.
        port: PortId,
    },
}
