//! Tenants: what is bridged with what.

use schemars::JsonSchema;
use serde::Deserialize;

use super::addresses::Address;
use super::at::{At, Named, section};
use super::attachment::{Attachment, IdValue};
use super::numbers::{MssClamp, Rate, Whole};
use super::range::Range;
use super::switch::Switch;
use super::values::{MacAddress, Seconds};

/// A tenant, with one bridge domain; or a pattern of tenants, whose IDs are then written as offsets.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound = "V: IdValue<'de>")]
#[schemars(rename = "Tenant", bound = "V: for<'de> IdValue<'de>")]
pub struct Tenant<V = u64> {
    /// Of a pattern: which numbers its variable stands for, such as `{ n: 1-500 }`.
    #[serde(default, rename = "for")]
    pub numbers: Option<At<Named<Range>>>,
    /// Where its frames come from and go to.
    #[serde(deserialize_with = "section")]
    pub attachments: Named<Attachment<V>>,
    /// Whether source addresses are learned; true if left out.
    pub learning: Option<At<bool>>,
    /// How long a silent address is remembered; 5m if left out.
    pub ageing: Option<At<Seconds>>,
    /// What happens to a unicast frame to an unknown address; `flood` if left out.
    pub unknown_unicast: Option<At<UnknownUnicast>>,
    /// Whether the segments that TCP hosts allow each other are held below what the ways in both directions carry, or
    /// below so many bytes of payload; false if left out.
    pub mss_clamp: Option<At<MssClamp>>,
    /// What the tenant may use up.
    #[serde(default, deserialize_with = "section")]
    pub limits: Limits,
    /// When an address that keeps moving is held where it is; 5 moves within 180s if left out.
    pub duplicates: Option<At<Switch<Duplicates>>>,
    /// What happens when broadcasts come back by another attachment; they are held for 60s if left out.
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

/// What a tenant may use up.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Most addresses learned; 65536 if left out.
    pub macs: Option<At<Macs>>,
    /// Broadcast, unknown and multicast frames per second; 1000 if left out.
    pub bum: Option<At<Rate>>,
}

/// When an address is taken for one that two hosts have (RFC 7432 §15.1), and how long it is held then.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Duplicates {
    /// So many moves make a duplicate; 5 if left out.
    pub moves: Option<At<Moves>>,
    /// If they happen within this time; 180s if left out.
    pub within: Option<At<Seconds>>,
    /// How long the address then stays where it is; 180s if left out.
    pub hold: Option<At<Seconds>>,
}

/// How many moves.
pub type Moves = Whole<1, 100>;

/// What happens to a loop between two attachments.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoopGuard {
    /// How long nothing but known unicast passes between the two; 60s if left out.
    pub hold: Option<At<Seconds>>,
}

/// How many MAC addresses.
pub type Macs = Whole<1, 0x1000_0000>;

/// An address that is never learned, moved or forgotten.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Static {
    /// The address.
    pub mac: At<MacAddress>,
    /// The attachment it lives behind.
    pub via: At<String>,
    /// Which member of the attachment's group.
    pub peer: Option<At<Address>>,
}
