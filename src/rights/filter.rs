//! The seccomp filter: system calls that are on no list are answered as if the kernel did not have them.
//!
//! Not by the end of the process: a call that a list forgets, or that another libc makes, must not stop a gateway that
//! moves frames, and libraries know what to do without a call that the kernel lacks.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter_all_threads,
};
use thiserror::Error;

use super::calls::Call;

/// Why there is no filter.
#[derive(Debug, Error)]
pub enum FilterError {
    /// None can be made for this processor.
    #[error("there is no filter for this processor: {0}")]
    Unknown(#[from] BackendError),
    /// The kernel takes none.
    #[error("{0}")]
    Refused(#[from] seccompiler::Error),
}

/// Has the kernel refuse every other call of every thread from now on, and no program that is run have more rights than
/// this process. Returns how many calls are left.
///
/// # Errors
/// When there can be no such filter here.
pub fn allow_only(calls: &[Call]) -> Result<usize, FilterError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in calls {
        let rules = rules.entry(call.number()).or_default();
        if let Call::If { argument, mask, value, .. } = *call {
            let has_bits = SeccompCmpOp::MaskedEq(mask);
            let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Qword, has_bits, value)?;
            rules.push(SeccompRule::new(vec![condition])?);
        }
    }
    // A call without rules always passes.
    for call in calls {
        if let Call::Any(number) = call {
            rules.insert(*number, Vec::new());
        }
    }
    let count = rules.len();
    let refuse = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(rules, refuse, SeccompAction::Allow, arch)?;
    apply_filter_all_threads(&BpfProgram::try_from(filter)?)?;
    Ok(count)
}
