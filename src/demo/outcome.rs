//! What happened: who reached whom, and one frame on both sides of the gateway.

use std::io::{self, ErrorKind};
use std::time::Duration;

use super::capture::Wiretap;
use super::decode::{self, Decoded};
use super::tcp::{Budget, Moved};
use super::world::{Host, World};

/// Long enough for a first packet that has to find its way.
const PATIENCE: Duration = Duration::from_secs(3);
/// Twelve of these fit into the time a demonstration may take.
const BUDGET: Budget = Budget { bytes: 8 * 1024 * 1024, time: Duration::from_millis(400) };

/// One host tried to reach another.
#[derive(Debug)]
pub(super) struct Reach {
    /// Places in [`SITES`](super::sites::SITES).
    pub from: usize,
    /// Whom.
    pub to: usize,
    /// The time until a ping was answered.
    pub ping: io::Result<Duration>,
    /// What TCP moved.
    pub tcp: io::Result<Moved>,
}

impl Reach {
    /// Whether everything worked.
    #[must_use]
    pub(super) const fn worked(&self) -> bool {
        self.ping.is_ok() && self.tcp.is_ok()
    }
}

/// A frame before and after translation.
#[derive(Debug)]
pub(super) struct Exchange {
    /// On the wire of the first host.
    pub before: Decoded,
    /// On the wire of the second.
    pub after: Decoded,
}

impl Exchange {
    /// Whether the tenant's frame is the same, byte by byte.
    #[must_use]
    pub(super) fn is_unchanged(&self) -> bool {
        self.before.inner == self.after.inner
    }
}

/// Everybody tries to reach everybody else; `go_on` is asked before each try.
///
/// # Errors
/// `Interrupted` when `go_on` says no.
pub(super) fn everybody(world: &World, go_on: impl Fn() -> bool) -> io::Result<Vec<Reach>> {
    let mut all = Vec::new();
    for (from, host) in world.hosts.iter().enumerate() {
        for (to, other) in world.hosts.iter().enumerate().filter(|(to, _)| *to != from) {
            if !go_on() {
                return Err(ErrorKind::Interrupted.into());
            }
            let ping = host.ping(other, PATIENCE);
            // Without an answer to a ping, a connection would only time out.
            let tcp = if ping.is_ok() { host.send(other, BUDGET) } else { Err(ErrorKind::HostUnreachable.into()) };
            all.push(Reach { from, to, ping, tcp });
        }
    }
    Ok(all)
}

/// Pings once more, and takes the echo request from both wires.
///
/// # Errors
/// When it is not seen on both.
pub(super) fn exchange(from: &Host, to: &Host) -> io::Result<Exchange> {
    let (near, far) = (Wiretap::on(&from.namespace)?, Wiretap::on(&to.namespace)?);
    from.ping(to, PATIENCE)?;
    let is_it = |frame: &[u8]| {
        let packet = decode::tunnel_packet(frame);
        packet.is_some_and(|packet| decode::is_echo_request(&packet.inner, to.site.tenant()))
    };
    let seen = |tap: &Wiretap| {
        let frame = tap.find(PATIENCE, is_it)?;
        decode::tunnel_packet(&frame).ok_or_else(|| io::Error::from(ErrorKind::InvalidData))
    };
    Ok(Exchange { before: seen(&near)?, after: seen(&far)? })
}
