//! A port that control replaces while its worker runs: the device behind it went away and came back.

use std::os::fd::BorrowedFd;

use rtrb::{Consumer, Producer, RingBuffer};
use transload_encaps::Frame;

use super::{BoxedPort, Caps, Filtered, Pool, Port, Sent};

/// A port as its worker sees it, and control's end, by which another port takes its place.
#[must_use]
pub fn swappable(port: BoxedPort<'_>) -> (BoxedPort<'_>, Swap<'_>) {
    let (producer, fresh) = RingBuffer::new(1);
    (Box::new(SwappablePort { port, fresh }), Swap(producer))
}

/// Control's end of a port that can be replaced.
pub struct Swap<'mem>(Producer<BoxedPort<'mem>>);

impl<'mem> Swap<'mem> {
    /// Whether the worker has not taken the last replacement yet.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// Has the worker use this port from its next burst on.
    ///
    /// # Errors
    /// Returns the port while [`is_full`](Self::is_full).
    pub fn put(&mut self, port: BoxedPort<'mem>) -> Result<(), BoxedPort<'mem>> {
        self.0.push(port).map_err(|rtrb::PushError::Full(port)| port)
    }
}

/// A port that control can replace by a new one.
struct SwappablePort<'mem> {
    port: BoxedPort<'mem>,
    fresh: Consumer<BoxedPort<'mem>>,
}

impl<'mem> Port<'mem> for SwappablePort<'mem> {
    fn start(&mut self, pool: &mut Pool<'mem>) -> std::io::Result<()> {
        self.port.start(pool)
    }

    fn rx_burst(&mut self, pool: &mut Pool<'mem>, burst: &mut Vec<Frame<'mem>>, limit: usize) -> std::io::Result<()> {
        if let Ok(fresh) = self.fresh.pop() {
            self.port.close(pool);
            self.port = fresh;
        }
        self.port.rx_burst(pool, burst, limit)
    }

    fn tx_burst(&mut self, pool: &mut Pool<'mem>, frames: &mut Vec<Frame<'mem>>) -> Sent {
        self.port.tx_burst(pool, frames)
    }

    fn caps(&self) -> Caps {
        self.port.caps()
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.port.readable()
    }

    fn is_stuck(&self) -> bool {
        self.port.is_stuck()
    }

    fn kernel_drops(&mut self) -> u64 {
        self.port.kernel_drops()
    }

    fn filtered(&mut self) -> &[Filtered] {
        self.port.filtered()
    }

    fn close(&mut self, pool: &mut Pool<'mem>) {
        self.port.close(pool);
    }
}
