//! What the admin socket answers, row by row: names, not numbers. The same types read it again in `transload show`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::report::summary::Crossed;

/// Where a tenant's MAC address lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FdbRow {
    /// The tenant.
    pub tenant: String,
    /// The address.
    pub mac: String,
    /// The attachment it is behind.
    pub attachment: String,
    /// The peer or port that it is reached by.
    pub via: String,
    /// Seconds since a frame came from it; none for a static entry.
    pub age: Option<u16>,
    /// Seconds since it was first heard in this place, if that is known.
    pub here_for: Option<u64>,
    /// How often it moved, if that is known.
    pub moves: u64,
    /// Its last move, if that is known.
    pub last_move: Option<MoveRow>,
    /// Seconds for which it stays there whatever it sends, having moved too often; none if it may move.
    pub held_for: Option<u64>,
}

/// A move of a MAC address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveRow {
    /// Seconds since then.
    pub ago: u64,
    /// The attachment it was behind.
    pub from: String,
    /// The peer or port that it was reached by.
    pub from_via: String,
    /// The attachment it moved to.
    pub to: String,
    /// The peer or port that it was reached by then.
    pub to_via: String,
}

/// Two attachments of a tenant that something besides the gateway joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopRow {
    /// The two attachments.
    pub between: [String; 2],
    /// How often that was found.
    pub times: u64,
    /// Seconds since the last time.
    pub ago: u64,
    /// Whose broadcast it was that came back.
    pub mac: String,
    /// Seconds for which broadcast, unknown and multicast frames do not pass between the two; none if they do.
    pub held_for: Option<u64>,
}

/// A tenant, and what it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRow {
    /// The tenant.
    pub tenant: String,
    /// Its attachments.
    pub attachments: Vec<AttachmentRow>,
    /// MAC addresses learned now.
    pub macs: u32,
    /// Most that it may learn.
    pub mac_limit: u32,
    /// The tenant's frames that came in, and that went out.
    pub traffic: Traffic,
    /// Frames that went to everyone.
    pub flooded: u64,
    /// Frames dropped after the tenant was known.
    pub dropped: u64,
    /// ICMP errors that told a host its packet was too big.
    pub too_big_answers: u64,
    /// MAC addresses that appeared.
    pub learned: u64,
    /// MAC addresses that moved.
    pub moved: u64,
    /// Frames from MAC addresses that are held elsewhere, having moved too often.
    pub held_moves: u64,
    /// The loops that were found.
    pub loops: Vec<LoopRow>,
    /// MAC addresses not learned because of the limit.
    pub over_mac_limit: u64,
    /// MAC addresses not learned for want of room in the table.
    pub table_full: u64,
}

/// One attachment of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentRow {
    /// Its name.
    pub attachment: String,
    /// The tenant ID there, such as `vni 10100`.
    pub segment: String,
    /// The peers or the port behind it.
    pub via: Vec<String>,
}

/// A mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingRow {
    /// The mapping.
    pub mapping: String,
    /// Its `from` side: the peer or port, and the range of every ID field.
    pub from: String,
    /// Its `to` side: the peer or port, and the bits of the ID that make every ID field.
    pub to: String,
    /// How many IDs it has.
    pub ids: u64,
    /// How many of them have no counterpart.
    pub holes: u64,
    /// What crossed, and what did not.
    pub crossed: Crossed,
}

/// What a reload has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// A line for each thing that changed: `+` is new, `-` is gone, `~` is not as it was.
    pub changes: Vec<String>,
    /// What somebody should look at in the file.
    pub warnings: Vec<String>,
    /// What the gateway has now.
    pub summary: String,
}

/// A tunnel peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRow {
    /// The peer.
    pub peer: String,
    /// For one that the file does not name: how many seconds ago it was learned from what it sent.
    #[serde(default)]
    pub learned_ago: Option<u64>,
    /// What it speaks, by its word in the configuration.
    pub encap: String,
    /// Its tunnel address.
    pub address: String,
    /// Our endpoint.
    pub endpoint: String,
    /// The ways to it.
    pub hops: Vec<HopRow>,
    /// What stands in the way of it, or of some of its ways.
    pub complaints: Vec<String>,
    /// Frames from it that were dropped.
    #[serde(default)]
    pub dropped: u64,
    /// Tenants' frames from it and to it.
    pub traffic: Traffic,
}

/// One way to a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HopRow {
    /// The port it leaves by.
    pub port: String,
    /// The next hop's MAC address.
    pub mac: String,
}

/// A port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRow {
    /// The port.
    pub port: String,
    /// The device or socket behind it, and what moves its frames.
    pub io: String,
    /// Its MAC address, if it has one.
    pub mac: Option<String>,
    /// Most bytes of an IP packet on it.
    pub mtu: Option<u32>,
    /// Why it does not receive, if it does not.
    pub failure: Option<String>,
    /// Frames that were dropped after they came in by it, or when they were to leave by it. Left out is
    /// `underlay_control`, with which nothing is wrong.
    #[serde(default)]
    pub dropped: u64,
    /// Whole frames from it and to it.
    pub traffic: Traffic,
    /// Frames that arrived and were lost before the gateway could take them: its queue was full, or they were longer
    /// than what they were to be received into. On XDP sockets also what the kernel refused as no frame at all.
    #[serde(default)]
    pub lost: u64,
}

/// One reason for drops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropRow {
    /// Its name, which is also the metric's label.
    pub reason: String,
    /// Frames, or copies of flooded ones, that died of it.
    pub dropped: u64,
    /// Frames that were carried all the same, though a stricter gateway would have dropped them.
    pub tolerated: u64,
    /// Whose move it is: `peer`, `config` or `local`.
    pub fault: String,
    /// What to look at.
    pub hint: String,
    /// By port: how many of them came in by it, or were to leave by it. Copies of flooded frames are nowhere here.
    #[serde(default)]
    pub ports: BTreeMap<String, u64>,
}

/// Frames and bytes, in and out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Frames received.
    pub rx_frames: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Frames sent.
    pub tx_frames: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
}

/// What is answered instead of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// In words.
    pub error: String,
}
