//! The state file, by which MAC addresses and learned peers survive a restart.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::at::At;
use super::values::Seconds;

/// What a gateway writes down for the one that is started after it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateFile {
    /// The file; if left out, one in the directory that the service manager gives the gateway for state (`STATE_DIRECTORY`), or
    /// else beside the admin socket.
    pub file: Option<At<PathBuf>>,
    /// Time from one write to the next while the gateway runs: a gateway that is killed forgets no more. 60s if left out.
    /// It is also written at the end.
    pub interval: Option<At<Seconds>>,
}
