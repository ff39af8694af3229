//! The data path does not allocate: a counting allocator watches whole breaths of every kind of traffic.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use common::Lab;
use common::wire::{self, BROADCAST, mac};
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
ports:
  up:     { device: up }
  access: { device: access, mtu: 1500 }
endpoints:
  v4: { address: 192.0.2.1, ports: [up] }
  v6: { address: "2001:db8::1", ports: [up] }
peers:
  vxlan:  { address: 192.0.2.9,  encap: vxlan }
  vxlan6: { address: "2001:db8::9",  encap: vxlan }
  nvgre:  { address: 192.0.2.77, encap: nvgre }
  gre:    { address: 192.0.2.99, encap: { gre: { checksum: true, sequence: true } } }
tenants:
  a:
    limits: { bum: 1000000 }
    mss_clamp: true
    attachments:
      v:  { peer: vxlan, vni: 1 }
      v6: { peer: vxlan6, vni: 1 }
      n:  { peer: nvgre, vsid: 5000 }
      g:  { peer: gre, key: 1 }
      p:  { port: access, s_vid: 1, c_vid: 1 }
"#;

/// One test for all traffic, since the counter is everybody's.
#[test]
fn no_breath_allocates() {
    let mut lab = Lab::new(YAML);
    let tagged = |frame: &[u8]| wire::tag(&wire::tag(frame, 0x8100, 1), 0x88a8, 1);
    let mut frames = vec![vec![0; 20], wire::tenant_frame(BROADCAST, mac(1), 0)];
    for host in 1..60 {
        frames.push(tagged(&wire::tenant_frame(BROADCAST, mac(host), 0)));
        frames.push(tagged(&wire::tenant_frame(mac(host + 1), mac(host), 0)));
        let ends = ("192.0.2.9".parse().unwrap(), "192.0.2.1".parse().unwrap());
        let packet = wire::udp(5, 4789, &wire::vxlan(1, &wire::tenant_frame(mac(host), mac(100 + host), 0)));
        frames.push(wire::outer((mac(1), mac(2)), ends, 0, 17, &packet));
        let big = wire::ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 0, 17, &[0; 1600]);
        let big = wire::ethernet(mac(host), mac(100 + host), wire::IPV4, &big);
        frames.push(wire::outer((mac(1), mac(2)), ends, 0, 17, &wire::udp(5, 4789, &wire::vxlan(1, &big))));
    }
    let ports = [lab.port("up"), lab.port("access")].map(|id| lab.gateway.port(id).unwrap().clone());
    for port in &ports {
        port.forget_sent(true);
        for frame in &frames {
            port.inject(frame.clone());
        }
    }
    let super_frame = super_frame();
    for _ in 0..3 {
        ports[1].inject(super_frame.clone());
    }

    // A breath whose every table and path has been used before, and one where nothing was.
    for _ in 0..2 {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        lab.clock += 1_000_000_000;
        lab.gateway.breathe(lab.clock);
        assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0);
    }
    while lab.gateway.breathe(lab.clock) > 0 {}
    assert!(ports[0].sent().frames > 200, "the traffic was carried: {:?}", ports[0].sent());
    assert!(lab.gateway.is_whole());
    let domain = lab.gateway.counters().domain(transload::forwarding::DomainId::new(0)).unwrap();
    assert!(domain.too_big_answers.get() > 0, "and hosts were told");
}

/// 20 KB of TCP in one frame, behind the tags of the tenant.
fn super_frame() -> transload::io::memory::Packet {
    let mut tcp = vec![0; 20 + 20_000];
    tcp[12] = 0x50;
    let packet = wire::ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 0, 6, &tcp);
    let frame = wire::ethernet(BROADCAST, mac(1), wire::IPV4, &packet);
    let bytes = wire::tag(&wire::tag(&frame, 0x8100, 1), 0x88a8, 1);
    let checksum = Checksum::Partial { start: 42, offset: 16 };
    transload::io::memory::Packet { bytes, checksum, gso: Some(Gso { kind: GsoKind::Tcp4, size: 1000 }), cut: false }
}
