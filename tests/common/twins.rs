//! Two gateways of one file that handle the same frames: the worker of one takes the fast paths, that of the other the
//! full one for every frame. All that comes of it must be alike.

use std::collections::BTreeMap;
use std::fmt::Write;

use transload::compile::{self, Plan};
use transload::config;
use transload::dataplane::Now;
use transload::forwarding::PortId;
use transload::io::memory::Packet;
use transload::offline::placeholders::Placeholders;
use transload::rib::Rib;

use super::outcome::Outcome;
use super::twin::{Pace, Twin};

const SECOND: u64 = 1_000_000_000;

/// The memory that both have their frames in.
pub struct Arenas {
    memory: [Vec<u8>; 2],
    chunk_len: usize,
}

impl Arenas {
    /// So many chunks for each, of so many bytes.
    pub fn new(chunks: usize, chunk_len: usize) -> Self {
        Self { memory: [vec![0; chunks * chunk_len], vec![0; chunks * chunk_len]], chunk_len }
    }
}

/// Both gateways, in one world.
pub struct Twins<'mem> {
    pub fast: Twin<'mem>,
    pub full: Twin<'mem>,
    placeholders: [Placeholders; 2],
    /// The names of the ports that the workers have.
    ports: Vec<(PortId, String)>,
    /// Nanoseconds.
    pub clock: u64,
}

impl<'mem> Twins<'mem> {
    /// The gateways of this configuration, which must be good.
    pub fn new(yaml: &str, arenas: &'mem mut Arenas) -> Self {
        let chunk_len = arenas.chunk_len;
        let [one, other] = &mut arenas.memory;
        let fast = Twin::new(plan(yaml, &Plan::default()), Pace::Fast, one, chunk_len);
        let full = Twin::new(plan(yaml, &Plan::default()), Pace::Full, other, chunk_len);
        let ports = fast.rib.plan().ports.iter().map(|port| (port.id, port.name.clone())).collect();
        let mut twins = Self { fast, full, placeholders: Default::default(), ports, clock: 1_000 * SECOND };
        twins.follow();
        twins
    }

    pub fn port(&self, name: &str) -> PortId {
        let port = self.ports.iter().find(|(_, known)| known == name);
        port.unwrap_or_else(|| panic!("no port {name}")).0
    }

    fn name_of(&self, port: PortId) -> &str {
        &self.ports.iter().find(|(known, _)| *known == port).expect("a port of the worker").1
    }

    /// Gives the workers what has changed, and the RIBs the paths that they ask for.
    fn follow(&mut self) {
        for (twin, placeholders) in [&mut self.fast, &mut self.full].into_iter().zip(&mut self.placeholders) {
            loop {
                let asked = twin.poll();
                if asked.is_empty() {
                    break;
                }
                for targets in asked {
                    let paths = placeholders.resolve(targets, &twin.rib.shared().forwarding.load().ports);
                    twin.rib.resolved(paths);
                }
            }
        }
    }

    /// Does something to both, such as a fact that only a device could tell.
    pub fn change(&mut self, change: impl Fn(&mut Twin<'_>)) {
        change(&mut self.fast);
        change(&mut self.full);
        self.follow();
    }

    /// These frames arrive at once, and are handled. Returns what leaves, port by port.
    ///
    /// # Panics
    /// When anything differs.
    pub fn receive<P: Into<Packet> + Clone>(&mut self, frames: &[(&str, P)]) -> Vec<(String, Packet)> {
        self.try_receive(frames).unwrap_or_else(|difference| panic!("{difference}"))
    }

    /// The same.
    ///
    /// # Errors
    /// What differs, if anything does.
    pub fn try_receive<P: Into<Packet> + Clone>(
        &mut self,
        frames: &[(&str, P)],
    ) -> Result<Vec<(String, Packet)>, String> {
        for (port, packet) in frames {
            let id = self.port(port);
            self.fast.port(id).inject(packet.clone());
            self.full.port(id).inject(packet.clone());
        }
        self.breathe();
        self.same()
    }

    /// The workers breathe until nothing arrives any more, and control hears of it.
    pub fn breathe(&mut self) {
        loop {
            let arrived = [self.fast.breathe(self.clock), self.full.breathe(self.clock)];
            self.fast.hear();
            self.full.hear();
            self.follow();
            if arrived == [0, 0] {
                return;
            }
        }
    }

    /// Nanoseconds pass, and control does what is due.
    pub fn sleep(&mut self, nanos: u64) {
        self.clock += nanos;
        let now = Now { nanos: self.clock };
        self.change(|twin| twin.rib.tick(now));
    }

    /// Another configuration is taken in. The workers have not looked at it yet.
    pub fn take_in(&mut self, yaml: &str) {
        // Nobody is asked to reload before the reload before is through.
        self.breathe();
        self.change(|twin| assert!(twin.rib.settle(), "nobody holds on to the tables before"));
        self.change(|twin| {
            let plan = plan(yaml, twin.rib.plan());
            twin.rib.take_in(plan);
        });
    }

    /// Compares all that has come of what has happened since the last time. Returns what has left.
    ///
    /// # Errors
    /// What differs, if anything does.
    pub fn same(&mut self) -> Result<Vec<(String, Packet)>, String> {
        let [sent, full] = [&self.fast, &self.full].map(Twin::sent);
        let mut text = String::new();
        if sent != full {
            text = self.wire(&sent, &full);
        }
        let [outcome, of_full] = [&mut self.fast, &mut self.full].map(Outcome::of);
        text.extend(outcome.difference(&of_full, self.fast.rib.names()));
        if text.is_empty() {
            Ok(sent.into_iter().map(|(port, packet)| (self.name_of(port).to_owned(), packet)).collect())
        } else {
            Err(format!("the fast path and the full one differ:\n{text}"))
        }
    }

    /// In what the frames that left differ.
    fn wire(&self, fast: &[(PortId, Packet)], full: &[(PortId, Packet)]) -> String {
        let mut text = String::new();
        for (port, name) in &self.ports {
            let of_port = |sent: &[(PortId, Packet)]| -> Vec<Packet> {
                sent.iter().filter(|(id, _)| id == port).map(|(_, packet)| packet.clone()).collect()
            };
            let (fast, full) = (of_port(fast), of_port(full));
            let Some(at) = (0..fast.len().max(full.len())).find(|&at| fast.get(at) != full.get(at)) else { continue };
            let lens = (fast.len(), full.len());
            let _ = writeln!(text, "  port {name} has sent {} frames and {}; frame {at} is", lens.0, lens.1);
            let _ = writeln!(text, "    fast: {}\n    full: {}", words(fast.get(at)), words(full.get(at)));
        }
        text
    }

    /// The number of frames, copies of flooded ones included, that were dropped since the start, by the reason's label.
    pub fn drops(&self) -> BTreeMap<&'static str, u64> {
        let counters = self.fast.worker.counters();
        let all = transload_encaps::DropReason::all();
        let count = |reason| counters.drops(reason).unwrap().get() + counters.copy_drops(reason).unwrap().get();
        all.map(|reason| (reason.label(), count(reason))).filter(|(_, count)| *count > 0).collect()
    }

    /// What is known to both.
    pub const fn rib(&self) -> &Rib {
        &self.fast.rib
    }
}

/// A packet, its first bytes in hexadecimal digits.
fn words(packet: Option<&Packet>) -> String {
    let Some(Packet { bytes, checksum, gso, cut }) = packet else { return "none".into() };
    let mut text = format!("{} bytes, {checksum:?}, {gso:?}, cut {cut}: ", bytes.len());
    for byte in bytes.iter().take(160) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn plan(yaml: &str, before: &Plan) -> Plan {
    let config = config::parse("twins.yaml", yaml).unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
    let plan = compile::compile(&config, &before.numbers, Some(&before.tables));
    plan.unwrap_or_else(|problems| panic!("{problems}\n{yaml}"))
}
