//! The row of `status`: how a gateway is, on one page.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::measure::no_metrics;
use super::{GatewayRow, PortRow, WorkerRow};

/// How something is, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// As it should be, or as it may be meant.
    #[default]
    Fine,
    /// Somebody should look at it.
    Trouble,
    /// Nothing passes: a port is down, or no peer can be reached.
    Critical,
}

/// What a trouble is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The gateway as a whole.
    Gateway,
    /// A port.
    Port,
    /// A tunnel peer.
    Peer,
    /// A tenant.
    Tenant,
    /// A reason for drops.
    Drops,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fine => "fine",
            Self::Trouble => "trouble",
            Self::Critical => "critical",
        })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gateway => "gateway",
            Self::Port => "port",
            Self::Peer => "peer",
            Self::Tenant => "tenant",
            Self::Drops => "drops",
        })
    }
}

/// How a gateway is, on one page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = no_metrics("the other rows have what it is made from")))]
pub struct StatusRow {
    /// The worst of `troubles`: `critical`, `trouble` or `fine`.
    pub health: Health,
    /// The gateway as a whole.
    pub gateway: GatewayRow,
    /// The files of the configuration that are not as they were loaded, and how they differ: `changed`, or why they cannot
    /// be read. A reload takes them in.
    pub changed_files: BTreeMap<String, String>,
    /// The workers.
    pub workers: Vec<WorkerRow>,
    /// The ports, the first ten.
    pub ports: Vec<PortRow>,
    /// Peers in each state: `fine`, `silent`, `unreachable`, `unresolved`, `idle`.
    pub peers: BTreeMap<String, u64>,
    /// What is wrong, the worst first; of each kind the first ten.
    pub troubles: Vec<TroubleRow>,
    /// Troubles of each kind that are not among `troubles`, and `port` for ports that are not among `ports`.
    pub more: BTreeMap<String, u64>,
}

/// Something that is wrong, or may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = no_metrics("alerts say what is wrong; `drops` and the others count it")))]
pub struct TroubleRow {
    /// `critical`, `trouble`, or `fine` for a remark on what may be meant so.
    pub health: Health,
    /// What it is about: `gateway`, `port`, `peer`, `tenant` or `drops`.
    pub about: Subject,
    /// The name of the port, peer or tenant; of drops, the reason; of the gateway, the part that it is about.
    pub name: String,
    /// What is wrong, in words.
    pub what: String,
    /// What to do about it, in words.
    pub advice: String,
    /// Frames dropped for it in the last minute; none if it is not about drops.
    pub last_minute: Option<u64>,
    /// Who can do something about drops: `peer`, `config` (the file) or `local` (this machine).
    pub responsible: Option<String>,
}
