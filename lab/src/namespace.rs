//! Network namespaces of the running kernel.
//!
//! A namespace is held by a descriptor, not by a name: it is gone when the last holder is, and nothing has to be
//! cleaned up. Work is done in it by a thread that moves there.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::host::{Host, output};
use crate::loopback;

/// A network namespace, as a machine that commands can be run on. It ends when its last holder does: this value, and
/// what was started in it.
#[derive(Debug)]
pub struct Namespace {
    descriptor: OwnedFd,
    background: Mutex<Vec<Child>>,
}

impl Namespace {
    /// An empty one, with its loopback up.
    ///
    /// # Errors
    /// Without the right to make one: see [`enter_user_namespace`].
    pub fn new() -> io::Result<Self> {
        let descriptor = in_thread(|| {
            unshare(UnshareFlags::NEWNET)?;
            // Nobody else is here who could have our addresses: IPv6 need not wait a second to find that out.
            let _ = fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
            // Ten datagrams, the usual queue of a Unix socket, are few for a kernel that sends in bursts.
            let _ = fs::write("/proc/sys/net/unix/max_dgram_qlen", "512");
            loopback::set_up()?;
            Ok(File::open("/proc/thread-self/ns/net")?.into())
        })?;
        Ok(Self { descriptor, background: Mutex::default() })
    }

    /// Runs this in the namespace and waits for it. Threads, processes and sockets that it makes are in there too.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or as `work` says.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        in_thread(|| {
            move_into_link_name_space(self.as_fd(), Some(LinkNameSpaceType::Network))?;
            work()
        })
    }

    /// Starts a program in the namespace.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        self.enter(|| command.spawn())
    }

    /// What is in the namespace that a program could have left behind: devices, addresses, rules, sockets.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn inventory(&self) -> io::Result<String> {
        self.sh("ip -br link; ip -br addr; ip rule; nft list ruleset; ss -Han -A inet,packet")
    }

    /// How other processes can open the namespace while this value lives, `ip link set .. netns` for one.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.descriptor.as_raw_fd())
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Host for Namespace {
    fn sh(&self, line: &str) -> io::Result<String> {
        self.enter(|| output(Command::new("sh").args(["-ec", line])))
    }

    fn background(&self, line: &str) -> io::Result<()> {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {line}")]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = self.spawn(&mut shell)?;
        self.background.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        for child in self.background.get_mut().unwrap_or_else(PoisonError::into_inner) {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A cable: two devices, each up in its namespace, with the offloads that the kernel gives them. What is sent by them from
/// here on arrives.
///
/// # Errors
/// When a device of that name is there already.
pub fn veth(near: (&Namespace, &str), far: (&Namespace, &str), mtu: u16) -> io::Result<()> {
    let ((near_ns, near), (far_ns, far)) = (near, far);
    // Made where it cannot meet another test's devices, then moved.
    near_ns.sh(&format!(
        "ip link add {near} mtu {mtu} type veth peer name {far} mtu {mtu} netns {}; ip link set {near} up",
        far_ns.path()
    ))?;
    far_ns.sh(&format!("ip link set {far} up"))?;
    // The kernel notices a carrier in its own time, and until then swallows what is sent.
    for (namespace, device) in [(near_ns, near), (far_ns, far)] {
        namespace.sh(&format!("until ip -o link show {device} | grep -q 'state UP'; do sleep 0.01; done"))?;
    }
    Ok(())
}

/// Moves this process into a user namespace in which it may make network namespaces. To be called before any other
/// thread starts.
///
/// # Errors
/// When the system does not permit that, or other threads run already.
pub fn enter_user_namespace() -> io::Result<()> {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    unshare(UnshareFlags::NEWUSER)?;
    // user_namespaces(7): without privilege, setgroups must be given up before a group is mapped.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

fn unshare(what: UnshareFlags) -> io::Result<()> {
    #[expect(deprecated, reason = "its successor is unsafe because of FILES, which is never asked for here")]
    rustix::thread::unshare(what).map_err(io::Error::from)
}

/// A thread of its own, so that the caller's namespace stays what it is.
fn in_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| match scope.spawn(work).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
