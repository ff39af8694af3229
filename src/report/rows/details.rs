//! What is told of one peer or one tenant alone: its row, and what a list of all would be too long for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::measure::no_metrics;
use super::{DropSampleRow, PeerRow, TenantRow};

/// One tunnel peer in detail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = no_metrics("`peers` has them")))]
pub struct PeerDetailRow {
    /// What lists of peers have.
    #[serde(flatten)]
    pub row: PeerRow,
    /// What its packets ride on: a UDP port or an IP protocol.
    pub carrier: String,
    /// The attachments of tenants that it is behind, by tenant; at most a thousand of them.
    pub serves: Vec<ServedRow>,
    /// Attachments that it is behind, more than those.
    pub serves_more: u64,
    /// The last frames from it that were dropped, the latest first.
    pub samples: Vec<DropSampleRow>,
}

/// An attachment that a peer is behind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = no_metrics("`tenants` has them")))]
pub struct ServedRow {
    /// The tenant.
    pub tenant: String,
    /// The attachment.
    pub attachment: String,
    /// The tenant ID there.
    pub segment: String,
    /// Bytes of the longest IP packet of the tenant that fits the path to the peer; none if there is no limit, or no path.
    pub mtu: Option<u32>,
}

/// One tenant in detail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = no_metrics("`tenants` has them")))]
pub struct TenantDetailRow {
    /// What lists of tenants have.
    #[serde(flatten)]
    pub row: TenantRow,
    /// MAC addresses that it may learn whatever other tenants do.
    pub mac_reserve: u32,
    /// MAC addresses in the table, of all tenants together.
    pub table_macs: u64,
    /// MAC addresses that the table has room for.
    pub table_room: u64,
    /// Seconds after which a MAC address is forgotten that is not heard.
    pub ageing: u16,
    /// Bytes of the longest IP packet of the tenant that fits every path to an attachment, by attachment; without those where
    /// there is no limit.
    pub mtus: BTreeMap<String, u32>,
    /// How many copies of frames that go to everyone it may have made, and has.
    pub bum: Vec<BumRow>,
    /// The last frames of it that were dropped, the latest first.
    pub samples: Vec<DropSampleRow>,
}

/// A limit of copies of frames that go to everyone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = no_metrics("a limit does not change; `tenants` counts what is beyond it")))]
pub struct BumRow {
    /// Of which frames: `broadcast`, `multicast` or `unknown_unicast`.
    pub class: String,
    /// Frames, as copies, that may be made a second for each attachment that they come in by; none if there is no limit.
    pub limit: Option<u64>,
    /// Parts per thousand of a second's worth that are used up now, at the attachment where most are.
    pub used: u64,
}
