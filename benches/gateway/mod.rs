//! A gateway whose ports make and swallow frames, and the same ports without a gateway between them: the difference is
//! what the gateway costs.
//!
//! Sources live on one side, destinations on the other; every frame goes from a random source to a random destination,
//! in an order no cache can guess.

mod ports;
mod tenants;

use std::sync::Arc;

use transload::compile::{self, Numbers, Plan};
use transload::config;
use transload::counters::{Counter, Counters};
use transload::dataplane::{Burst, Now, Shared, Worker};
use transload::events;
use transload::fdb::Fdb;
use transload::forwarding::{DomainId, Forwarding, PortId, Target};
use transload::io::huge::prefer_huge_pages;
use transload::io::{BoxedPort, Pool};
use transload::offline;
use transload_encaps::DropReason;

use ports::{Generator, Sink, mac};
pub(crate) use tenants::{TENANTS, Tenant};

/// Bytes of a chunk: the shorter of the two kinds that an XDP socket has.
pub(crate) const CHUNK: usize = 2048;
const CHUNKS: usize = 512;
/// Room for a million MACs on either side, and one more.
const FDB_CAPACITY: usize = 2_000_001;
/// Bytes of a page, at whose start an XDP socket's chunks begin.
const PAGE: usize = 4096;
pub(crate) const TICK: Now = Now { nanos: 5_000_000_000 };

/// One kind of traffic: the tenant it belongs to, how long its frames are inside, how many MACs there are on either
/// side, and how long the chunks are that frames lie in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) tenant: Tenant,
    pub(crate) len: usize,
    pub(crate) sources: u64,
    pub(crate) destinations: u64,
    pub(crate) chunk: usize,
}

impl Case {
    fn generator(&self) -> (Generator, &'static str) {
        let arriving = self.tenant.arriving(self.len);
        let port = arriving.port;
        (Generator::new(arriving, self.len, self.sources, self.destinations), port)
    }

    fn plan(&self) -> Plan {
        let config = config::parse("bench.yaml", &self.tenant.yaml()).expect("the bench's configuration");
        compile::compile(&config, &Numbers::default(), None).expect("the bench's configuration")
    }

    fn arena(&self) -> Vec<u8> {
        vec![0; PAGE + self.chunk * CHUNKS]
    }

    fn pool<'mem>(&self, arena: &'mem mut [u8]) -> Pool<'mem> {
        let before = arena.as_ptr().align_offset(PAGE);
        Pool::new(&mut arena[before..][..self.chunk * CHUNKS], self.chunk)
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
        let plan = case.plan();
        let domain = plan.names.domain_id(case.tenant.name).expect("the tenant");
        let ports = plan.ports.iter().map(|plan| (plan.id, plan.name.clone())).collect();
        let (rib, _) = offline::rib(plan, workers);
        let learned = |fdb| {
            let shared = Shared::new(Forwarding::clone(&rib.shared().forwarding.load()), fdb);
            learn_all(&shared, domain, &case);
            shared
        };
        let mut shared = learned(Fdb::with_capacity(FDB_CAPACITY));
        if shared.fdb.is_spread() {
            shared = learned(huge_fdb());
        }
        Self { shared: Arc::new(shared), counters: rib.counters().to_vec(), ports, case }
    }

    /// Hands `measure` a worker at whose port the case's frames arrive without end.
    pub(crate) fn with_worker<R>(&self, number: usize, measure: impl FnOnce(&mut Worker<'_>) -> R) -> R {
        let mut arena = self.case.arena();
        let ports = self.ports.iter().map(|(id, name)| {
            let (generator, port) = self.case.generator();
            let io: BoxedPort<'_> = if name == port { Box::new(generator) } else { Box::new(Sink) };
            (*id, io)
        });
        let ports: Vec<(PortId, BoxedPort<'_>)> = ports.collect();
        let pool = self.case.pool(&mut arena);
        let (sender, mut receiver) = events::ring(1024);
        let counters = &self.counters[number];
        let mut worker = Worker::new(self.shared.clone(), pool, ports, counters.clone(), sender);
        let result = measure(&mut worker);
        let drops: u64 = DropReason::all().filter_map(|reason| counters.drops(reason)).map(Counter::get).sum();
        assert_eq!(drops, 0, "the frames that are measured must all be carried");
        assert_eq!(receiver.hear(), None, "every MAC must be known behind the peer that it sends from");
        result
    }
}

/// An FDB in huge pages. Control asks for them once MACs are everywhere in the table, and the kernel then makes them of
/// small ones in its own time, which is longer than a bench. Asked for before anything has touched the table, they are
/// what a gateway comes to that runs for long.
fn huge_fdb() -> Fdb {
    let fdb = Fdb::with_capacity(FDB_CAPACITY);
    if let Err(error) = prefer_huge_pages(fdb.memory()) {
        eprintln!("the MAC table stays in small pages: {error}");
    }
    fdb
}

/// Every host is known: those of a side are behind its peers by turns.
fn learn_all(shared: &Shared, domain: DomainId, case: &Case) {
    let tables = shared.forwarding.load();
    let attachments = &tables.domain(domain).expect("the tenant").attachments;
    for (side, (id, attachment)) in attachments.iter().enumerate() {
        let peers = tables.members(&attachment.members);
        assert_eq!(peers.len(), case.tenant.peers as usize, "the peers of a side");
        for (number, &peer) in (0..[case.sources, case.destinations][side]).zip(peers.iter().cycle()) {
            let key = shared.fdb.key(domain, mac(side as u8 + 1, number));
            shared.fdb.learn(key, Target { attachment: id, peer }, TICK.tick(), || true);
        }
    }
}

/// The case's generator and a sink, with no gateway between them.
pub(crate) fn with_ports_alone<R>(case: &Case, measure: impl FnOnce(&mut dyn FnMut()) -> R) -> R {
    let mut arena = case.arena();
    let mut pool = case.pool(&mut arena);
    let mut ports: [BoxedPort<'_>; 2] = [Box::new(case.generator().0), Box::new(Sink)];
    let mut frames = Vec::with_capacity(Burst::LEN);
    measure(&mut || {
        for port in &mut ports {
            port.rx_burst(&mut pool, &mut frames, Burst::LEN).expect("it makes frames of nothing");
        }
        ports[1].tx_burst(&mut pool, &mut frames);
    })
}
