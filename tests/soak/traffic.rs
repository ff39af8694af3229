//! What a soak sends, and what must come of it: mutated frames from all sides, and numbered ones from one host to another.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pnet_datalink::{Channel, Config, DataLinkReceiver, DataLinkSender};
use transload_lab::Namespace;

use crate::wire::{self, BROADCAST, mac};

/// Frames of each kind a second.
const MUTATED: u32 = 2_000;
const NUMBERED: u32 = 500;
/// How often some of them are sent.
const TICK: Duration = Duration::from_millis(10);
/// What numbered frames begin with, behind their `EtherType`.
const MARK: &[u8] = b"numbered frame ";
const OF_TESTS: u16 = 0x88b5;

/// The hosts between which numbered frames pass.
const FROM: u8 = 0x51;
const TO: u8 = 0x52;

/// A random sequence that is the same for the same seed (xorshift64).
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % below.max(1)
    }
}

/// One end of a cable, as a socket.
pub(crate) fn end_of_cable(
    namespace: &Namespace,
    device: &str,
) -> io::Result<(Box<dyn DataLinkSender>, Box<dyn DataLinkReceiver>)> {
    namespace.enter(|| {
        let found = pnet_datalink::interfaces().into_iter().find(|interface| interface.name == device);
        let interface = found.ok_or_else(|| io::Error::other(format!("there is no {device}")))?;
        let config = Config { read_timeout: Some(Duration::from_millis(100)), ..Config::default() };
        match pnet_datalink::channel(&interface, config)? {
            Channel::Ethernet(sender, receiver) => Ok((sender, receiver)),
            _ => Err(io::Error::other(format!("{device} is no Ethernet device"))),
        }
    })
}

/// A frame on the underlay, from a peer to the gateway at this MAC address.
fn from_peer(gateway: [u8; 6], peer: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
    wire::outer((gateway, mac(9)), ([192, 0, 2, peer].into(), [192, 0, 2, 1].into()), 0, protocol, payload)
}

/// What frames are mutated from: by the tenants' port, and by that of the underlay.
fn originals(gateway: [u8; 6], dice: &mut Dice) -> (bool, Vec<u8>) {
    let to = [BROADCAST, mac(0x61), mac(0x62)][dice.roll(3)];
    let from = mac(0x61 + dice.roll(16) as u8);
    let packet = wire::ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 0, 17, &wire::udp(5, 7, &[0x5a; 80]));
    let inner = wire::ethernet(to, from, wire::IPV4, &packet);
    let vxlan = |vni| wire::udp(5, 4789, &wire::vxlan(vni, &inner));
    match dice.roll(8) {
        0 => (true, from_peer(gateway, 2, 17, &vxlan(0x0505))),
        1 => (true, from_peer(gateway, 3, 47, &wire::nvgre(0x1005, 5, &inner))),
        2 => (true, from_peer(gateway, 4, 47, &wire::gre(Some(7), &inner))),
        3 => (true, from_peer(gateway, 2, 17, &vxlan(0x0707))),
        4 => (true, from_peer(gateway, 77, 17, &vxlan(0x0505))),
        5 => (false, wire::tag(&wire::tag(&inner, 0x8100, 7), 0x88a8, 0x600)),
        6 => (true, wire::ethernet(BROADCAST, from, wire::ARP, &[0; 46])),
        _ => (false, wire::tag(&inner, 0x88a8, 0x600)),
    }
}

/// A frame as a broken or hostile sender would have it, and whether it comes by the underlay.
fn mutated(gateway: [u8; 6], dice: &mut Dice) -> (bool, Vec<u8>) {
    let (by_underlay, mut frame) = originals(gateway, dice);
    for _ in 0..dice.roll(6) {
        let at = dice.roll(frame.len());
        match dice.roll(5) {
            0 => frame[at] ^= 1 << dice.roll(8),
            1 => frame[at] = dice.roll(256) as u8,
            2 => frame.truncate(at.max(15)),
            3 => frame.extend((0..dice.roll(64)).map(|n| n as u8)),
            _ => {
                // A header once more.
                let piece = frame[at..(at + 16).min(frame.len())].to_vec();
                frame.splice(at..at, piece);
            }
        }
    }
    (by_underlay, frame)
}

fn numbered(number: u64) -> Vec<u8> {
    let payload = [MARK, &number.to_be_bytes(), &[0; 24]].concat();
    wire::tag(&wire::ethernet(mac(TO), mac(FROM), OF_TESTS, &payload), 0x88a8, 5)
}

/// What the host that numbered frames are for says, so that the gateway knows where it is.
pub(crate) fn introduction(gateway: [u8; 6]) -> Vec<u8> {
    let hello = wire::ethernet(BROADCAST, mac(TO), OF_TESTS, &[0; 46]);
    from_peer(gateway, 2, 17, &wire::udp(5, 4789, &wire::vxlan(100, &hello)))
}

/// The number that a packet carries.
fn number_in(packet: &[u8]) -> Option<u64> {
    let at = packet.windows(MARK.len()).position(|window| window == MARK)? + MARK.len();
    Some(u64::from_be_bytes(*packet.get(at..)?.first_chunk()?))
}

/// What was sent, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// Mutated frames that were sent.
    pub(crate) mutated: AtomicU64,
    /// Numbered frames that were sent.
    pub(crate) numbered: AtomicU64,
    /// Numbered frames that arrived.
    pub(crate) arrived: AtomicU64,
    /// Numbered frames that arrived after a later one, or twice.
    pub(crate) out_of_order: AtomicU64,
    /// Nothing is sent for now.
    pub(crate) is_paused: AtomicBool,
    /// All is over.
    pub(crate) is_over: AtomicBool,
}

impl Flow {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Sends at the rates above until it is over.
    pub(crate) fn send(
        &self,
        gateway: [u8; 6],
        mut dice: Dice,
        underlay: &mut dyn DataLinkSender,
        tenants: &mut dyn DataLinkSender,
    ) {
        let (mut due, per_tick) = (Instant::now(), 1000 / TICK.as_millis() as u32);
        while !self.is_over() {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            // A sender that was kept waiting does not make up for it by a burst.
            due = due.max(Instant::now().checked_sub(3 * TICK).unwrap_or(due)) + TICK;
            if self.is_paused.load(Ordering::Relaxed) {
                continue;
            }
            for _ in 0..MUTATED / per_tick {
                let (by_underlay, frame) = mutated(gateway, &mut dice);
                let sender: &mut dyn DataLinkSender = if by_underlay { underlay } else { tenants };
                // Some are longer than what the device takes.
                let sent = sender.send_to(&frame, None).is_some_and(|sent| sent.is_ok());
                self.mutated.fetch_add(u64::from(sent), Ordering::Relaxed);
            }
            for _ in 0..NUMBERED / per_tick {
                let number = self.numbered.load(Ordering::Relaxed);
                let sent = tenants.send_to(&numbered(number), None).is_some_and(|sent| sent.is_ok());
                self.numbered.store(number + u64::from(sent), Ordering::Relaxed);
            }
        }
    }

    /// Receives numbered frames until it is over.
    pub(crate) fn receive(&self, receiver: &mut dyn DataLinkReceiver) {
        let mut next = 0;
        while !self.is_over() {
            let Some(number) = receiver.next().ok().and_then(number_in) else { continue };
            self.arrived.fetch_add(1, Ordering::Relaxed);
            self.out_of_order.fetch_add(u64::from(number < next), Ordering::Relaxed);
            next = next.max(number + 1);
        }
    }
}
