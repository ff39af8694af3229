//! What to do about reserved bits that a peer sets: the one knob that every tunnel header shares.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::drops::DropReason;

/// What to do about reserved bits that are set on receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reserved {
    /// Ignore and count them, as the RFCs ask.
    #[default]
    Ignore,
    /// Drop the frame, as Linux does for VXLAN.
    Strict,
}

impl Reserved {
    /// The reason as something tolerated, or as the drop that a strict peer makes of it.
    ///
    /// # Errors
    /// The reason itself, when strict.
    pub(crate) fn check(self, reason: impl Into<DropReason>) -> Result<DropReason, DropReason> {
        match self {
            Self::Ignore => Ok(reason.into()),
            Self::Strict => Err(reason.into()),
        }
    }

    /// How a sentence about reserved bits that are set ends.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Ignore => "",
            Self::Strict => ", and `reserved: strict` refuses that",
        }
    }
}
