//! What these tests do in network namespaces: whatever goes wrong there is the test's end.

use std::fs::File;

pub(crate) use transload_lab::Namespace;
use transload_lab::{Host, eventually, skip, veth};

/// More that can be done in a namespace.
pub(crate) trait Place {
    /// Runs this in the namespace.
    fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T;

    /// Runs `ip` with these words.
    fn ip(&self, words: &str);

    /// Joins this namespace and another with a veth, up at both ends.
    fn join(&self, device: &str, other: &Namespace, far: &str);

    /// Waits for the kernel to have noticed that a device is up; until then it swallows what is sent there.
    fn wait_until_running(&self, device: &str);
}

impl Place for Namespace {
    fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.enter(|| Ok(work())).expect("the namespace can be entered")
    }

    fn ip(&self, words: &str) {
        self.sh(&format!("ip {words}")).expect("ip does as it is told");
    }

    fn join(&self, device: &str, other: &Namespace, far: &str) {
        veth((self, device), (other, far), 1500).expect("a veth");
        self.wait_until_running(device);
        other.wait_until_running(far);
    }

    fn wait_until_running(&self, device: &str) {
        let is_running = || pnet_datalink::interfaces().iter().any(|found| found.name == device && found.is_running());
        self.run(|| {
            eventually("the device runs", is_running);
        });
    }
}

/// An empty namespace, or `None`, said loudly, where that is not allowed.
pub(crate) fn namespace(test: &str) -> Option<Namespace> {
    let made = Namespace::new();
    if let Err(error) = &made {
        skip::say(test, &format!("network namespaces: {error}"));
    }
    made.ok()
}

/// Whether TAPs can be made here; said loudly where not.
pub(crate) fn may_make_taps(test: &str) -> bool {
    let opened = File::options().read(true).write(true).open("/dev/net/tun");
    if let Err(error) = &opened {
        skip::say(test, &format!("/dev/net/tun: {error}"));
    }
    opened.is_ok()
}

/// These namespaces, or a return from the test that needs them.
macro_rules! namespaces {
    ($test:literal: $($name:ident),+) => {
        $(let Some($name) = $crate::lab::namespace($test) else { return };)+
    };
}
pub(crate) use namespaces;
