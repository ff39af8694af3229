//! The rights that the log takes.

use crate::rights::{Call, Rights};

/// Sending to the journal.
#[must_use]
pub fn rights() -> Rights {
    Rights::calls([Call::Any(libc::SYS_sendto)])
}
