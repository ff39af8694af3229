//! A gateway whose two ports make and swallow frames, and the same ports without a gateway between them: the
//! difference is what the gateway costs.
//!
//! Sources live on one side, destinations on the other; every frame goes from the next source to the next
//! destination, in an order no cache can guess.

use std::hint::black_box;
use std::io;
use std::sync::Arc;

use transload::compile::{self, Numbers, Plan};
use transload::config;
use transload::counters::{Counter, Counters};
use transload::dataplane::{Burst, Now, Shared, Worker};
use transload::events;
use transload::forwarding::{DomainId, PortId, Target};
use transload::io::{BoxedPort, Pool, Port, Sent};
use transload::offline;
use transload_encaps::{DropReason, Frame, HEADROOM, Mac};

const CHUNK: usize = 2048 + 64;
const CHUNKS: usize = 512;
pub(crate) const TICK: Now = Now { nanos: 5_000_000_000 };

const YAML: &str = r#"
version: 1
ports:
  up:     { device: up, mac: "02:aa:00:00:00:01", next_hops: {
            192.0.2.9: "02:bb:00:00:00:01", 192.0.2.10: "02:bb:00:00:00:02", 192.0.2.77: "02:bb:00:00:00:01",
            192.0.2.99: "02:bb:00:00:00:01" } }
  access: { device: access }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
peers:
  vxlan: { address: 192.0.2.9,  encap: vxlan }
  leaf:  { address: 192.0.2.10, encap: vxlan }
  nvgre: { address: 192.0.2.77, encap: nvgre }
  gre:   { address: 192.0.2.99, encap: gre }
tenants:
  vxlan-vxlan: { attachments: { in: { peer: vxlan, vni: 4 }, out: { peer: leaf, vni: 5 } } }
  vxlan-nvgre: { attachments: { in: { peer: vxlan, vni: 1 }, out: { peer: nvgre, vsid: 5001 } } }
  qinq-vxlan:  { attachments: { in: { port: access, s_vid: 100, c_vid: 7 }, out: { peer: vxlan, vni: 2 } } }
  vxlan-qinq:  { attachments: { in: { peer: vxlan, vni: 6 }, out: { port: access, s_vid: 100, c_vid: 8 } } }
  gre-vxlan:   { attachments: { in: { peer: gre, key: 3 }, out: { peer: vxlan, vni: 3 } } }
"#;

/// What goes in: a frame whose inner addresses are patched for every copy.
struct Generator {
    template: Vec<u8>,
    /// Where the inner destination MAC is.
    inner_at: usize,
    sources: u64,
    destinations: u64,
    turn: u64,
}

impl Generator {
    /// A random one of this many MACs.
    fn next_mac(&mut self, side: u8, of: u64) -> [u8; 6] {
        self.turn = self.turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        mac(side, ((self.turn >> 32) * of) >> 32)
    }
}

fn mac(side: u8, number: u64) -> [u8; 6] {
    let [.., a, b, c, d] = number.to_be_bytes();
    [2, side, a, b, c, d]
}

impl<'mem> Port<'mem> for Generator {
    fn rx_burst(&mut self, pool: &mut Pool<'mem>, burst: &mut Vec<Frame<'mem>>, limit: usize) -> io::Result<()> {
        for _ in 0..limit {
            let Some(mut frame) = pool.take(HEADROOM) else { break };
            black_box(frame.fill(HEADROOM, &self.template));
            let (destination, source) = (self.next_mac(2, self.destinations), self.next_mac(1, self.sources));
            let addresses = &mut frame.bytes_mut()[self.inner_at..self.inner_at + 12];
            addresses[..6].copy_from_slice(&destination);
            addresses[6..].copy_from_slice(&source);
            burst.push(frame);
        }
        Ok(())
    }

    fn tx_burst(&mut self, pool: &mut Pool<'mem>, frames: &mut Vec<Frame<'mem>>) -> Sent {
        swallow(pool, frames)
    }
}

/// A port where nothing arrives.
struct Sink;

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

fn plan() -> Plan {
    let config = config::parse("bench.yaml", YAML).expect("the bench's configuration");
    compile::compile(&config, &Numbers::default(), None).expect("the bench's configuration")
}

/// The tenant's frame of this length, its addresses to be patched.
fn inner(len: usize) -> Vec<u8> {
    let mut frame = vec![0; len];
    frame[12..14].copy_from_slice(&[8, 0]);
    let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    ip[2..4].copy_from_slice(&((len - 14) as u16).to_be_bytes());
    frame[14..34].copy_from_slice(&ip);
    frame
}

fn in_ip(peer: u8, protocol: u8, carried: &[u8]) -> (Vec<u8>, usize) {
    let mut packet = vec![2, 0xaa, 0, 0, 0, 1, 2, 0xbb, 0, 0, 0, 1, 8, 0];
    let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0, 192, 0, 2, peer, 192, 0, 2, 1];
    ip[2..4].copy_from_slice(&(20 + carried.len() as u16).to_be_bytes());
    let sum = transload_encaps::checksum::of(&ip).to_be_bytes();
    ip[10..12].copy_from_slice(&sum);
    packet.extend(ip);
    let header_len = if protocol == 17 { 16 } else { 8 };
    packet.extend(carried);
    (packet, 34 + header_len)
}

/// The frame that arrives, where its inner addresses are, and the port.
fn arriving(tenant: &str, len: usize) -> (Vec<u8>, usize, &'static str) {
    let inner = inner(len);
    match tenant {
        "vxlan-nvgre" | "vxlan-vxlan" | "vxlan-qinq" => {
            let vni = match tenant {
                "vxlan-nvgre" => 1,
                "vxlan-vxlan" => 4,
                _ => 6,
            };
            let udp = [0xc0, 0, 0x12, 0xb5, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, vni, 0];
            let mut carried = [&udp[..], &inner].concat();
            carried[4..6].copy_from_slice(&(16 + len as u16).to_be_bytes());
            let (packet, at) = in_ip(9, 17, &carried);
            (packet, at, "up")
        }
        "gre-vxlan" => {
            let (packet, at) = in_ip(99, 47, &[&[0x20, 0, 0x65, 0x58, 0, 0, 0, 3][..], &inner].concat());
            (packet, at, "up")
        }
        _ => {
            let tags = [0x88, 0xa8, 0, 100, 0x81, 0, 0, 7];
            ([&inner[..12], &tags, &inner[12..]].concat(), 0, "access")
        }
    }
}

fn learn_all(shared: &Shared, domain: DomainId, case: &Case) {
    let tables = shared.forwarding.load();
    let attachments = &tables.domain(domain).expect("the tenant").attachments;
    for (side, (id, attachment)) in attachments.iter().enumerate() {
        let peer = tables.members(&attachment.members)[0];
        for number in 0..[case.sources, case.destinations][side] {
            let key = shared.fdb.key(domain, Mac(mac(side as u8 + 1, number)));
            shared.fdb.learn(key, Target { attachment: id, peer }, TICK.tick(), || true);
        }
    }
}

/// One kind of traffic: the tenant it belongs to, how long its frames are inside, and how many MACs there are on
/// either side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) tenant: &'static str,
    pub(crate) len: usize,
    pub(crate) sources: u64,
    pub(crate) destinations: u64,
}

/// The tenants that are measured, named after what they translate from and to.
pub(crate) const TENANTS: [&str; 5] = ["vxlan-vxlan", "vxlan-nvgre", "vxlan-qinq", "qinq-vxlan", "gre-vxlan"];

impl Case {
    fn generator(&self) -> (Generator, &'static str) {
        let (template, inner_at, port) = arriving(self.tenant, self.len);
        let Self { sources, destinations, .. } = *self;
        (Generator { template, inner_at, sources, destinations, turn: 1 }, port)
    }
}

/// What workers of the case's gateway share, every MAC known.
pub(crate) struct Gateway {
    shared: Arc<Shared>,
    counters: Vec<Arc<Counters>>,
    /// The ports' names, in the order of their numbers.
    ports: Vec<(PortId, String)>,
    case: Case,
}

impl Gateway {
    pub(crate) fn new(case: Case, workers: usize) -> Self {
        let mut plan = plan();
        plan.settings.fdb_capacity = 2_000_001;
        let domain = plan.names.domain_id(case.tenant).expect("the tenant");
        let ports = plan.ports.iter().map(|plan| (plan.id, plan.name.clone())).collect();
        let (rib, _) = offline::rib(plan, workers);
        let (shared, counters) = (Arc::clone(rib.shared()), rib.counters().to_vec());
        learn_all(&shared, domain, &case);
        Self { shared, counters, ports, case }
    }

    /// Hands `measure` a worker at whose port the case's frames arrive without end.
    pub(crate) fn with_worker<R>(&self, number: usize, measure: impl FnOnce(&mut Worker<'_>) -> R) -> R {
        let mut arena = vec![0; CHUNK * CHUNKS];
        let ports = self.ports.iter().map(|(id, name)| {
            let (generator, port) = self.case.generator();
            let io: BoxedPort<'_> = if name == port { Box::new(generator) } else { Box::new(Sink) };
            (*id, io)
        });
        let ports: Vec<(PortId, BoxedPort<'_>)> = ports.collect();
        let pool = Pool::new(&mut arena, CHUNK);
        let (sender, _receiver) = events::ring(1024);
        let counters = &self.counters[number];
        let mut worker = Worker::new(self.shared.clone(), pool, ports, counters.clone(), sender);
        let result = measure(&mut worker);
        let drops: u64 = DropReason::all().filter_map(|reason| counters.drops(reason)).map(Counter::get).sum();
        assert_eq!(drops, 0, "the frames that are measured must all be carried");
        result
    }
}

/// The case's generator and a sink, with no gateway between them.
pub(crate) fn with_ports_alone<R>(case: &Case, measure: impl FnOnce(&mut dyn FnMut()) -> R) -> R {
    let mut arena = vec![0; CHUNK * CHUNKS];
    let mut pool = Pool::new(&mut arena, CHUNK);
    let mut ports: [BoxedPort<'_>; 2] = [Box::new(case.generator().0), Box::new(Sink)];
    let mut frames = Vec::with_capacity(Burst::LEN);
    measure(&mut || {
        for port in &mut ports {
            port.rx_burst(&mut pool, &mut frames, Burst::LEN).expect("it makes frames of nothing");
        }
        ports[1].tx_burst(&mut pool, &mut frames);
    })
}
