//! A gateway from YAML, with its ports in the test's hands.
#![allow(dead_code, unreachable_pub, reason = "every test binary uses its own part of this")]

pub mod openmetrics;
pub mod ordered;
pub mod outcome;
pub mod places;
pub mod three;
pub mod twin;
pub mod twins;
pub mod wire;

use std::collections::BTreeMap;

use transload::compile::{self, Numbers, Plan};
use transload::forwarding::PortId;
use transload::io::Pool;
use transload::io::arena::{LONG, Layout};
use transload::io::memory::Packet;
use transload::offline::{self, Offline};
use transload::report::rows::FdbRow;
use transload::{config, forwarding};

const SECOND: u64 = 1_000_000_000;

fn plan_of(yaml: &str) -> Plan {
    let config = config::parse("lab.yaml", yaml).unwrap_or_else(|problems| panic!("{problems:?}"));
    compile::compile(&config, &Numbers::default(), None).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A gateway, its clock, and the names of its ports.
pub struct Lab {
    pub gateway: Offline<'static>,
    ports: Vec<String>,
    pub clock: u64,
}

impl Lab {
    /// The gateway of this configuration, which must be good.
    pub fn new(yaml: &str) -> Self {
        Self::of(plan_of(yaml))
    }

    /// The gateway of this plan, whose tunnels have next hops.
    pub fn of(plan: Plan) -> Self {
        // A test's memory may live as long as the test.
        Self::in_chunks(plan, Pool::new(Box::leak(offline::arena().into_boxed_slice()), LONG))
    }

    /// As [`new`](Self::new), with short chunks too, as beside XDP sockets.
    pub fn with_short_chunks(yaml: &str) -> Self {
        let layout = Layout::xdp(1024, 1500);
        Self::in_chunks(plan_of(yaml), layout.cut(Box::leak(layout.arena().into_boxed_slice())).0)
    }

    fn in_chunks(plan: Plan, pool: Pool<'static>) -> Self {
        let ports = plan.ports.iter().map(|port| port.name.clone()).collect();
        Self { gateway: Offline::with_pool(plan, pool), ports, clock: 1_000 * SECOND }
    }

    pub fn port(&self, name: &str) -> PortId {
        PortId::new(self.ports.iter().position(|port| port == name).unwrap_or_else(|| panic!("no port {name}")) as u16)
    }

    pub fn name_of(&self, port: PortId) -> String {
        self.ports[usize::from(port.number())].clone()
    }

    /// A frame arrives; gives back what leaves because of it, by port.
    pub fn send(&mut self, port: &str, packet: impl Into<Packet>) -> Vec<(String, Vec<u8>)> {
        let port = self.port(port);
        self.gateway.receive(port, packet, self.clock);
        self.sent()
    }

    /// What has left since the last question, by port.
    pub fn sent(&self) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        for (id, name) in self.ports.iter().enumerate() {
            let sent = self.gateway.port(PortId::new(id as u16)).unwrap().collect();
            all.extend(sent.into_iter().map(|packet| (name.clone(), packet.bytes)));
        }
        all
    }

    /// Seconds pass.
    pub fn sleep(&mut self, seconds: u64) {
        self.clock += seconds * SECOND;
        self.gateway.step(self.clock);
    }

    /// Drops so far, by label.
    pub fn drops(&self) -> BTreeMap<&'static str, u64> {
        self.gateway.drops().map(|(reason, count)| (reason.label(), count)).collect()
    }

    /// The drops since the last call of this kind, which must be exactly one frame.
    pub fn dropped_for(&mut self, port: &str, packet: impl Into<Packet>) -> &'static str {
        let before = self.drops();
        let sent = self.send(port, packet);
        assert!(sent.is_empty(), "it was sent: {sent:02x?}");
        let after = self.drops();
        let mut new = after.into_iter().filter(|(label, count)| before.get(label) != Some(count));
        let (label, _) = new.next().expect("neither sent nor dropped");
        assert_eq!(new.next(), None, "dropped twice");
        label
    }

    /// The FDB in names.
    pub fn fdb(&self) -> Vec<FdbRow> {
        self.gateway.state(self.clock).fdb(None).unwrap()
    }

    pub fn tables(&self) -> std::sync::Arc<forwarding::Forwarding> {
        self.gateway.shared().forwarding.load_full()
    }
}
