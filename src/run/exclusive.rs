//! At most one gateway serves an endpoint, or the tags of a device: two would each deliver every frame.
//!
//! A claim is an abstract Unix socket, whose name the kernel gives to one process of a network namespace and takes
//! back when that process ends, however it ends.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// What this gateway serves and no other may, until it is dropped.
#[derive(Debug, Default)]
pub struct Exclusive(HashMap<String, UnixDatagram>);

impl Exclusive {
    /// Claims something by its name; false when another gateway has it. What is ours already stays so.
    ///
    /// # Errors
    /// When the kernel has no socket for us.
    pub fn claim(&mut self, what: &str) -> io::Result<bool> {
        if self.0.contains_key(what) {
            return Ok(true);
        }
        let name = SocketAddr::from_abstract_name(format!("transload/{what}"))?;
        match UnixDatagram::bind_addr(&name) {
            Ok(socket) => {
                self.0.insert(what.to_owned(), socket);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Lets go of what is not among these.
    pub fn keep(&mut self, wanted: &[String]) {
        self.0.retain(|what, _| wanted.contains(what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_ones_own_until_it_is_dropped() {
        let what = format!("test {}", std::process::id());
        let (mut one, mut other) = (Exclusive::default(), Exclusive::default());
        assert!(one.claim(&what).unwrap());
        assert!(!other.claim(&what).unwrap());
        drop(one);
        assert!(other.claim(&what).unwrap());
    }
}
