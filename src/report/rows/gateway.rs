//! What rows say of the gateway as a whole: its version, its file, its reloads, and what it has lost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The gateway as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GatewayRow {
    /// The version of the program.
    pub version: String,
    /// What it is to others: `active`, it moves frames.
    pub role: GatewayRole,
    /// The file that it goes by.
    pub file: String,
    /// The SHA-256 of the file's text, in hexadecimal; with included files, of all texts in the order they are read in.
    pub sha256: String,
    /// Seconds since 1970, when the gateway started.
    pub started: u64,
    /// Seconds since 1970, when the file that it goes by was loaded, at the start or by a reload.
    pub loaded: u64,
    /// Whether it goes by the file as it was last read: the last reload, if there was one, was not rejected.
    pub in_force: bool,
    /// The last reload; none if there was none.
    pub last_reload: Option<ReloadRow>,
    /// Times that a reload took the file in.
    pub reloads_done: u64,
    /// Times that a reload was rejected.
    pub reloads_rejected: u64,
    /// MAC addresses in the table, of all tenants.
    pub fdb_entries: u64,
    /// MAC addresses that the table holds at most.
    pub fdb_capacity: u64,
    /// Events of the workers that control was too slow for: MAC addresses that appeared or moved, loops, and senders.
    pub events_lost: u64,
    /// Lines of the log that could not be written.
    pub log_lost: u64,
}

/// What a gateway is to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GatewayRole {
    /// It moves frames.
    Active,
}

/// A reload of the gateway's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReloadRow {
    /// Seconds since 1970, when it ended.
    pub when: u64,
    /// What came of it: `done` or `rejected`.
    pub result: ReloadResult,
    /// Why it was rejected.
    pub why: Option<String>,
}

/// What came of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReloadResult {
    /// The file is in force.
    Done,
    /// The gateway is as it was.
    Rejected,
}
