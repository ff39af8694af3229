//! Tenants: what is bridged with what.

use schemars::JsonSchema;
use serde::Deserialize;

use super::addresses::Address;
use super::at::{At, Named, section};
use super::attachment::{Attachment, IdValue};
use super::bum::Bum;
use super::id_numbers::IdNumbers;
use super::numbers::{MssClamp, Whole};
use super::range::Range;
use super::switch::Switch;
use super::values::{MacAddress, Seconds};

/// A tenant, with one bridge domain; or a pattern of tenants, whose IDs are then written as offsets.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound = "V: IdValue<'de>")]
#[schemars(rename = "Tenant", bound = "V: for<'de> IdValue<'de>")]
pub struct Tenant<V = IdNumbers<u64>> {
    /// Of a pattern: the numbers that its variable stands for, such as `{ n: 1-500 }`.
    #[serde(default, rename = "for")]
    pub numbers: Option<At<Named<Range>>>,
    /// Where its frames come from and go to.
    #[serde(deserialize_with = "section")]
    pub attachments: Named<Attachment<V>>,
    /// Whether source addresses are learned; true if left out.
    pub learning: Option<At<bool>>,
    /// Ageing time of learned addresses; 5m if left out.
    pub ageing: Option<At<Seconds>>,
    /// What happens to a unicast frame to an unknown address; `flood` if left out.
    pub unknown_unicast: Option<At<UnknownUnicast>>,
    /// Whether the MSS of TCP connections is lowered to what the paths in both directions carry, or to a number of
    /// bytes; false if left out.
    pub mss_clamp: Option<At<MssClamp>>,
    /// Limits of what the tenant may use.
    #[serde(default, deserialize_with = "section")]
    pub limits: Limits,
    /// When an address that keeps moving counts as duplicated and is held; 5 moves within 180s if left out.
    pub duplicates: Option<At<Switch<Duplicates>>>,
    /// What happens when broadcasts come back by another attachment: for 2s only known unicast passes between the two, and
    /// for 60s once it is proved that they are joined in a loop, if left out.
    pub loop_guard: Option<At<Switch<LoopGuard>>>,
    /// Addresses that are never learned, moved or forgotten.
    #[serde(default, rename = "static", deserialize_with = "section")]
    pub statics: Vec<At<Static>>,
}

/// What happens to a unicast frame to an unknown address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownUnicast {
    /// It goes to every attachment, as a broadcast does.
    Flood,
    /// It is dropped.
    Drop,
}

/// Limits of what a tenant may use.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Most addresses learned; 65536 if left out. A tenant that states it has room for so many in the FDB whatever others
    /// learn, unless all that is stated is more than the FDB holds. The others have room for equal parts of half of what is
    /// left, and what remains is for whoever learns first.
    pub macs: Option<At<Macs>>,
    /// Copies per second that broadcast, multicast and unknown-unicast frames may be sent in: the most of each of the
    /// three, by each attachment that they come in by. One number for all three (`1000`), `unlimited`, or a
    /// map with one for each; 100000 if left out. ARP and ND are dropped last.
    pub bum: Option<At<Bum>>,
}

/// When an address counts as duplicated (RFC 7432 §15.1), and how long it is then held where it was for the longest.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Duplicates {
    /// Number of moves before a MAC counts as duplicated; 5 if left out.
    pub moves: Option<At<Moves>>,
    /// The time within which these moves must happen; 180s if left out.
    pub within: Option<At<Seconds>>,
    /// Time for which the address then stays where it was for the longest of `within`; 180s if left out.
    pub hold: Option<At<Seconds>>,
}

/// A number of moves.
pub type Moves = Whole<1, 100>;

/// What happens to a loop between two attachments.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoopGuard {
    /// Time for which only known unicast passes between the two, once they are proved to be joined; 60s if left out. Before
    /// that, while it may be an echo, it is 2s at most.
    pub hold: Option<At<Seconds>>,
}

/// A number of MAC addresses.
pub type Macs = Whole<1, 0x1000_0000>;

/// An address that is never learned, moved or forgotten.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Static {
    /// The address.
    pub mac: At<MacAddress>,
    /// The attachment it is behind.
    pub via: At<String>,
    /// The member of the attachment's group that it is behind.
    pub peer: Option<At<Address>>,
}
