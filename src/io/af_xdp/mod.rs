//! A network device through XDP sockets: the fast back-end.
//!
//! A small program in the driver sends the gateway's frames, and no others, to sockets whose rings lie in the
//! gateway's own memory; a frame that leaves by another port is sent from where it was received. What the sender left
//! to its device, an unfinished checksum, a super-frame or a tag beside the frame, is not told here: where senders do
//! that, as on a veth, packet sockets are the better back-end.
//!
//! Every queue of the device has a socket, and every worker some of the queues; a flow stays in its queue. Chunks of
//! the worker's memory lie in the rings, so what the kernel counts as lost is what came while all of them were full.

mod attach;
mod filter;
mod open;
mod program;
mod queue;
mod ring;
mod rows;
mod survey;
#[cfg(test)]
mod tests;
mod umem;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::epoll;
use rustix::net::xdp::XdpStatistics;
use transload_encaps::{Frame, HEADROOM};

pub use attach::Redirect;
pub use filter::{AllowedSenders, Claims, Entrance, Filter, Tags};
pub use open::{Mode, OpenRequest, SetupError, chunks_for, examine, missing, open};
pub use survey::Survey;
pub use umem::{Transfer, Umem};

use super::{Filtered, Pool, Port, Sent};
use attach::LeftCounts;
use queue::Queue;

/// Bytes that the kernel leaves free in front of every received frame: `XDP_PACKET_HEADROOM`.
pub const KERNEL_HEADROOM: usize = 256;
const _: () = assert!(HEADROOM <= KERNEL_HEADROOM, "every header can be pushed in front of a received frame");

/// Chunks that one socket has in its hands when it is busiest: all of the fill ring and of the send ring.
pub const CHUNKS_PER_SOCKET: usize = (queue::RECEIVE_RING + queue::SEND_RING) as usize;

/// One worker's view of a network device.
#[derive(Debug)]
pub struct AfXdpPort<'mem> {
    /// Keeps the program on the device.
    redirect: Arc<Redirect>,
    /// What the program has not taken, if it is this worker that counts it: the one with the first queue.
    left: Option<LeftCounts>,
    queues: Vec<Queue<'mem>>,
    /// How many of the queues, from the first, the program sends frames to.
    aimed: usize,
    /// The queue to receive from first.
    turn: usize,
    /// To wait for all of several queues.
    epoll: Option<OwnedFd>,
}

impl<'mem> AfXdpPort<'mem> {
    fn new(redirect: Arc<Redirect>, queues: Vec<Queue<'mem>>) -> io::Result<Self> {
        let epoll = if queues.len() > 1 { Some(all_of(&queues)?) } else { None };
        let counts = queues.first().is_some_and(|queue| queue.number() == 0);
        let left = counts.then(|| LeftCounts::new(&redirect));
        Ok(Self { redirect, left, queues, aimed: 0, turn: 0, epoll })
    }
}

/// A descriptor that is readable when one of the queues is.
fn all_of(queues: &[Queue<'_>]) -> io::Result<OwnedFd> {
    let all = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for queue in queues {
        epoll::add(&all, queue.socket(), epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
    }
    Ok(all)
}

impl<'mem> Port<'mem> for AfXdpPort<'mem> {
    fn start(&mut self, pool: &mut Pool<'mem>) -> io::Result<()> {
        for queue in self.queues.iter_mut().skip(self.aimed) {
            // A frame that finds no chunk is lost: first chunks, then frames.
            queue.lend(pool);
            self.redirect.aim(queue.number(), queue.socket().as_fd())?;
            self.aimed += 1;
        }
        Ok(())
    }

    fn rx_burst(&mut self, pool: &mut Pool<'mem>, burst: &mut Vec<Frame<'mem>>, limit: usize) -> io::Result<()> {
        if self.aimed < self.queues.len() {
            self.start(pool)?;
        }
        let most = burst.len() + limit;
        let turn = self.turn.min(self.queues.len());
        let (before, after) = self.queues.split_at_mut(turn);
        for queue in after.iter_mut().chain(before) {
            queue.reap(pool);
            queue.receive(pool, burst, most);
            queue.lend(pool);
            if queue.is_waiting() {
                queue.kick();
            }
        }
        // A queue that alone fills every burst must not keep the others from being heard.
        self.turn = if self.turn + 1 < self.queues.len() { self.turn + 1 } else { 0 };
        Ok(())
    }

    fn tx_burst(&mut self, pool: &mut Pool<'mem>, frames: &mut Vec<Frame<'mem>>) -> Sent {
        // All by one queue: a flow's frames must not overtake each other.
        if let Some(queue) = self.queues.first_mut() {
            return queue.send(pool, frames);
        }
        let down = frames.len() as u32;
        frames.drain(..).for_each(|frame| pool.put(frame));
        Sent { down, ..Sent::default() }
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        match &self.epoll {
            Some(all) => Some(all.as_fd()),
            None => self.queues.first().map(|queue| queue.socket().as_fd()),
        }
    }

    fn is_stuck(&self) -> bool {
        // All are sent by the first queue.
        self.queues.first().is_some_and(Queue::is_stuck)
    }

    fn kernel_drops(&mut self) -> u64 {
        // A descriptor that the kernel refuses is a fault of ours, and costs a frame.
        let refused = |s: &XdpStatistics| s.rx_invalid_descs + s.tx_invalid_descs;
        let all = |s: XdpStatistics| s.rx_dropped + s.rx_ring_full.unwrap_or(0) + refused(&s);
        let lost = |queue: &Queue<'_>| queue.lost() + queue.statistics().map_or(0, all);
        self.queues.iter().map(lost).sum()
    }

    fn filtered(&mut self) -> &[Filtered] {
        let Self { left, redirect, .. } = self;
        left.as_mut().map_or(&[], |left| left.read(redirect))
    }

    fn close(&mut self, pool: &mut Pool<'mem>) {
        self.epoll = None;
        self.aimed = 0;
        self.queues.drain(..).for_each(|queue| queue.close(pool));
    }
}
