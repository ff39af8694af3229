//! What rows say of the last seconds: rates, whether a peer works, and how busy workers are.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::measure::{LABEL, no_metrics, of, thousandths};

/// Frames and bits a second, in and out, over the last three to six seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = no_metrics("whoever reads counters makes rates of them")))]
pub struct RatesRow {
    /// Frames received, a second.
    pub rx_frames: u64,
    /// Bits received, a second.
    pub rx_bits: u64,
    /// Frames sent, a second.
    pub tx_frames: u64,
    /// Bits sent, a second.
    pub tx_bits: u64,
}

impl RatesRow {
    /// Both together.
    #[must_use]
    pub const fn plus(self, more: Self) -> Self {
        Self {
            rx_frames: self.rx_frames + more.rx_frames,
            rx_bits: self.rx_bits + more.rx_bits,
            tx_frames: self.tx_frames + more.tx_frames,
            tx_bits: self.tx_bits + more.tx_bits,
        }
    }
}

/// Whether a peer works, as far as can be seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeerState {
    /// It was heard in the last five minutes.
    Fine,
    /// Frames were sent to it, and for ten seconds nothing came.
    Silent,
    /// Somebody says by ICMP that packets to it do not arrive.
    Unreachable,
    /// There is no next hop towards it.
    Unresolved,
    /// It was not heard for five minutes, and nothing was sent to it.
    Idle,
}

impl PeerState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Fine, Self::Silent, Self::Unreachable, Self::Unresolved, Self::Idle];

    /// Its word in the rows.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Silent => "silent",
            Self::Unreachable => "unreachable",
            Self::Unresolved => "unresolved",
            Self::Idle => "idle",
        }
    }
}

impl fmt::Display for PeerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A worker: a thread that moves frames.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-metrics" = of("worker")))]
pub struct WorkerRow {
    /// Its name, by its number: `worker-0`.
    #[schemars(extend("x-metric" = LABEL))]
    pub worker: String,
    /// The ports that it serves; one with several queues may be served by several workers.
    pub ports: Vec<String>,
    /// Parts per thousand of the time over the last seconds in which it had frames in hand.
    #[schemars(extend("x-metric" = thousandths("busy_ratio")))]
    pub busy: u64,
}
