//! The data path does not allocate: a counting allocator watches whole breaths of every kind of traffic, by fast paths and
//! without.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use common::twin::Twin;
use common::twins::{Arenas, Twins};
use common::wire::{self, BROADCAST, mac};
use transload::forwarding::DomainId;
use transload::io::memory::Packet;
use transload_encaps::{Checksum, Gso, GsoKind};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const YAML: &str = r#"
version: 1
fdb: { capacity: 10000 }
ports:
  up:     { device: up }
  north:  { device: north }
  access: { device: access, mtu: 1500 }
  trunk:  { device: trunk }
endpoints:
  v4:   { address: 192.0.2.1, ports: [up] }
  v6:   { address: "2001:db8::1", ports: [up] }
  wide: { address: 192.0.2.5, ports: [up, north] }
peers:
  vxlan:  { address: 192.0.2.9, endpoint: v4, encap: vxlan }
  vxlan6: { address: "2001:db8::9",  encap: vxlan }
  nvgre:  { address: 192.0.2.77, endpoint: v4, encap: nvgre }
  nvgre6: { address: "2001:db8::77", encap: nvgre }
  gre:    { address: 192.0.2.99, endpoint: v4, encap: { gre: { checksum: true, sequence: true } } }
  wide:   { address: 192.0.2.50, endpoint: wide, encap: vxlan, udp_checksum: { tx: compute } }
groups:
  many:  { endpoint: v4, encap: vxlan, members: [10.1.0.1-10.1.1.44], learn_from: 10.2.0.0/24 }
  many6: { endpoint: v6, encap: vxlan, members: ["2001:db8:1::1-2001:db8:1::64"], bum: "ff05::1" }
mappings:
  leased: { from: { peer: vxlan, vni: 0x1000-0x1fff }, to: { port: trunk, s_vid: 1, c_vid: "id[11:0]" } }
tenants:
  a:
    limits: { bum: 1000000 }
    mss_clamp: true
    attachments:
      v:  { peer: vxlan, vni: 1 }
      v6: { peer: vxlan6, vni: 1 }
      n:  { peer: nvgre, vsid: 5000 }
      n6: { peer: nvgre6, vsid: 5000 }
      g:  { peer: gre, key: 1 }
      w:  { peer: wide, vni: 1 }
      p:  { port: access, s_vid: 1, c_vid: 1 }
  b:
    limits: { bum: 1000000 }
    attachments:
      many:  { group: many, vni: 2 }
      many6: { group: many6, vni: 2 }
      w:     { peer: wide, vni: 2 }
      p:     { port: access, s_vid: 2 }
"#;

/// A frame on the wire of a port.
type Wire = (&'static str, Packet);

const HOSTS: u8 = 60;

/// One test for all traffic, since the counter is everybody's.
#[test]
fn no_breath_allocates() {
    let mut arenas = Arenas::new(512, 24_576);
    let mut twins = Twins::new(YAML, &mut arenas);
    for port in ["up", "north", "access", "trunk"] {
        let id = twins.port(port);
        twins.change(|twin| twin.port(id).forget_sent(true));
    }
    let frames = frames();
    // When nothing is known, and when everything is.
    for _ in 0..2 {
        for (port, packet) in &frames {
            let id = twins.port(port);
            twins.change(|twin| twin.port(id).inject(packet.clone()));
        }
        twins.clock += 1_000_000_000;
        let clock = twins.clock;
        for twin in [&mut twins.fast, &mut twins.full] {
            while breathe(twin, clock) > 0 {
                twin.hear();
            }
        }
        twins.breathe();
    }
    assert_eq!(twins.same().map(drop), Ok(()));
    let [up, north] = ["up", "north"].map(|port| twins.fast.port(twins.port(port)).sent().frames);
    assert!(up > 2_000 && north > 100, "the traffic was carried: {up} frames, and {north}");
    assert_eq!(twins.fast.worker.free_chunks(), 512);
    let domain = twins.fast.worker.counters().domain(DomainId::new(0)).unwrap();
    assert!(domain.too_big_answers.get() > 0, "and hosts were told");
}

/// One breath, of which nothing is allocated.
fn breathe(twin: &mut Twin<'_>, clock: u64) -> usize {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let arrived = twin.breathe(clock);
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0);
    arrived
}

/// An outer packet of either family.
fn outer(from: &str, to: &str, protocol: u8, packet: &[u8]) -> Wire {
    let ends = (from.parse().unwrap(), to.parse().unwrap());
    ("up", wire::outer((mac(1), mac(2)), ends, 0, protocol, packet).into())
}

fn vxlan(from: &str, to: &str, vni: u32, frame: &[u8]) -> Wire {
    outer(from, to, 17, &wire::udp(5, 4789, &wire::vxlan(vni, frame)))
}

fn tags(tags: &[(u16, u16)], frame: &[u8]) -> Wire {
    let tagged = |frame: Vec<u8>, &(tpid, vid): &(u16, u16)| wire::tag(&frame, tpid, vid);
    ("access", tags.iter().rev().fold(frame.to_vec(), tagged).into())
}

const A: &[(u16, u16)] = &[(0x88a8, 1), (0x8100, 1)];
const B: &[(u16, u16)] = &[(0x88a8, 2)];

fn frames() -> Vec<Wire> {
    let mut frames = vec![("up", vec![0; 20].into()), ("up", wire::tenant_frame(BROADCAST, mac(1), 0).into())];
    for host in 1..HOSTS {
        frames.push(tags(A, &wire::tenant_frame(BROADCAST, mac(host), 0)));
        frames.push(tags(A, &wire::tenant_frame(mac(host + 1), mac(host), 0)));
        frames.push(vxlan("192.0.2.9", "192.0.2.1", 1, &wire::tenant_frame(mac(host), mac(100 + host), 0)));
        let big = wire::ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 0, 17, &[0; 1600]);
        let big = wire::ethernet(mac(host), mac(100 + host), wire::IPV4, &big);
        frames.push(vxlan("192.0.2.9", "192.0.2.1", 1, &big));
    }
    frames.extend(runs());
    frames.extend(many_peers());
    frames.extend((0..3).map(|_| super_frame()));
    frames
}

/// Runs of one peer to one place, more than a burst of each: over IPv6, to several next hops, by a mapping; and floods
/// among them.
fn runs() -> Vec<Wire> {
    let said = |from: u8, to: u8| wire::tenant_frame(mac(to), mac(from), from.into());
    let home = |place: u8| [wire::tenant_frame(BROADCAST, mac(200 + place), 0), said(200 + place, 100)];
    let by: [fn(&[u8]) -> Wire; 6] = [
        |frame| vxlan("2001:db8::9", "2001:db8::1", 1, frame),
        |frame| outer("2001:db8::77", "2001:db8::1", 47, &wire::nvgre(5000, 1, frame)),
        |frame| outer("192.0.2.77", "192.0.2.1", 47, &wire::nvgre(5000, 1, frame)),
        |frame| outer("192.0.2.99", "192.0.2.1", 47, &wire::gre(Some(1), frame)),
        |frame| vxlan("192.0.2.50", "192.0.2.5", 1, frame),
        |frame| tags(A, frame),
    ];
    let mut frames = Vec::new();
    for (place, from) in (0..).zip(by) {
        frames.extend(home(place).map(|frame| from(&frame)));
        for to in 0..by.len() as u8 {
            let run = (0..20).map(|flow| from(&wire::tenant_frame(mac(200 + to), mac(200 + place), flow)));
            frames.extend(run);
        }
        frames.extend((0..70).map(|_| from(&said(200 + place, 200))));
        frames.push(from(&wire::tenant_frame(BROADCAST, mac(200 + place), 7)));
        frames.push(from(&said(200 + place, 200)));
    }
    frames.extend((0..70).map(|_| vxlan("192.0.2.9", "192.0.2.1", 0x1001, &said(1, 2))));
    frames.extend((0..9).map(|_| ("trunk", tags(&[(0x88a8, 1), (0x8100, 1)], &said(2, 1)).1)));
    frames
}

/// Members of groups in turn, each of another host, to each other's and to the next hops of equal cost; and some that
/// nobody has named.
fn many_peers() -> Vec<Wire> {
    let host = |group: u8, n: u16| [2, 0, group, 0, (n >> 8) as u8, n as u8];
    let mut frames = vec![vxlan("192.0.2.50", "192.0.2.5", 2, &wire::tenant_frame(BROADCAST, host(3, 0), 0))];
    frames.push(tags(B, &wire::tenant_frame(BROADCAST, host(4, 0), 0)));
    for n in 1..=300_u16 {
        let from = format!("10.1.{}.{}", n >> 8, n & 0xff);
        let to = [host(2, n % 100 + 1), host(3, 0), host(4, 0)][usize::from(n) % 3];
        frames.push(vxlan(&from, "192.0.2.1", 2, &wire::tenant_frame(to, host(1, n), n)));
        let from = format!("2001:db8:1::{:x}", n % 100 + 1);
        frames.push(vxlan(&from, "2001:db8::1", 2, &wire::tenant_frame(host(1, n), host(2, n % 100 + 1), n)));
    }
    for n in 1..9 {
        frames.push(vxlan(&format!("10.2.0.{n}"), "192.0.2.1", 2, &wire::tenant_frame(host(4, 0), host(5, n), n)));
    }
    frames
}

/// 20 KB of TCP in one frame, behind the tags of the tenant.
fn super_frame() -> Wire {
    let mut tcp = vec![0; 20 + 20_000];
    tcp[12] = 0x50;
    let packet = wire::ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 0, 6, &tcp);
    let frame = wire::ethernet(BROADCAST, mac(1), wire::IPV4, &packet);
    let (port, packet) = tags(A, &frame);
    let checksum = Checksum::Partial { start: 42, offset: 16 };
    (port, Packet { checksum, gso: Some(Gso { kind: GsoKind::Tcp4, size: 1000 }), ..packet })
}
