//! A port with its own pool, and the frames the tests send.

use std::time::{Duration, Instant};

use transload::io::memory::Packet;
use transload::io::{Backend, Opened, Pool, Port, Sent, open};
use transload_encaps::{Frame, HEADROOM};
use transload_lab::PATIENCE;

/// Long enough for a super-frame with everything in front of it.
pub(crate) const CHUNK: usize = 70_000;

/// Memory for a pool, for as long as the test runs.
pub(crate) fn arena(chunks: usize) -> &'static mut [u8] {
    Box::leak(vec![0; chunks * CHUNK].into_boxed_slice())
}

/// A port and a pool.
pub(crate) struct Wire {
    pub(crate) port: Box<dyn Port<'static>>,
    pub(crate) pool: Pool<'static>,
}

impl Wire {
    pub(crate) fn new(port: Box<dyn Port<'static>>) -> Self {
        Self { port, pool: Pool::new(arena(256), CHUNK) }
    }

    /// Packet sockets on a device, one per worker.
    pub(crate) fn open_all(device: &str, workers: usize) -> Vec<Self> {
        let opened: Opened<'static> =
            open("test", &Backend::AfPacket { device: device.into() }, workers, None).expect("opens");
        opened.ports.into_iter().map(Self::new).collect()
    }

    /// A packet socket on a device.
    pub(crate) fn open(device: &str) -> Self {
        Self::open_all(device, 1).remove(0)
    }

    /// What has arrived by now. A chunk's place and a tag's are forgotten, what is known of the frame is not.
    pub(crate) fn receive(&mut self) -> Vec<Packet> {
        let mut burst = Vec::new();
        self.port.rx_burst(&mut self.pool, &mut burst, 128).expect("the port works");
        let packets = burst.iter().map(Packet::from).collect();
        for frame in burst {
            self.pool.put(frame);
        }
        packets
    }

    /// Waits for this many frames that the test is interested in.
    pub(crate) fn wait(&mut self, count: usize, wanted: impl Fn(&Packet) -> bool) -> Vec<Packet> {
        let deadline = Instant::now() + PATIENCE;
        let mut found = Vec::new();
        while found.len() < count && Instant::now() < deadline {
            found.extend(self.receive().into_iter().filter(&wanted));
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(found.len(), count, "as many frames as expected");
        found
    }

    pub(crate) fn send(&mut self, packets: &[Packet]) -> Sent {
        let mut frames: Vec<Frame<'static>> = Vec::new();
        for packet in packets {
            let mut frame = self.pool.take(HEADROOM).expect("a chunk");
            assert!(packet.load(&mut frame));
            frames.push(frame);
        }
        self.port.tx_burst(&mut self.pool, &mut frames)
    }
}

/// Whether the frame is the test's own, not the kernel's chatter: the source address `frame` writes.
pub(crate) fn ours(packet: &Packet) -> bool {
    packet.bytes.get(6..12) == Some(&[2, 0, 0, 0, 0, 0xaa])
}

/// An Ethernet frame from the tests' address to nobody on the machine.
pub(crate) fn frame(ether_type_and_on: &[u8]) -> Packet {
    let mut bytes = vec![2, 0, 0, 0, 0, 0xbb, 2, 0, 0, 0, 0, 0xaa];
    bytes.extend(ether_type_and_on);
    bytes.resize(bytes.len().max(60), 0);
    bytes.into()
}
