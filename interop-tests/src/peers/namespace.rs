//! Network namespaces of the running kernel, held by descriptor: nothing has a name, nothing is left behind.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use transload::lab;

use crate::host::{Host, output};

/// A network namespace, as a machine that commands can be run on. It ends when its last holder does: this value, and
/// what was started in it.
#[derive(Debug)]
pub struct Namespace {
    namespace: lab::Namespace,
    background: Mutex<Vec<Child>>,
}

impl Namespace {
    /// An empty one, with its loopback up.
    ///
    /// # Errors
    /// Without the right to make one.
    pub fn new() -> io::Result<Self> {
        let new = Self { namespace: lab::Namespace::new()?, background: Mutex::default() };
        // Ten datagrams, the usual queue of a Unix socket, are few for a kernel that sends in bursts.
        new.sh("echo 512 > /proc/sys/net/unix/max_dgram_qlen")?;
        Ok(new)
    }

    /// Runs this in the namespace and waits for it. Threads, processes and sockets that it makes are in there too.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or as `work` says.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        self.namespace.enter(work)
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
        format!("/proc/{}/fd/{}", std::process::id(), self.namespace.as_fd().as_raw_fd())
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

/// A cable: two devices, each up in its namespace, with the offloads that the kernel gives them.
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
    Ok(())
}
