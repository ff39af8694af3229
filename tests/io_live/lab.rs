//! Network namespaces for one test, gone with its last descriptor.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::{Command, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

/// A network namespace of its own.
pub(crate) struct Namespace(File);

impl Namespace {
    /// An empty one with its loopback up, or `None`, said loudly, where that is not allowed.
    pub(crate) fn new(test: &str) -> Option<Self> {
        #[expect(deprecated, reason = "what makes it unsafe is CLONE_FILES, which is not asked for")]
        let made = thread::spawn(|| {
            rustix::thread::unshare(UnshareFlags::NEWNET).map(|()| File::open("/proc/thread-self/ns/net"))
        });
        match made.join().expect("no panic in the new namespace") {
            Ok(file) => {
                let namespace = Self(file.expect("a thread has a network namespace"));
                namespace.ip("link set lo up");
                Some(namespace)
            }
            Err(error) => {
                eprintln!("SKIPPED: {test}: network namespaces: {error}");
                None
            }
        }
    }

    /// Runs this in the namespace.
    pub(crate) fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| scope.spawn(|| self.enter_and(f)).join().expect("no panic in the namespace"))
    }

    /// Runs this in the namespace, on a thread that is already its own.
    pub(crate) fn enter_and<T>(&self, f: impl FnOnce() -> T) -> T {
        move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network)).expect("setns");
        f()
    }

    /// Runs `ip` with these words.
    pub(crate) fn ip(&self, words: &str) {
        let output = self.run(|| Command::new("ip").args(words.split_whitespace()).output()).expect("ip is installed");
        assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Joins this namespace and another with a veth, up at both ends.
    pub(crate) fn join(&self, device: &str, other: &Self, far: &str) {
        static VETH: AtomicU32 = AtomicU32::new(0);
        let path = format!("/proc/{}/fd/{}", id(), std::os::fd::AsRawFd::as_raw_fd(&other.0));
        let temporary = format!("tl{}", VETH.fetch_add(1, Ordering::Relaxed));
        self.ip(&format!("link add {device} type veth peer name {temporary}"));
        self.ip(&format!("link set {temporary} netns {path}"));
        other.ip(&format!("link set {temporary} name {far}"));
        self.ip(&format!("link set {device} up"));
        other.ip(&format!("link set {far} up"));
        self.wait_until_running(device);
        other.wait_until_running(far);
    }

    /// Waits for the kernel to have noticed that a device is up; until then it swallows what is sent there.
    pub(crate) fn wait_until_running(&self, device: &str) {
        let is_running = || pnet_datalink::interfaces().iter().any(|found| found.name == device && found.is_running());
        self.run(|| {
            while !is_running() {
                thread::sleep(Duration::from_millis(1));
            }
        });
    }
}

/// Whether TAPs can be made here; said loudly where not.
pub(crate) fn may_make_taps(test: &str) -> bool {
    let opened = File::options().read(true).write(true).open("/dev/net/tun");
    if let Err(error) = &opened {
        eprintln!("SKIPPED: {test}: /dev/net/tun: {error}");
    }
    opened.is_ok()
}

/// These namespaces, or a return from the test that needs them.
macro_rules! namespaces {
    ($test:literal: $($name:ident),+) => {
        $(let Some($name) = $crate::lab::Namespace::new($test) else { return };)+
    };
}
pub(crate) use namespaces;
