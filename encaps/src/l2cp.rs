//! Bridges' control frames: the sixteen groups that bridges keep to one link, and which of them a bridge relays all the
//! same (IEEE 802.1Q §8.6.3).

use crate::ethernet::Mac;

/// A set of the groups 01:80:c2:00:00:00 to :0f, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ControlGroups(u16);

/// The first of their addresses, as a number.
const FIRST: u64 = 0x0180_c200_0000;

impl ControlGroups {
    /// None of the 16 groups: a bridge with C-VLANs relays no frame to any of them (IEEE 802.1Q table 8-1).
    pub const NONE: Self = Self(0);
    /// All 16 groups.
    pub const ALL: Self = Self(0xffff);
    /// IEEE 802.1Q table 8-2: a bridge with S-VLANs keeps 01 to 0a and 0e. The others belong to its customers' bridges,
    /// whose spanning tree (00) would not see a loop through it otherwise.
    pub const RELAYED_IN_S_VLANS: Self = Self(0xb801);

    /// The group of a destination, a MAC address as a number; none if it is another address.
    #[must_use]
    #[inline]
    pub const fn of(destination: u64) -> Self {
        if destination & !0xf == FIRST { Self(1 << (destination & 0xf)) } else { Self::NONE }
    }

    /// Whether all of these are in the set.
    #[must_use]
    #[inline]
    pub const fn holds(self, others: Self) -> bool {
        others.0 & !self.0 == 0
    }

    /// Whether there are none.
    #[must_use]
    #[inline]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// These and others.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }
}

/// What is sent to a control group, in words.
#[must_use]
pub const fn name(destination: Mac) -> &'static str {
    match destination.0[5] {
        0x00 => "spanning tree",
        0x01 => "Ethernet pause",
        0x02 => "LACP or another slow protocol",
        0x03 => "802.1X",
        0x07 => "E-LMI",
        0x08 => "the provider bridges' spanning tree",
        0x0d => "the provider bridges' MVRP",
        0x0e => "LLDP",
        _ => "a bridge's own protocol",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_8_2_leaves_five_groups_to_the_customers_bridges() {
        let relayed = |last| ControlGroups::RELAYED_IN_S_VLANS.holds(ControlGroups::of(FIRST + last));
        let all: Vec<_> = (0..16).filter(|last| relayed(*last)).collect();
        assert_eq!(all, [0x00, 0x0b, 0x0c, 0x0d, 0x0f]);
        assert!(ControlGroups::of(FIRST + 16).is_none() && ControlGroups::of(FIRST - 1).is_none());
    }
}
