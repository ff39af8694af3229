//! What happened: which host reached which, and one frame on both sides of the gateway.

use std::io::{self, ErrorKind};
use std::time::Duration;

use super::capture::Wiretap;
use super::decode::{self, TunnelPacket};
use super::sites::{SITES, Site};
use super::tcp::{Budget, Moved};
use super::world::{Host, World};

/// How long a ping may take: enough for a first packet that waits for ARP.
const PATIENCE: Duration = Duration::from_secs(3);
/// Twelve of these fit into the time a demonstration may take.
const BUDGET: Budget = Budget { bytes: 8 * 1024 * 1024, time: Duration::from_millis(400) };

/// One host tried to reach another.
#[derive(Debug)]
pub(super) struct Reach {
    /// The host that tried: its place in [`SITES`](super::sites::SITES).
    pub from: usize,
    /// The host that was to be reached: its place there.
    pub to: usize,
    /// The time until a ping was answered.
    pub ping: io::Result<Duration>,
    /// How much TCP moved, in how long.
    pub tcp: io::Result<Moved>,
}

impl Reach {
    /// Whether both the ping and TCP worked.
    #[must_use]
    pub(super) const fn worked(&self) -> bool {
        self.ping.is_ok() && self.tcp.is_ok()
    }
}

/// A frame before and after translation.
#[derive(Debug)]
pub(super) struct Translation {
    /// On the wire of the first host.
    pub before: TunnelPacket,
    /// On the wire of the second.
    pub after: TunnelPacket,
}

impl Translation {
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
pub(super) fn everybody(world: &mut World, go_on: impl Fn() -> bool) -> io::Result<Vec<Reach>> {
    let mut all = Vec::new();
    for (from, host) in world.hosts.iter_mut().enumerate() {
        for (to, other) in SITES.iter().enumerate().filter(|(to, _)| *to != from) {
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
pub(super) fn exchange(from: &mut Host, to: &Host) -> io::Result<Translation> {
    let (near, far) = (Wiretap::on(from.wire())?, Wiretap::on(to.wire())?);
    from.ping(&to.site, PATIENCE)?;
    Ok(Translation { before: seen(&near, &from.site, &to.site)?, after: seen(&far, &to.site, &to.site)? })
}

/// The echo request to a host, as it travels on the cable of a site.
fn seen(tap: &Wiretap, site: &Site, to: &Site) -> io::Result<TunnelPacket> {
    let request = |frame: &[u8]| {
        let packet = decode::tunnel_packet(frame)?;
        let is_its_cable = packet.outer.last().is_some_and(|(name, _)| *name == site.title);
        (is_its_cable && decode::is_echo_request(&packet.inner, to.tenant())).then_some(packet)
    };
    let frame = tap.find(PATIENCE, |frame| request(frame).is_some())?;
    request(&frame).ok_or_else(|| ErrorKind::InvalidData.into())
}
