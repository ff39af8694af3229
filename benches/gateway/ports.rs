//! Ports in memory: one that makes frames without end and swallows what it is sent, and one that only swallows.

use std::hint::black_box;
use std::io;

use transload::io::{Pool, Port, Sent};
use transload_encaps::{Frame, HEADROOM, Mac};

use super::tenants::{Arriving, SENDER_AT};

/// Where the UDP source port is in a tenant's frame.
const SOURCE_PORT_AT: usize = 34;

/// Makes frames: what is arriving, with MAC addresses, flow and sender written anew for each.
pub(super) struct Generator {
    arriving: Arriving,
    /// Where the UDP source port of the tenant's frame is.
    source_port_at: usize,
    sources: u64,
    destinations: u64,
    turn: u64,
}

/// The MAC address of a host; those of side 1 send to those of side 2.
pub(super) fn mac(side: u8, number: u64) -> Mac {
    let [.., a, b, c, d] = number.to_be_bytes();
    Mac([2, side, a, b, c, d])
}

impl Generator {
    /// One whose frames go from any of so many hosts to any of so many others; the tenant's own have `len` bytes.
    pub(super) fn new(arriving: Arriving, len: usize, sources: u64, destinations: u64) -> Self {
        // What arrives ends as the tenant's frame does; tags stand between its addresses and the rest.
        let source_port_at = arriving.frame.len() - len + SOURCE_PORT_AT;
        Self { arriving, source_port_at, sources, destinations, turn: 1 }
    }

    /// A random number below this one.
    fn below(&mut self, limit: u64) -> u64 {
        self.turn = self.turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.turn >> 32) * limit) >> 32
    }

    fn write(&mut self, frame: &mut [u8]) {
        let destination = self.below(self.destinations);
        let source = self.below(self.sources);
        let addresses = &mut frame[self.arriving.addresses_at..][..12];
        addresses[..6].copy_from_slice(&mac(2, destination).0);
        addresses[6..].copy_from_slice(&mac(1, source).0);
        // Every frame is of another flow: equal-cost paths share them out.
        let [.., high, low] = self.turn.to_be_bytes();
        frame[self.source_port_at..][..2].copy_from_slice(&[high, low]);
        let senders = &self.arriving.senders;
        if senders.len() > 1 {
            // The hosts are behind the peers by turns.
            frame[SENDER_AT..][..6].copy_from_slice(&senders[source as usize % senders.len()]);
        }
    }
}

impl<'mem> Port<'mem> for Generator {
    fn rx_burst(&mut self, pool: &mut Pool<'mem>, burst: &mut Vec<Frame<'mem>>, limit: usize) -> io::Result<()> {
        for _ in 0..limit {
            let Some(mut frame) = pool.take(HEADROOM) else { break };
            black_box(frame.fill(HEADROOM, &self.arriving.frame));
            self.write(frame.bytes_mut());
            burst.push(frame);
        }
        Ok(())
    }

    fn tx_burst(&mut self, pool: &mut Pool<'mem>, frames: &mut Vec<Frame<'mem>>) -> Sent {
        swallow(pool, frames)
    }
}

/// A port where nothing arrives.
pub(super) struct Sink;

impl<'mem> Port<'mem> for Sink {
    fn rx_burst(&mut self, _: &mut Pool<'mem>, _: &mut Vec<Frame<'mem>>, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn tx_burst(&mut self, pool: &mut Pool<'mem>, frames: &mut Vec<Frame<'mem>>) -> Sent {
        swallow(pool, frames)
    }
}

fn swallow<'mem>(pool: &mut Pool<'mem>, frames: &mut Vec<Frame<'mem>>) -> Sent {
    let sent = Sent { frames: frames.len() as u32, ..Sent::default() };
    for frame in frames.drain(..) {
        black_box(frame.bytes());
        pool.put(frame);
    }
    sent
}
