//! Control when a peer is learned beside thousands: the RIB hears of an unknown sender, gives it a number, publishes
//! tables that have it, asks for paths to it, and publishes those.

use std::net::{IpAddr, Ipv4Addr};

use transload::compile::{self, Numbers};
use transload::config;
use transload::events::Event;
use transload::offline::placeholders::Placeholders;
use transload::offline::{self, follow};
use transload::rib::Rib;

const YAML: &str = r#"
version: 1
fdb: { capacity: 1000 }
ports:
  up: { device: up, mac: "02:aa:00:00:00:01" }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
groups:
  leafs: { encap: vxlan, learn_from: 10.0.0.0/8, max_learned: 65536 }
tenants:
  blue: { attachments: { leafs: { group: leafs, vni: 100 } } }
"#;

/// A gateway's control, and how many peers it has learned.
pub(crate) struct Control {
    rib: Rib,
    placeholders: Placeholders,
    learned: u32,
}

impl Control {
    /// Control that knows so many learned peers.
    pub(crate) fn with_learned(peers: u32) -> Self {
        let config = config::parse("newcomers.yaml", YAML).expect("the bench's configuration");
        let plan = compile::compile(&config, &Numbers::default(), None).expect("the bench's configuration");
        let (rib, placeholders) = offline::rib(plan, 1);
        let mut control = Self { rib, placeholders, learned: 0 };
        (0..peers).for_each(|_| control.hear_of_one_more());
        control.follow();
        control
    }

    fn hear_of_one_more(&mut self) {
        let group = &self.rib.plan().learning[0];
        let domain = self.rib.names().domain_id("blue").expect("the tenant");
        let address = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0001 + self.learned));
        let event = Event::UnknownSender { anonymous: group.anonymous, address, domain, at: u64::from(self.learned) };
        self.rib.hear(&event);
        self.learned += 1;
    }

    fn follow(&mut self) {
        follow(&mut self.rib, &mut self.placeholders);
    }

    /// One more peer is learned, and the workers have its paths.
    pub(crate) fn learn_one_more(&mut self) {
        self.hear_of_one_more();
        self.follow();
        assert_eq!(self.rib.learned().rows().count(), self.learned as usize, "it was learned");
    }
}
