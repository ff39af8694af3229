//! Small worlds of network namespaces: what the demonstration and the live tests happen in.
//!
//! A namespace is held by a descriptor, not by a name: it is gone when the last holder is, and nothing has to be
//! cleaned up. Work is done in it by a thread that moves there.

use std::fs::{self, File};
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::kernel::netlink::Netlink;

/// A network namespace.
#[derive(Debug)]
pub struct Namespace(OwnedFd);

impl Namespace {
    /// An empty one, with its loopback up.
    ///
    /// # Errors
    /// Without the right to make one: see [`enter_user_namespace`].
    pub fn new() -> io::Result<Self> {
        let made = in_thread(|| {
            unshare(UnshareFlags::NEWNET)?;
            // Nobody else is here who could have our addresses: IPv6 need not wait a second to find that out.
            let _ = fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
            Ok(Self(File::open("/proc/thread-self/ns/net")?.into()))
        })?;
        made.netlink(async |netlink| netlink.set_up("lo", true).await)?;
        Ok(made)
    }

    /// Runs this in the namespace and waits for it. Threads and processes that it starts are in there too.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or as `work` says.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        in_thread(|| {
            move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))?;
            work()
        })
    }

    /// The same for work that waits.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or as `work` says.
    pub fn enter_async<T, F>(&self, work: impl FnOnce() -> F + Send) -> io::Result<T>
    where
        T: Send,
        F: Future<Output = io::Result<T>>,
    {
        self.enter(|| tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work()))
    }

    /// Furnishes the namespace.
    ///
    /// # Errors
    /// As `work` says.
    pub fn netlink<T: Send>(&self, work: impl AsyncFnOnce(&Netlink) -> io::Result<T> + Send) -> io::Result<T> {
        self.enter_async(|| async {
            let (netlink, _changes) = Netlink::open()?;
            work(&netlink).await
        })
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
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
