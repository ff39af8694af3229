//! The rights that XDP programs need.

use rustix::thread::CapabilitySet;

use crate::rights::{Call, Rights};

/// What it takes to load programs and to change their maps. With `CAP_PERFMON` the kernel leaves out precautions that make
/// programs slower.
#[must_use]
pub fn rights() -> Rights {
    Rights::calls([Call::Any(libc::SYS_bpf)]).with(CapabilitySet::BPF | CapabilitySet::PERFMON, "an XDP program")
}
