//! A port without a device: frames go in and out by a [`Handle`], for tests and benches.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use transload_encaps::{Checksum, Frame, Gso, HEADROOM, Mac};

use super::{Caps, Pool, Port, Sent};

/// A frame outside of any chunk, and what a port would know about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Packet {
    /// The frame's bytes, from the destination MAC on.
    pub bytes: Vec<u8>,
    /// What is known of its checksum; the start of a [`Checksum::Partial`] counts from the first of `bytes`.
    pub checksum: Checksum,
    /// Set for a super-frame.
    pub gso: Option<Gso>,
    /// Set when these are only the first bytes of the frame.
    pub cut: bool,
}

impl From<Vec<u8>> for Packet {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, ..Self::default() }
    }
}

impl From<&[u8]> for Packet {
    fn from(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }
}

impl From<&Frame<'_>> for Packet {
    fn from(frame: &Frame<'_>) -> Self {
        let checksum = match frame.meta.checksum {
            Checksum::Partial { start, offset } => match frame.frame_offset(start) {
                Some(at) => Checksum::Partial { start: at as u32, offset },
                None => Checksum::Unknown,
            },
            known => known,
        };
        Self { bytes: frame.bytes().to_vec(), checksum, gso: frame.meta.gso, cut: frame.meta.cut }
    }
}

impl Packet {
    /// Puts the packet into a frame behind [`HEADROOM`]; false if the chunk is too small.
    #[must_use]
    pub fn load(&self, frame: &mut Frame<'_>) -> bool {
        let fits = frame.fill(HEADROOM, &self.bytes);
        (frame.meta.gso, frame.meta.cut) = (self.gso, self.cut);
        frame.meta.checksum = match self.checksum {
            Checksum::Partial { start, offset } => {
                Checksum::Partial { start: frame.chunk_offset(start as usize), offset }
            }
            known => known,
        };
        fits
    }
}

#[derive(Debug, Default)]
struct State {
    incoming: VecDeque<Packet>,
    endless: Vec<Packet>,
    next: usize,
    outgoing: Vec<Packet>,
    forget: bool,
    sent: Sent,
    lost: u64,
    caps: Caps,
    mac: Option<Mac>,
    room: Option<usize>,
    failure: Option<io::ErrorKind>,
}

/// The test's side of a [`MemoryPort`]. Clones are the same side.
#[derive(Debug, Clone, Default)]
pub struct Handle(Arc<Mutex<State>>);

impl Handle {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets this frame arrive at the port.
    pub fn inject(&self, packet: impl Into<Packet>) {
        self.state().incoming.push_back(packet.into());
    }

    /// Lets these frames arrive at the port over and over, without an end.
    pub fn inject_endlessly(&self, packets: Vec<Packet>) {
        let mut state = self.state();
        (state.endless, state.next) = (packets, 0);
    }

    /// Takes what the port has sent since the last call.
    #[must_use]
    pub fn collect(&self) -> Vec<Packet> {
        std::mem::take(&mut self.state().outgoing)
    }

    /// Whether sent frames are only counted instead of kept for [`collect`](Self::collect).
    pub fn forget_sent(&self, forget: bool) {
        self.state().forget = forget;
    }

    /// Everything that was sent, or refused, since the beginning.
    #[must_use]
    pub fn sent(&self) -> Sent {
        self.state().sent
    }

    /// How many injected frames have not been received yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state().incoming.len()
    }

    /// What the port can do by itself from now on.
    pub fn set_caps(&self, caps: Caps) {
        self.state().caps = caps;
    }

    /// Gives the port a MAC address.
    pub fn set_mac(&self, mac: Mac) {
        self.state().mac = Some(mac);
    }

    /// The port's MAC address.
    #[must_use]
    pub fn mac(&self) -> Option<Mac> {
        self.state().mac
    }

    /// How many frames of a burst the port has room for; `None` for all of them.
    pub fn set_room(&self, room: Option<usize>) {
        self.state().room = room;
    }

    /// Breaks the port, or mends it with `None`: a broken one receives with this error, and can send nothing.
    pub fn fail(&self, failure: Option<io::ErrorKind>) {
        self.state().failure = failure;
    }
}

/// A port whose far side is a [`Handle`].
#[derive(Debug, Default)]
pub struct MemoryPort(Handle);

impl MemoryPort {
    /// A port, and the handle of its far side.
    #[must_use]
    pub fn new() -> (Self, Handle) {
        let handle = Handle::default();
        (Self(handle.clone()), handle)
    }

    /// Another port with the same far side, as a second worker would have it.
    #[must_use]
    pub fn of(handle: &Handle) -> Self {
        Self(handle.clone())
    }
}

impl State {
    fn receive(&mut self, frame: &mut Frame<'_>) -> bool {
        if let Some(packet) = self.incoming.pop_front() {
            if !packet.load(frame) {
                self.lost += 1;
            }
            return true;
        }
        let Some(packet) = self.endless.get(self.next) else { return false };
        self.next = (self.next + 1) % self.endless.len();
        packet.load(frame)
    }

    fn send(&mut self, frame: &Frame<'_>) {
        self.sent.frames += 1;
        self.sent.bytes += frame.len() as u64;
        if !self.forget {
            self.outgoing.push(frame.into());
        }
    }
}

impl<'mem> Port<'mem> for MemoryPort {
    fn rx_burst(&mut self, pool: &mut Pool<'mem>, burst: &mut Vec<Frame<'mem>>, limit: usize) -> io::Result<()> {
        let mut state = self.0.state();
        if let Some(kind) = state.failure {
            return Err(kind.into());
        }
        for _ in 0..limit {
            let Some(mut frame) = pool.take(HEADROOM) else { break };
            match state.receive(&mut frame) {
                true if !frame.is_empty() => burst.push(frame),
                true => pool.put(frame),
                false => {
                    pool.put(frame);
                    break;
                }
            }
        }
        Ok(())
    }

    fn tx_burst(&mut self, pool: &mut Pool<'mem>, frames: &mut Vec<Frame<'mem>>) -> Sent {
        let mut state = self.0.state();
        let before = state.sent;
        let room = state.room.unwrap_or(usize::MAX);
        for (at, frame) in frames.drain(..).enumerate() {
            match state.failure {
                Some(_) => state.sent.down += 1,
                None if at >= room => state.sent.busy += 1,
                None => state.send(&frame),
            }
            pool.put(frame);
        }
        state.sent.since(before)
    }

    fn caps(&self) -> Caps {
        self.0.state().caps
    }

    fn kernel_drops(&mut self) -> u64 {
        self.0.state().lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use transload_encaps::GsoKind;

    fn arena(chunks: usize) -> Vec<u8> {
        vec![0; chunks * 2048]
    }

    #[test]
    fn what_is_injected_arrives_and_what_is_sent_is_collected() {
        let mut arena = arena(4);
        let mut pool = Pool::new(&mut arena, 2048);
        let (mut port, handle) = MemoryPort::new();
        let packet = Packet {
            bytes: vec![7; 100],
            checksum: Checksum::Partial { start: 34, offset: 16 },
            gso: Some(Gso { kind: GsoKind::Tcp4, size: 20 }),
            cut: false,
        };
        handle.inject(packet.clone());
        handle.inject(vec![8; 60]);

        let mut burst = Vec::new();
        port.rx_burst(&mut pool, &mut burst, 64).unwrap();
        assert_eq!(burst.iter().map(Frame::len).collect::<Vec<_>>(), [100, 60]);
        assert_eq!(burst[0].headroom(), HEADROOM);
        assert_eq!(burst[0].meta.checksum, Checksum::Partial { start: HEADROOM as u32 + 34, offset: 16 });

        let sent = port.tx_burst(&mut pool, &mut burst);
        assert_eq!((sent.frames, sent.bytes), (2, 160));
        assert_eq!(handle.collect(), [packet, vec![8; 60].into()]);
        assert_eq!(pool.free(), 4);
    }

    #[test]
    fn a_failing_port_says_so_and_keeps_no_chunk() {
        let mut arena = arena(2);
        let mut pool = Pool::new(&mut arena, 2048);
        let (mut port, handle) = MemoryPort::new();
        handle.inject(vec![1; 60]);
        let mut burst = Vec::new();
        port.rx_burst(&mut pool, &mut burst, 64).unwrap();

        handle.fail(Some(io::ErrorKind::NotFound));
        assert_eq!(port.rx_burst(&mut pool, &mut Vec::new(), 64).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(port.tx_burst(&mut pool, &mut burst), Sent { down: 1, ..Sent::default() });
        assert_eq!(pool.free(), 2);
    }

    #[test]
    fn a_burst_ends_with_the_pool_and_loses_nothing() {
        let mut arena = arena(2);
        let mut pool = Pool::new(&mut arena, 2048);
        let (mut port, handle) = MemoryPort::new();
        (0..5).for_each(|n| handle.inject(vec![n; 60]));
        let mut burst = Vec::new();
        port.rx_burst(&mut pool, &mut burst, 64).unwrap();
        assert_eq!((burst.len(), handle.waiting()), (2, 3));
    }

    #[test]
    fn a_port_without_room_is_busy() {
        let mut arena = arena(3);
        let mut pool = Pool::new(&mut arena, 2048);
        let (mut port, handle) = MemoryPort::new();
        handle.inject_endlessly(vec![vec![1; 60].into()]);
        handle.set_room(Some(1));
        let mut burst = Vec::new();
        port.rx_burst(&mut pool, &mut burst, 3).unwrap();
        let sent = port.tx_burst(&mut pool, &mut burst);
        assert_eq!((sent.frames, sent.busy, pool.free()), (1, 2, 3));
    }

    #[test]
    fn a_frame_longer_than_a_chunk_is_lost_and_counted() {
        let mut arena = arena(1);
        let mut pool = Pool::new(&mut arena, 2048);
        let (mut port, handle) = MemoryPort::new();
        handle.inject(vec![1; 4000]);
        let mut burst = Vec::new();
        port.rx_burst(&mut pool, &mut burst, 3).unwrap();
        assert_eq!((burst.len(), port.kernel_drops(), pool.free()), (0, 1, 1));
    }
}
