//! Watching a wire: waits for the next frame in a namespace that fits.

use std::io::{self, ErrorKind, Read};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use transload_lab::Namespace;

const LONGEST: usize = 65_536;

/// Sees every frame of a namespace from the moment it was made.
#[derive(Debug)]
pub(super) struct Wiretap(Socket);

impl Wiretap {
    /// On every device of the namespace.
    ///
    /// # Errors
    /// Without the right to see other people's packets.
    pub(super) fn on(namespace: &Namespace) -> io::Result<Self> {
        // packet(7): the protocol, in network order, of what is to be seen.
        let everything = Protocol::from(i32::from((libc::ETH_P_ALL as u16).to_be()));
        namespace.enter(|| Ok(Self(Socket::new(Domain::PACKET, Type::RAW, Some(everything))?)))
    }

    /// The first frame, of those that passed since this was made, that `interesting` says yes to.
    ///
    /// # Errors
    /// `TimedOut` when none came within `patience`.
    pub(super) fn find(&self, patience: Duration, interesting: impl Fn(&[u8]) -> bool) -> io::Result<Vec<u8>> {
        let deadline = Instant::now() + patience;
        let mut frame = vec![0; LONGEST];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.0.set_read_timeout(Some(left))?;
            match (&self.0).read(&mut frame) {
                Ok(len) if frame.get(..len).is_some_and(&interesting) => {
                    frame.truncate(len);
                    return Ok(frame);
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}
