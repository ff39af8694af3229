//! What rows say of the gateway as a whole: its version, its file, its reloads, and what it has lost.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::measure::{counter, counter_of, gauge, info, no_metric, no_metrics, of};

/// The gateway as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = of("")))]
pub struct GatewayRow {
    /// The version of the program.
    #[schemars(extend("x-metric" = info("build")))]
    pub version: String,
    /// What it is to others: `active`, it moves frames.
    pub role: GatewayRole,
    /// The file that it goes by.
    #[schemars(extend("x-metric" = info("config")))]
    pub file: String,
    /// The SHA-256 of the file's text, in hexadecimal; with included files, of all texts in the order they are read in.
    #[schemars(extend("x-metric" = info("config")))]
    pub sha256: String,
    /// Seconds since 1970, when the gateway started.
    #[schemars(extend("x-metric" = gauge("start_time_seconds")))]
    pub started: u64,
    /// Seconds since 1970, when the file that it goes by was loaded, at the start or by a reload.
    #[schemars(extend("x-metric" = gauge("config_last_reload_success_timestamp_seconds")))]
    pub loaded: u64,
    /// Whether it goes by the file as it was last read: the last reload, if there was one, was not rejected.
    #[schemars(extend("x-metric" = gauge("config_last_reload_successful")))]
    pub in_force: bool,
    /// The last reload; none if there was none.
    pub last_reload: Option<ReloadRow>,
    /// Times that a reload took the file in.
    #[schemars(extend("x-metric" = counter_of("config_reloads", "result", "done")))]
    pub reloads_done: u64,
    /// Times that a reload was rejected.
    #[schemars(extend("x-metric" = counter_of("config_reloads", "result", "rejected")))]
    pub reloads_rejected: u64,
    /// Why metrics are not served by the TCP port that the file names; none if they are, or it names none.
    pub metrics_failure: Option<String>,
    /// MAC addresses in the table, of all tenants.
    #[schemars(extend("x-metric" = gauge("fdb_entries")))]
    pub fdb_entries: u64,
    /// MAC addresses that the table holds at most.
    #[schemars(extend("x-metric" = gauge("fdb_capacity")))]
    pub fdb_capacity: u64,
    /// Events of the workers that control was too slow for: MAC addresses that appeared or moved, loops, and senders.
    #[schemars(extend("x-metric" = counter("events_lost")))]
    pub events_lost: u64,
    /// Lines of the log that could not be written.
    #[schemars(extend("x-metric" = no_metric("`log` has it")))]
    pub log_lost: u64,
}

/// What a gateway is to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GatewayRole {
    /// It moves frames.
    Active,
}

impl fmt::Display for GatewayRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
        })
    }
}

/// A reload of the gateway's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = no_metrics("`gateway` has the time of the last one that was done, and counts them")))]
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
