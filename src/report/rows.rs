//! The rows that say what a gateway knows and has counted: names instead of numbers, all workers together.
//!
//! One vocabulary: `show` draws them as tables whose heads are their keys, the admin socket
//! carries them as JSON, `replay` ends with them. `docs/ROWS.md` lists their keys; it is made from the comments of this
//! file. The comment of a number begins with its unit.

mod activity;
mod details;
mod gateway;
mod status;

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::measure::{LABEL, absence, counter, counter_of, gauge, no_metric, no_metrics, of, states};

pub use activity::{PeerState, RatesRow, WorkerRow};
pub use details::{BumRow, PeerDetailRow, ServedRow, TenantDetailRow};
pub use gateway::{GatewayRole, GatewayRow, ReloadResult, ReloadRow};
pub use status::{Health, StatusRow, Subject, TroubleRow};

/// What made something known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowSource {
    /// The file.
    Static,
    /// A frame that arrived.
    Learned,
    /// A frame that arrived before the gateway was started again; whatever is heard takes its place.
    Restored,
}

impl fmt::Display for RowSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Static => "static",
            Self::Learned => "learned",
            Self::Restored => "restored",
        })
    }
}

/// Frames and bytes, in and out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Traffic {
    /// Frames received.
    #[schemars(extend("x-metric" = counter("receive_frames")))]
    pub rx_frames: u64,
    /// Bytes received.
    #[schemars(extend("x-metric" = counter("receive_bytes")))]
    pub rx_bytes: u64,
    /// Frames sent.
    #[schemars(extend("x-metric" = counter("transmit_frames")))]
    pub tx_frames: u64,
    /// Bytes sent.
    #[schemars(extend("x-metric" = counter("transmit_bytes")))]
    pub tx_bytes: u64,
}

/// A MAC address that a tenant knows, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = no_metrics("a MAC address is never a label; `tenants` counts them")))]
pub struct FdbRow {
    /// The tenant.
    pub tenant: String,
    /// The address.
    pub mac: String,
    /// The attachment it is behind.
    pub attachment: String,
    /// The peer or port that it is reached by.
    pub via: String,
    /// What made it known: `static` (the file), `learned`, or `restored` (learned before the gateway was started again).
    pub source: RowSource,
    /// Seconds since a frame came from it; none for a static entry.
    pub age: Option<u16>,
    /// Seconds since it was first heard in this place, if that is known.
    pub here_for: Option<u64>,
    /// Times that it moved to another place, as far as is known.
    pub moves: u64,
    /// Its last move, if that is known.
    pub last_move: Option<MoveRow>,
    /// Seconds for which it still stays there whatever it sends, having moved too often; none if it may move.
    pub held_for: Option<u64>,
}

/// A move of a MAC address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = no_metrics("a MAC address is never a label; `tenants` counts moves")))]
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

/// Two attachments of a tenant between which broadcasts come back: joined outside of the gateway, or an echo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = no_metrics("`tenants` counts loops")))]
pub struct LoopRow {
    /// The tenant.
    pub tenant: String,
    /// The two attachments.
    pub between: [String; 2],
    /// Times that this was found.
    pub times: u64,
    /// Seconds since the last time.
    pub ago: u64,
    /// The source of the broadcast that came back.
    pub mac: String,
    /// Seconds for which broadcast, unknown and multicast frames still do not pass between the two; none if they do.
    pub held_for: Option<u64>,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = of("tenant").but(&["rx_frames", "rx_bytes", "tx_frames", "tx_bytes"], "the sum over `attachments`")))]
pub struct TenantRow {
    /// The tenant.
    #[schemars(extend("x-metric" = LABEL))]
    pub tenant: String,
    /// Its attachments.
    pub attachments: Vec<AttachmentRow>,
    /// MAC addresses learned and not forgotten.
    #[schemars(extend("x-metric" = gauge("macs")))]
    pub macs: u32,
    /// MAC addresses that it may learn at most.
    #[schemars(extend("x-metric" = gauge("mac_limit")))]
    pub mac_limit: u32,
    /// The tenant's frames; a flooded one leaves several times.
    #[serde(flatten)]
    pub traffic: Traffic,
    /// The same over the last seconds; none where nobody watches, as in a replay.
    pub rates: Option<RatesRow>,
    /// Frames that went to everyone: broadcast, unknown and multicast.
    #[schemars(extend("x-metric" = counter("flooded_frames")))]
    pub flooded: u64,
    /// Frames, as copies of flooded ones that were not made: beyond what `limits.bum` allows, or more than a worker can
    /// copy beside other traffic.
    #[schemars(extend("x-metric" = counter("copies_dropped_frames")))]
    pub copies_dropped: u64,
    /// Frames made of others, copies of flooded ones and segments of super-frames, beyond one for each: by so many, more
    /// frames were sent or dropped than received.
    #[schemars(extend("x-metric" = counter("copies_frames")))]
    pub copies: u64,
    /// Frames, or copies of flooded ones, dropped after the tenant was known.
    #[schemars(extend("x-metric" = counter("dropped_frames")))]
    pub dropped: u64,
    /// Frames that were too big for their path and whose sender got an ICMP error.
    #[schemars(extend("x-metric" = counter("too_big_answers_frames")))]
    pub too_big_answers: u64,
    /// MAC addresses that appeared.
    #[schemars(extend("x-metric" = counter("macs_learned")))]
    pub learned: u64,
    /// MAC addresses that moved.
    #[schemars(extend("x-metric" = counter("mac_moves")))]
    pub moved: u64,
    /// Frames from MAC addresses that are held elsewhere, having moved too often.
    #[schemars(extend("x-metric" = counter("held_moves_frames")))]
    pub held_moves: u64,
    /// The loops that were found.
    pub loops: Vec<LoopRow>,
    /// Times that a loop, or an echo, was found.
    #[schemars(extend("x-metric" = counter("loops")))]
    pub loops_found: u64,
    /// MAC addresses not learned because of the limit.
    #[schemars(extend("x-metric" = counter_of("macs_refused", "why", "limit")))]
    pub over_mac_limit: u64,
    /// MAC addresses not learned for want of room in the table.
    #[schemars(extend("x-metric" = counter_of("macs_refused", "why", "table")))]
    pub table_full: u64,
}

/// An attachment of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = of("tenant")))]
pub struct AttachmentRow {
    /// Its name.
    #[schemars(extend("x-metric" = LABEL))]
    pub attachment: String,
    /// The tenant ID there, such as `vni 10100`; `vni 10, sent: vni 20` where frames are sent with another one.
    pub segment: String,
    /// The peers or the port behind it.
    pub via: Vec<String>,
    /// The tenant's frames that came in by it and left by it.
    #[serde(flatten)]
    pub traffic: Traffic,
    /// Frames that came in by it, or copies of them, dropped after the tenant was known.
    #[schemars(extend("x-metric" = counter("attachment_dropped_frames")))]
    pub dropped: u64,
    /// Seconds since a frame of the tenant came in by it; none if none has.
    #[schemars(extend("x-metric" = gauge("last_heard_seconds")))]
    pub last_heard: Option<u64>,
    /// Its traffic over the last seconds; none where nobody watches, as in a replay.
    pub rates: Option<RatesRow>,
}

/// A mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = of("mapping")))]
pub struct MappingRow {
    /// The mapping.
    #[schemars(extend("x-metric" = LABEL))]
    pub mapping: String,
    /// Its `from` side: the peer or port, and the range of every ID field.
    pub from: String,
    /// Its `to` side: the peer or port, and the bits of the ID that make every ID field.
    pub to: String,
    /// IDs that it has.
    #[schemars(extend("x-metric" = gauge("ids")))]
    pub ids: u64,
    /// IDs that have no counterpart, since it is reserved.
    #[schemars(extend("x-metric" = gauge("unmapped_ids")))]
    pub unmapped_ids: u64,
    /// Frames that came by the `from` side and left by the `to` side.
    #[schemars(extend("x-metric" = counter_of("frames", "direction", "from_to")))]
    pub from_to_frames: u64,
    /// Frames that came by the `to` side and left by the `from` side.
    #[schemars(extend("x-metric" = counter_of("frames", "direction", "to_from")))]
    pub to_from_frames: u64,
    /// Frames cut from super-frames, their segments, beyond one for each: by so many, more frames were sent or dropped than
    /// received.
    #[schemars(extend("x-metric" = counter("copies_frames")))]
    pub copies: u64,
    /// Frames that were too big for their path and whose sender got an ICMP error.
    #[schemars(extend("x-metric" = counter("too_big_answers_frames")))]
    pub too_big_answers: u64,
    /// Frames with an ID that has a counterpart, dropped before they left on the other side.
    #[schemars(extend("x-metric" = counter("dropped_frames")))]
    pub dropped: u64,
    /// Frames dropped because their ID has no counterpart.
    #[schemars(extend("x-metric" = counter("unmapped_frames")))]
    pub dropped_unmapped: u64,
}

/// A tunnel peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = of("peer")))]
pub struct PeerRow {
    /// The peer.
    #[schemars(extend("x-metric" = LABEL))]
    pub peer: String,
    /// What made it known: `static` (the file) or `learned`.
    pub source: RowSource,
    /// Seconds since it was learned; none for one of the file's.
    #[schemars(extend("x-metric" = no_metric("a learned peer is not told from others for long")))]
    pub learned_ago: Option<u64>,
    /// What it speaks, by its word in the configuration.
    pub encap: String,
    /// Its tunnel address; of a peer whose DNS name has none yet, the name.
    pub address: String,
    /// Our endpoint.
    pub endpoint: String,
    /// The address of our endpoint.
    pub endpoint_address: Option<String>,
    /// Whether it works: `unresolved` (there is no next hop), `unreachable` (ICMP says so), `silent` (frames were sent to it
    /// and for ten seconds nothing came), `fine` (it was heard in the last five minutes), or `idle` (neither heard nor sent
    /// to). Flooded frames, which may concern others, make silent only a peer that was not heard in the last five minutes.
    #[schemars(extend("x-metric" = states("state")))]
    pub state: PeerState,
    /// Seconds since a packet came from it, whether it was dropped or not; none if none has.
    #[schemars(extend("x-metric" = gauge("last_heard_seconds")))]
    pub last_heard: Option<u64>,
    /// Seconds for which nothing has come from it though frames were sent to it that called for an answer; none if it is
    /// heard, or nothing has been sent to it for five minutes.
    #[schemars(extend("x-metric" = gauge("silent_seconds")))]
    pub silent_for: Option<u64>,
    /// The next hops towards it.
    pub next_hops: Vec<HopRow>,
    /// Bytes of the longest IP packet that is sent to it, outer headers included; none if there is no limit.
    #[schemars(extend("x-metric" = gauge("path_mtu_bytes")))]
    pub path_mtu: Option<u32>,
    /// The report of a router that limits `path_mtu`, or did; none if there is none.
    pub path_mtu_report: Option<PathMtuRow>,
    /// Why it, or one of its paths, cannot be used; empty if nothing is wrong.
    pub failures: Vec<String>,
    /// Who says by ICMP that packets to it do not arrive; none if nobody has for two minutes.
    pub unreachable: Option<UnreachableRow>,
    /// Frames from it that were dropped.
    #[schemars(extend("x-metric" = counter("dropped_frames")))]
    pub dropped: u64,
    /// Frames that were to be sent to it and were dropped, for want of a next hop or of room on the path; where they came
    /// from they count as `dropped`.
    #[schemars(extend("x-metric" = counter("unsent_frames")))]
    pub unsent: u64,
    /// Frames sent to it that were copies of flooded ones.
    #[schemars(extend("x-metric" = counter("flooded_frames")))]
    pub flooded: u64,
    /// Tenants' frames from it and to it.
    #[serde(flatten)]
    pub traffic: Traffic,
    /// The same over the last seconds; none where nobody watches, as in a replay.
    pub rates: Option<RatesRow>,
}

/// A next hop towards a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HopRow {
    /// The port that packets leave by.
    pub port: String,
    /// The MAC address that they are sent to.
    pub mac: String,
}

/// A path MTU that a router reported by ICMP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = no_metrics("`peers` has the path MTU")))]
pub struct PathMtuRow {
    /// Bytes of the longest IP packet that it lets pass.
    pub mtu: u32,
    /// The router.
    pub from: String,
    /// Seconds since it said so; after 600 it is forgotten.
    pub ago: u64,
}

/// A report by ICMP that packets do not arrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = no_metrics("`peers` has the state")))]
pub struct UnreachableRow {
    /// Who says so: the peer itself, or a router.
    pub from: String,
    /// What it says, in words: `UDP port 4789 unreachable`.
    pub what: String,
    /// Seconds since it said so.
    pub ago: u64,
}

/// A port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = of("port")))]
pub struct PortRow {
    /// The port.
    #[schemars(extend("x-metric" = LABEL))]
    pub port: String,
    /// What moves its frames, and the device or socket behind it; none where captures stand for it.
    pub io: Option<String>,
    /// Its MAC address, if it has one.
    pub mac: Option<String>,
    /// Bytes of the longest IP packet that it carries, if there is a limit.
    #[schemars(extend("x-metric" = gauge("mtu_bytes")))]
    pub mtu: Option<u32>,
    /// Why it does not receive, if it does not.
    #[schemars(extend("x-metric" = absence("up")))]
    pub failure: Option<String>,
    /// Frames dropped after they came in by it, or when they were to leave by it.
    #[schemars(extend("x-metric" = counter("dropped_frames")))]
    pub dropped: u64,
    /// Frames that came in by it and were left to the machine's own network stack, which takes them.
    #[schemars(extend("x-metric" = counter("left_frames")))]
    pub left: u64,
    /// Whole frames from it and to it: a super-frame is one, but tunnel packets that the kernel has joined count each.
    #[serde(flatten)]
    pub traffic: Traffic,
    /// The same over the last seconds; none where nobody watches, as in a replay.
    pub rates: Option<RatesRow>,
    /// Frames that arrived and were lost before the gateway could take them: its queue was full, or they were longer
    /// than what they were to be received into. On XDP sockets also what the kernel refused as no frame at all.
    #[schemars(extend("x-metric" = counter("lost_frames")))]
    pub lost: u64,
}

/// A reason for which frames are dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = of("")))]
pub struct DropRow {
    /// Its name, which never changes.
    #[schemars(extend("x-metric" = LABEL))]
    pub reason: String,
    /// Frames dropped for it.
    #[schemars(extend("x-metric" = counter("dropped_frames")))]
    pub dropped: u64,
    /// Frames left for it to the machine's own network stack, which takes them: nothing is lost.
    #[schemars(extend("x-metric" = counter("left_frames")))]
    pub left: u64,
    /// Frames made of others, copies of flooded ones and segments of super-frames, dropped for it while others of the same
    /// frame left; and the gateway's own answers that did not leave.
    #[schemars(extend("x-metric" = counter("dropped_copies_frames")))]
    pub copies: u64,
    /// Frames carried, though a stricter gateway would have dropped them for it.
    #[schemars(extend("x-metric" = counter("tolerated_frames")))]
    pub tolerated: u64,
    /// Frames dropped or left, by the port that they came in by or were to leave by; copies of flooded ones are not in it.
    #[schemars(extend("x-metric" = no_metric("`ports` counts them, too")))]
    pub ports: BTreeMap<String, u64>,
    /// The last frames dropped for it, of each peer up to four, the latest first; about one a second of each peer is
    /// looked at. None of frames that a device refused when they left, or that the program on a device has dropped.
    pub samples: Vec<DropSampleRow>,
    /// Who can do something about it: `peer`, `config` (the file) or `local` (this machine); `nobody`
    /// where nothing is wrong.
    #[schemars(extend("x-metric" = LABEL))]
    pub responsible: String,
    /// What it means, and where to look.
    pub meaning: String,
}

/// A frame that was dropped: what its headers said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = no_metrics("a frame is no metric; `drops` counts them")))]
pub struct DropSampleRow {
    /// The reason.
    pub reason: String,
    /// When it was dropped, in UTC: `2026-11-30T12:00:00.123456Z`.
    pub at: String,
    /// Seconds since then.
    pub ago: u64,
    /// The port that it came in by.
    pub port: String,
    /// The peer that it came from, or the port in whose tags it came; none if its sender is unknown.
    pub via: Option<String>,
    /// The outer source address, if it was in a tunnel or may have been.
    pub source: Option<String>,
    /// The outer destination address.
    pub destination: Option<String>,
    /// What carried the tunnel: `UDP port 4789`, `IP protocol 47`.
    pub carrier: Option<String>,
    /// The tenant ID, such as `vni 10100`, if it could be read.
    pub id: Option<String>,
    /// The tenant, if the frame got as far.
    pub tenant: Option<String>,
    /// The attachment that it came in by.
    pub attachment: Option<String>,
    /// The mapping that it was to cross.
    pub mapping: Option<String>,
    /// The source MAC address of the tenant's frame; of a frame in which there is none, its own.
    pub source_mac: Option<String>,
    /// The destination MAC address beside it.
    pub destination_mac: Option<String>,
    /// VLAN ID of the tag behind these addresses.
    pub vlan: Option<u16>,
    /// Bytes of the frame, with its outer headers where they are known.
    pub len: u32,
}

/// What became of lines that are not in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = of("log")))]
pub struct LogRow {
    /// Lines of a kind that had already said much; the log sums them up.
    #[schemars(extend("x-metric" = counter("held_back_lines")))]
    pub held_back: u64,
    /// Lines that could not be written: nobody read, the disk was full, or the reader is gone.
    #[schemars(extend("x-metric" = counter("lost_lines")))]
    pub lost: u64,
}

/// What a replay knows at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// The ports.
    pub ports: Vec<PortRow>,
    /// The mappings.
    pub mappings: Vec<MappingRow>,
    /// The reasons for which a frame was dropped, or would have been by a stricter gateway.
    pub drops: Vec<DropRow>,
    /// The MAC addresses; ages are counted from the last frame of the captures.
    pub fdb: Vec<FdbRow>,
    /// The loops that were found.
    pub loops: Vec<LoopRow>,
}

/// What a reload has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reloaded {
    /// A line for each thing that changed: `+` is new, `-` is gone, `~` is not as it was.
    pub changes: Vec<String>,
    /// Warnings about the file.
    pub warnings: Vec<String>,
    /// How many ports, tunnel peers and tenants the gateway has now.
    pub summary: String,
}

/// What a gateway tells the one that takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HandedOver {
    /// Microseconds within which the service manager wants to hear that all is well, if it has started the gateway and
    /// watches it.
    pub watchdog_usec: Option<u64>,
}

/// What is answered when there are no rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorRow {
    /// What is wrong, in words.
    pub error: String,
}
