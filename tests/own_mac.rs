//! The gateway's own address in a tenant: the same after a restart, and never that of another gateway.

use transload::compile::{Numbers, compile};
use transload::config;
use transload::forwarding::PortId;
use transload::rib::Rib;
use transload::rib::facts::{DeviceFact, DeviceState};
use transload_encaps::Mac;

/// Tags only, and nothing in the file that tells one machine from another.
const HAND_OFF: &str = r#"
version: 1
ports: { left: { device: eth1 }, right: { device: eth2 } }
tenants:
  blue: { attachments: { l: { port: left, vid: 7 }, r: { port: right, vid: 7 } } }
mappings:
  rest: { from: { port: left, vid: 100-199 }, to: { port: right, vid: "id" } }
"#;

/// The addresses of `blue` and `rest` on a machine whose devices have these addresses.
fn on(machine: u8) -> [Mac; 2] {
    let config = config::parse("own.yaml", HAND_OFF).expect("it is YAML");
    let plan = compile(&config, &Numbers::default(), None).expect("it is right");
    let device = |n: u8| {
        let state = DeviceState { mac: Some(Mac([2, 0, 0, 0, machine, n])), mtu: None, is_down: false };
        DeviceFact { port: PortId::new(n.into()), state: Some(state), failure: None }
    };
    let rib = Rib::new(plan, vec![device(0), device(1)], 1, None);
    let own = &rib.shared().forwarding.load().own_macs;
    let (domains, mappings): (Vec<_>, Vec<_>) = (own.domains.values().collect(), own.mappings.values().collect());
    let ([domain], [mapping]) = (&domains[..], &mappings[..]) else { panic!("{own:?}") };
    [**domain, **mapping]
}

#[test]
fn two_gateways_with_the_same_file_differ_by_their_devices() {
    let (one, other) = (on(1), on(2));
    assert_ne!(one[0], other[0]);
    assert_ne!(one[1], other[1]);
    assert_ne!(one[0], one[1]);
    assert_eq!(one, on(1), "a restart changes nothing");
    assert!(one.iter().all(|mac| mac.0[0] & 3 == 2), "locally administered and unicast (RFC 9542 section 2.1)");
}
