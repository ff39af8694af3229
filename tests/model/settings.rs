//! Gateways that differ in everything a reload may change, as values.

use std::ops::RangeInclusive;

/// Tenants' IDs, as an offset that every encapsulation adds to its own first one.
pub(crate) const IDS: u16 = 4;
/// What tenants are called.
pub(crate) const TENANTS: [&str; 4] = ["a", "b", "c", "d"];

/// A tunnel address 192.0.2.x, by its last byte.
pub(crate) type Far = u8;
/// A tenant's host, by the last byte of its address. All tenants have the same ones.
pub(crate) type Host = u8;
/// The highest of them.
pub(crate) const HOSTS: Host = 5;

/// What an attachment is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Side {
    /// A peer that speaks VXLAN.
    One,
    /// Another one.
    Two,
    Nvgre,
    Gre,
    /// A group that speaks VXLAN.
    Mesh,
    /// The tags of a port.
    Tags,
}

impl Side {
    pub(crate) const ALL: [Self; 6] = [Self::One, Self::Two, Self::Nvgre, Self::Gre, Self::Mesh, Self::Tags];
    /// Those that are one peer each.
    pub(crate) const PEERS: [Self; 4] = [Self::One, Self::Two, Self::Nvgre, Self::Gre];
}

/// Who is behind an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Peer {
    /// The only one on this side.
    Sole(Side),
    /// One of the group, whether the file names it or it was learned.
    Member(Far),
    /// Somebody whom the group may learn.
    Stranger,
}

impl Peer {
    pub(crate) const fn side(self) -> Side {
        match self {
            Self::Sole(side) => side,
            Self::Member(_) | Self::Stranger => Side::Mesh,
        }
    }

    /// What people call it.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Sole(Side::One) => "one".to_owned(),
            Self::Sole(Side::Two) => "two".to_owned(),
            Self::Sole(Side::Nvgre) => "nvgre".to_owned(),
            Self::Sole(Side::Gre) => "gre".to_owned(),
            Self::Sole(Side::Tags) => "access".to_owned(),
            Self::Member(far) => format!("mesh/192.0.2.{far}"),
            Self::Sole(Side::Mesh) | Self::Stranger => "mesh/*".to_owned(),
        }
    }
}

/// One attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) name: String,
    pub(crate) side: Side,
    pub(crate) horizon: Option<u8>,
}

impl Way {
    /// Whether what comes in here may leave there.
    pub(crate) fn may_feed(&self, other: &Self) -> bool {
        self != other && (self.horizon.is_none() || self.horizon != other.horizon)
    }
}

/// An address of the file.
#[derive(Debug, Clone)]
pub(crate) struct Static {
    pub(crate) host: Host,
    /// The name of the attachment.
    pub(crate) way: String,
    pub(crate) peer: Peer,
}

/// One tenant.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    pub(crate) name: &'static str,
    pub(crate) id: u16,
    pub(crate) ways: Vec<Way>,
    pub(crate) learning: bool,
    pub(crate) flood_unknown: bool,
    /// Seconds.
    pub(crate) ageing: u64,
    /// Most addresses learned.
    pub(crate) macs: usize,
    pub(crate) statics: Vec<Static>,
}

impl Tenant {
    pub(crate) fn way(&self, name: &str) -> Option<&Way> {
        self.ways.iter().find(|way| way.name == name)
    }

    pub(crate) fn uses(&self, side: Side) -> bool {
        self.ways.iter().any(|way| way.side == side)
    }
}

/// From where the group learns members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LearnFrom {
    /// The prefix as it is written, and what is inside.
    pub(crate) prefix: &'static str,
    pub(crate) inside: RangeInclusive<Far>,
    /// Most of them, if that is stated.
    pub(crate) most: Option<usize>,
}

/// The far ends of tunnels.
#[derive(Debug, Clone)]
pub(crate) struct Fabric {
    /// Where the peers of [`Side::One`] and [`Side::Nvgre`] are.
    pub(crate) one: Far,
    pub(crate) nvgre: Far,
    /// The members of the group that the file names.
    pub(crate) members: Vec<Far>,
    pub(crate) learn_from: Option<LearnFrom>,
    /// A far end whose next hop by the port `up` is in the file, and the last byte of its MAC address.
    pub(crate) stated: Option<(Far, u8)>,
}

/// A whole gateway. What nobody uses is not in its file.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) fabric: Fabric,
}

impl Settings {
    /// A gateway that does nothing.
    pub(crate) const fn empty() -> Self {
        let fabric = Fabric { one: 9, nvgre: 77, members: Vec::new(), learn_from: None, stated: None };
        Self { tenants: Vec::new(), fabric }
    }

    pub(crate) fn uses(&self, side: Side) -> bool {
        self.tenants.iter().any(|tenant| tenant.uses(side))
    }

    /// From where the group learns members, if it is there.
    pub(crate) fn learn_from(&self) -> Option<&LearnFrom> {
        self.fabric.learn_from.as_ref().filter(|_| self.uses(Side::Mesh))
    }

    /// The tunnel peers that the file names, and where they are.
    pub(crate) fn named(&self) -> Vec<(Peer, Far)> {
        let sole = Side::PEERS.into_iter().filter(|&side| self.uses(side));
        let sole = sole.map(|side| (Peer::Sole(side), self.fabric.sole(side)));
        let members = self.fabric.members.iter().filter(|_| self.uses(Side::Mesh));
        sole.chain(members.map(|&far| (Peer::Member(far), far))).collect()
    }
}

impl Fabric {
    /// Where the only peer of a side is.
    pub(crate) const fn sole(&self, side: Side) -> Far {
        match side {
            Side::One => self.one,
            Side::Two => 8,
            Side::Nvgre => self.nvgre,
            Side::Gre => 99,
            Side::Mesh | Side::Tags => 0,
        }
    }

    /// Where a peer is; 0 for the tags of a port.
    pub(crate) const fn far(&self, peer: Peer) -> Far {
        match peer {
            Peer::Sole(side) => self.sole(side),
            Peer::Member(far) => far,
            Peer::Stranger => 0,
        }
    }
}
