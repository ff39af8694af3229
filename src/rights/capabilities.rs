//! Capabilities: which a thread keeps, and their names.

use std::io;

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs,
};

/// The capabilities of a process that gave up others.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// What it has.
    pub kept: CapabilitySet,
    /// What it had and has no more.
    pub given_up: CapabilitySet,
}

/// Takes every capability from programs that are run. That needs `CAP_SETPCAP`, and so comes before rights are given up or
/// the user changes; without it only ambient capabilities go.
pub fn leave_none_to_programs() {
    let _ = clear_ambient_capability_set();
    for capability in CapabilitySet::all() {
        let _ = remove_capability_from_bounding_set(capability);
    }
}

/// Keeps these capabilities, of those that the calling thread has, and no others; and no program that is run has more.
///
/// # Errors
/// When the kernel refuses it.
pub fn keep(wanted: CapabilitySet) -> io::Result<Kept> {
    let had = capabilities(None)?.permitted;
    leave_none_to_programs();
    let kept = had & wanted;
    set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() })?;
    set_no_new_privs(true)?;
    Ok(Kept { kept, given_up: had - kept })
}

/// Gives up every capability of the calling thread, for one that needs none. Where that is refused, it has none.
pub(super) fn renounce() {
    let _ = keep(CapabilitySet::empty());
}

/// `CAP_NET_ADMIN and CAP_NET_RAW`; `no capability`
#[must_use]
pub fn in_words(capabilities: CapabilitySet) -> String {
    let names: Vec<_> = capabilities.iter_names().map(|(name, _)| format!("CAP_{name}")).collect();
    match names.split_last() {
        None => "no capability".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_listed_by_their_names() {
        let set = CapabilitySet::NET_RAW | CapabilitySet::NET_ADMIN;
        assert_eq!(in_words(set), "CAP_NET_ADMIN and CAP_NET_RAW");
        assert_eq!(in_words(set | CapabilitySet::BPF), "CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF");
        assert_eq!(in_words(CapabilitySet::BPF), "CAP_BPF");
        assert_eq!(in_words(CapabilitySet::empty()), "no capability");
    }

    #[test]
    fn a_thread_that_renounces_has_no_capability_and_gets_none_back() {
        std::thread::spawn(|| {
            let had = capabilities(None).unwrap().permitted;
            renounce();
            let now = capabilities(None).unwrap();
            assert!((now.effective | now.permitted | now.inheritable).is_empty());
            let again = CapabilitySets { effective: had, permitted: had, inheritable: CapabilitySet::empty() };
            assert!(had.is_empty() || set_capabilities(None, again).is_err());
        })
        .join()
        .unwrap();
    }
}
