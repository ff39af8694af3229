//! Groups: their members, configured or learned, and the peers that a flooded frame goes to.

use std::net::IpAddr;
use std::sync::Arc;

use transload_encaps::Carrier;
use transload_encaps::l2cp::ControlGroups;

use super::{Attachment, Domain, EndpointId, FileTables, Forwarding, GroupId, Map, Members, Peer, PeerId, Sender};

/// Peers that share a mesh.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// The members that the configuration names.
    pub members: Vec<PeerId>,
    /// The peer that stands for all of them at once: frames for it go to a multicast group of the underlay, and frames
    /// that are flooded go nowhere else.
    pub multicast: Option<PeerId>,
    /// The peer that stands for senders without a number; none for a group that does not learn.
    pub anonymous: Option<PeerId>,
}

/// A range of addresses from which a group accepts senders that the configuration does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Learner {
    /// The endpoint that their packets come to.
    pub endpoint: EndpointId,
    /// The carrier of their packets: a UDP port or an IP protocol.
    pub carrier: Carrier,
    /// The first address of the prefix.
    pub first: IpAddr,
    /// The last one.
    pub last: IpAddr,
    /// The peer that they count as until they have a number of their own.
    pub peer: PeerId,
}

/// Peers that no configuration names: senders inside the prefix of a [`Learner`] that were heard.
#[derive(Debug, Clone, Default)]
pub struct Learned {
    /// The peers. Their numbers are none of [`FileTables::peers`](super::FileTables::peers).
    pub peers: Map<PeerId, Arc<LearnedPeer>>,
    /// The one that a tunnel packet is from.
    pub senders: Map<Sender, PeerId>,
    /// The members of each group, in the order of their addresses.
    pub members: Map<GroupId, Vec<PeerId>>,
}

/// A peer that no configuration names.
#[derive(Debug)]
pub struct LearnedPeer {
    /// The group it belongs to.
    pub group: GroupId,
    /// The row that a peer of the file would have.
    pub peer: Peer,
}

impl FileTables {
    /// The range that a sender may be learned from, if the configuration does not name it.
    #[must_use]
    pub fn learner(&self, sender: &Sender) -> Option<&Learner> {
        let key = (sender.endpoint, sender.carrier, sender.address);
        let end = self.learners.partition_point(|row| (row.endpoint, row.carrier, row.first) <= key);
        let row = self.learners.get(end.checked_sub(1)?)?;
        let is_inside = (row.endpoint, row.carrier) == (key.0, key.1) && sender.address <= row.last;
        is_inside.then_some(row)
    }

    /// The peers behind an attachment that the configuration names.
    #[must_use]
    pub fn members<'a>(&'a self, members: &'a Members) -> &'a [PeerId] {
        match members {
            Members::One(peer) => std::slice::from_ref(peer),
            Members::Group(group) => self.groups.get(*group).map_or(&[], |group| &group.members),
        }
    }

    /// A peer that speaks an attachment's encapsulation: any one behind it.
    #[must_use]
    pub fn speaker(&self, members: &Members) -> Option<PeerId> {
        match members {
            Members::One(peer) => Some(*peer),
            Members::Group(group) => {
                let group = self.groups.get(*group)?;
                group.members.first().copied().or(group.anonymous)
            }
        }
    }
}

impl Forwarding {
    /// The peer that a sender counts as that the configuration does not name: a learned peer, or, if it may still
    /// become one, the group's anonymous peer.
    #[must_use]
    pub fn unnamed(&self, sender: &Sender) -> Option<PeerId> {
        self.learned.senders.get(sender).copied().or_else(|| self.learner(sender).map(|learner| learner.peer))
    }

    /// The peers behind an attachment that were learned.
    #[must_use]
    pub fn learned_members(&self, members: &Members) -> &[PeerId] {
        match members {
            Members::One(_) => &[],
            Members::Group(group) => self.learned.members.get(group).map_or(&[], Vec::as_slice),
        }
    }

    /// Whether a peer is behind an attachment.
    #[must_use]
    pub fn is_member(&self, members: &Members, peer: PeerId) -> bool {
        match (self.learned.peers.get(&peer), members) {
            (Some(learned), Members::Group(group)) => learned.group == *group,
            _ => self.members(members).contains(&peer),
        }
    }

    /// Whether a peer is behind an attachment, or stands for senders there that have no number.
    #[must_use]
    pub fn is_behind(&self, members: &Members, peer: PeerId) -> bool {
        let anonymous = match members {
            Members::One(_) => None,
            Members::Group(group) => self.groups.get(*group).and_then(|group| group.anonymous),
        };
        anonymous == Some(peer) || self.is_member(members, peer)
    }

    /// The peers that a flooded frame goes to behind an attachment: all there, or once their multicast group.
    pub fn flooded<'a>(&'a self, members: &'a Members) -> impl Iterator<Item = PeerId> + 'a {
        let multicast = match members {
            Members::One(_) => None,
            Members::Group(group) => self.groups.get(*group).and_then(|group| group.multicast),
        };
        let (named, learned) = match multicast {
            Some(_) => (&[][..], &[][..]),
            None => (self.members(members), self.learned_members(members)),
        };
        multicast.into_iter().chain(named.iter().chain(learned).copied())
    }

    /// How many copies of a flooded frame are made that came in by this attachment of a domain.
    #[must_use]
    pub fn fan_out(&self, domain: &Domain, from: &Attachment, control: ControlGroups) -> u64 {
        let fed = domain.attachments.values().filter(|egress| egress.is_fed(Some(from.horizon), control));
        fed.map(|egress| self.flooded(&egress.members).count() as u64).sum()
    }
}
