//! What tests do in a namespace by netlink.

use std::io;

use transload::kernel::netlink::{self, Netlink};
use transload_lab::Namespace;

/// More that can be done in a namespace.
pub(crate) trait Furnish {
    /// Furnishes it.
    fn netlink<T: Send>(&self, work: impl AsyncFnOnce(&Netlink) -> io::Result<T> + Send) -> io::Result<T>;
}

impl Furnish for Namespace {
    fn netlink<T: Send>(&self, work: impl AsyncFnOnce(&Netlink) -> io::Result<T> + Send) -> io::Result<T> {
        self.enter(|| netlink::furnish(work))
    }
}
