//! Numbered frames in both directions through a gateway, a thousand a second each: `QinQ` to NVGRE and NVGRE to `QinQ`.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pnet_datalink::{Channel, Config, DataLinkReceiver, DataLinkSender, channel, interfaces};
use transload_lab::{Host, Namespace};

use super::wire;

const PAUSE: Duration = Duration::from_millis(1);
/// Before and after what is done under load.
const MARGIN: Duration = Duration::from_millis(300);
/// What is on its way arrives within this time.
const LATEST: Duration = Duration::from_secs(1);
/// Frames lost in the best exchange of one gateway for another, in 20 ms: the best, since a busy machine delays some.
pub(crate) const MOST_LOST: usize = 20;
/// How many exchanges there are at most for that.
pub(crate) const EXCHANGES: usize = 6;
/// An Ethernet type for experiments.
const NUMBERED: u16 = 0x88b5;
const S_VID: u16 = 100;
const VSID: u32 = 5100;

/// The gateway's file: a tenant behind `QinQ` and behind NVGRE.
pub(crate) const FILE: &str = "
version: 1
ports:
  up: { device: up1, io: af_packet }
  ce: { device: ce1, io: af_packet }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
peers:
  hyperv: { address: 192.0.2.2, encap: nvgre }
tenants:
  blue:
    unknown_unicast: drop
    attachments:
      hyperv: { peer: hyperv, vsid: 5100 }
      ce: { port: ce, s_vid: 100 }
";

/// A namespace with what the file asks for.
pub(crate) fn furnished() -> Namespace {
    let namespace = Namespace::new().unwrap();
    for name in ["up1", "ce1"] {
        let cable = format!("ip link add {name} type veth peer name {name}-far; ip link set {name} up");
        namespace.sh(&format!("{cable}; ip link set {name}-far up")).unwrap();
    }
    namespace.sh("ip addr add 192.0.2.1/24 dev up1; ip neigh add 192.0.2.2 lladdr 02:00:00:00:02:02 dev up1").unwrap();
    namespace
}

/// What became of the frames.
#[derive(Debug)]
pub(crate) struct Lost {
    /// Sent in each direction, the lesser of the two.
    pub sent: usize,
    /// Lost from `QinQ` to NVGRE.
    pub out: usize,
    /// Lost from NVGRE to `QinQ`.
    pub back: usize,
    /// Arrived more than once.
    pub doubled: usize,
}

/// The two ends of the wires to a gateway.
pub(crate) struct Load {
    access: (Box<dyn DataLinkSender>, Box<dyn DataLinkReceiver>),
    underlay: (Box<dyn DataLinkSender>, Box<dyn DataLinkReceiver>),
    gateway: [u8; 6],
}

impl Load {
    pub(crate) fn new(namespace: &Namespace) -> Self {
        let ends = namespace.enter(|| {
            let up = interfaces().into_iter().find(|found| found.name == "up1").and_then(|found| found.mac);
            Ok((open("ce1-far")?, open("up1-far")?, up.unwrap().octets()))
        });
        let (access, underlay, gateway) = ends.unwrap();
        Self { access, underlay, gateway }
    }

    /// A host on either side, and one more behind `QinQ`, says something once.
    pub(crate) fn introduce(&mut self) {
        for host in [1, 7] {
            self.access.0.send_to(&tagged(&frame([0xff; 6], wire::mac(host), 0)), None).unwrap().unwrap();
        }
        self.underlay.0.send_to(&tunnelled(self.gateway, &frame([0xff; 6], wire::mac(2), 0)), None).unwrap().unwrap();
    }

    /// Sends while this is done, which must lose nothing; several times, if the test itself misses some on a busy machine.
    pub(crate) fn loses_nothing(&mut self, what: &str, work: impl Fn()) {
        let mut all = Vec::new();
        for _ in 0..EXCHANGES {
            let lost = self.during(&work);
            assert_eq!(lost.doubled, 0, "{what}: {lost:?}");
            if (lost.out, lost.back) == (0, 0) {
                return;
            }
            all.push(lost);
        }
        panic!("{what} loses frames each time: {all:?}");
    }

    /// Sends while this is done.
    pub(crate) fn during(&mut self, work: impl FnOnce()) -> Lost {
        let is_over = &AtomicBool::new(false);
        let ((access_out, access_in), (underlay_out, underlay_in)) = (&mut self.access, &mut self.underlay);
        let gateway = self.gateway;
        thread::scope(|scope| {
            let out = scope.spawn(|| send(access_out, is_over, |n| tagged(&frame(wire::mac(2), wire::mac(1), n))));
            let back = scope
                .spawn(|| send(underlay_out, is_over, |n| tunnelled(gateway, &frame(wire::mac(1), wire::mac(2), n))));
            let heard_out = scope.spawn(|| receive(underlay_in, is_over, &frame(wire::mac(2), wire::mac(1), 0)[..12]));
            let heard_back = scope.spawn(|| receive(access_in, is_over, &frame(wire::mac(1), wire::mac(2), 0)[..12]));
            thread::sleep(MARGIN);
            work();
            thread::sleep(MARGIN);
            is_over.store(true, Ordering::Relaxed);
            let (out, back) = (out.join().unwrap(), back.join().unwrap());
            let (heard_out, heard_back) = (heard_out.join().unwrap(), heard_back.join().unwrap());
            let doubled = heard_out.values().chain(heard_back.values()).filter(|times| **times > 1).count();
            Lost { sent: out.min(back), out: out - heard_out.len(), back: back - heard_back.len(), doubled }
        })
    }
}

fn open(device: &str) -> io::Result<(Box<dyn DataLinkSender>, Box<dyn DataLinkReceiver>)> {
    let found = interfaces().into_iter().find(|found| found.name == device).ok_or(io::ErrorKind::NotFound)?;
    match channel(&found, Config { read_timeout: Some(Duration::from_millis(100)), ..Config::default() })? {
        Channel::Ethernet(sender, receiver) => Ok((sender, receiver)),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn frame(to: [u8; 6], from: [u8; 6], n: u32) -> Vec<u8> {
    wire::ethernet(to, from, NUMBERED, &[&n.to_be_bytes()[..], &[0; 42]].concat())
}

fn tagged(frame: &[u8]) -> Vec<u8> {
    wire::tag(frame, 0x88a8, S_VID)
}

fn tunnelled(gateway: [u8; 6], frame: &[u8]) -> Vec<u8> {
    let ends = (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    wire::outer((gateway, [2, 0, 0, 0, 2, 2]), ends, 0, 47, &wire::nvgre(VSID, 0, frame))
}

/// How many were sent.
fn send(to: &mut Box<dyn DataLinkSender>, is_over: &AtomicBool, frame: impl Fn(u32) -> Vec<u8>) -> usize {
    let mut n = 0;
    while !is_over.load(Ordering::Relaxed) {
        n += 1;
        to.send_to(&frame(n), None).unwrap().unwrap();
        thread::sleep(PAUSE);
    }
    n as usize
}

/// How often each number arrived, in frames with these addresses.
fn receive(from: &mut Box<dyn DataLinkReceiver>, is_over: &AtomicBool, link: &[u8]) -> BTreeMap<[u8; 4], usize> {
    let mut times = BTreeMap::new();
    let mut last = Instant::now();
    while !is_over.load(Ordering::Relaxed) || last.elapsed() < LATEST {
        let Ok(bytes) = from.next() else { continue };
        // Behind an outer header; the kernel has taken an outer tag off.
        for start in [0, 42] {
            if let Some([to @ .., _, _, a, b, c, d]) = bytes.get(start..start + 18)
                && to == link
            {
                *times.entry([*a, *b, *c, *d]).or_default() += 1;
                last = Instant::now();
            }
        }
    }
    times
}
