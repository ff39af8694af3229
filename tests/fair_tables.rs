//! One MAC table for all tenants: however many addresses one of them has, the others go on learning theirs.

mod common;

use common::Lab;
use common::wire::{self, BROADCAST};
use transload::report::rows::TenantRow;

/// Tenants with a port each, by name, `limits:` and so on as written; all of them in a table of 1,000.
fn gateway(tenants: &[(&str, &str)]) -> Lab {
    let ports: Vec<_> = tenants.iter().map(|(name, _)| format!("  {name}: {{ device: {name} }}\n")).collect();
    let of = |(name, more): &(&str, &str)| {
        format!("  {name}:\n    {more}\n    attachments:\n      only: {{ port: {name}, untagged: true }}\n")
    };
    let (ports, tenants) = (ports.concat(), tenants.iter().map(of).collect::<Vec<_>>().concat());
    Lab::new(&format!("version: 1\nfdb: {{ capacity: 1000 }}\nports:\n{ports}tenants:\n{tenants}"))
}

fn address(tenant: &str, number: u32) -> [u8; 6] {
    let [_, a, b, c] = number.to_be_bytes();
    [2, tenant.as_bytes()[0], 0, a, b, c]
}

/// So many addresses are heard, from a number on.
fn hear(lab: &mut Lab, tenant: &str, numbers: std::ops::Range<u32>) {
    for number in numbers {
        lab.send(tenant, wire::tenant_frame(BROADCAST, address(tenant, number), 0));
        lab.clock += 1000;
    }
}

fn row(lab: &Lab, tenant: &str) -> TenantRow {
    lab.gateway.state(lab.clock).tenants(Some(tenant)).unwrap().remove(0)
}

fn known(lab: &Lab, tenant: &str) -> u32 {
    row(lab, tenant).macs
}

#[test]
fn a_flood_of_one_tenants_addresses_does_not_keep_another_from_learning() {
    let mut lab = gateway(&[("red", "learning: true"), ("blue", "learning: true")]);
    hear(&mut lab, "red", 0..5000);
    hear(&mut lab, "blue", 0..250);
    assert_eq!((known(&lab, "red"), known(&lab, "blue")), (750, 250), "all but a reserve, and that");
    let flooded = row(&lab, "blue").flooded;
    hear(&mut lab, "red", 5000..9000);
    for number in 0..250 {
        let to = wire::tenant_frame(address("blue", number), address("blue", 0), 0);
        lab.send("blue", to);
    }
    assert_eq!(row(&lab, "blue").flooded, flooded, "all of them are known");
    assert_eq!((row(&lab, "red").table_full, row(&lab, "red").over_mac_limit), (8250, 0));
}

#[test]
fn a_stated_limit_is_kept_whole() {
    let mut lab = gateway(&[("red", "learning: true"), ("blue", "limits: { macs: 700 }"), ("green", "learning: true")]);
    hear(&mut lab, "red", 0..3000);
    hear(&mut lab, "green", 0..3000);
    hear(&mut lab, "blue", 0..3000);
    assert_eq!(known(&lab, "blue"), 700);
    assert_eq!(row(&lab, "blue").over_mac_limit, 2300);
    assert_eq!((known(&lab, "red"), known(&lab, "green")), (175, 125));
}

#[test]
fn the_first_to_learn_has_the_table_but_for_the_others_reserve_until_it_ages() {
    let mut lab = gateway(&[("red", "ageing: 20s"), ("blue", "ageing: 1h")]);
    hear(&mut lab, "red", 0..1000);
    hear(&mut lab, "blue", 0..1000);
    assert_eq!((known(&lab, "red"), known(&lab, "blue")), (750, 250));
    lab.sleep(10);
    for _ in 0..40 {
        lab.sleep(1);
    }
    assert_eq!(known(&lab, "red"), 0);
    hear(&mut lab, "blue", 1000..2000);
    assert_eq!(known(&lab, "blue"), 750);
    hear(&mut lab, "red", 0..1000);
    assert_eq!(known(&lab, "red"), 250);
}

#[test]
fn an_only_tenant_has_the_whole_table() {
    let mut lab = gateway(&[("red", "learning: true")]);
    hear(&mut lab, "red", 0..1500);
    assert_eq!(known(&lab, "red"), 1000);
}

#[test]
fn static_addresses_of_one_tenant_take_nothing_from_the_reserves_of_others() {
    let fixed: Vec<_> = (0..100).map(|n| format!("{{ mac: \"02:62:01:00:00:{n:02x}\", via: only }}")).collect();
    let fixed = format!("static: [{}]", fixed.join(", "));
    let mut lab = gateway(&[("red", "learning: true"), ("blue", &fixed), ("green", "learning: true")]);
    for tenant in ["red", "green", "blue"] {
        hear(&mut lab, tenant, 0..2000);
    }
    assert!(known(&lab, "green") >= 150 && known(&lab, "blue") >= 150, "{}", known(&lab, "blue"));
    assert!(lab.fdb().len() <= 1000);
}

#[test]
fn whoever_comes_by_a_reload_has_a_reserve_too() {
    use transload::{compile, config};
    let plan = |lab: Option<&Lab>, tenants: &str| {
        let text = format!(
            "version: 1\nfdb: {{ capacity: 1000 }}\nports: {{ red: {{ device: red }}, blue: {{ device: blue }} }}\n\
             tenants:\n{tenants}"
        );
        let config = config::parse("lab.yaml", &text).unwrap();
        let before = lab.map(|lab| lab.gateway.rib().plan());
        let numbers = before.map(|plan| plan.numbers.clone()).unwrap_or_default();
        compile::compile(&config, &numbers, before.map(|plan| &*plan.tables)).unwrap()
    };
    let red = "  red: { attachments: { only: { port: red, untagged: true } } }\n";
    let blue = "  blue: { attachments: { only: { port: blue, untagged: true } } }\n";
    let mut lab = Lab::of(plan(None, &format!("{red}  spare: {{ attachments: {{ x: {{ port: blue, vid: 7 }} }} }}\n")));
    hear(&mut lab, "red", 0..2000);
    assert_eq!(known(&lab, "red"), 750);
    let next = plan(
        Some(&lab),
        &format!("{red}{blue}  more: {{ limits: {{ macs: 600 }}, attachments: {{ x: {{ port: blue, vid: 8 }} }} }}\n"),
    );
    assert!(lab.gateway.reload(next, lab.clock));
    assert_eq!(known(&lab, "red"), 275, "125 of its own, and 150 for whoever is first");
    hear(&mut lab, "blue", 0..2000);
    assert_eq!(known(&lab, "blue"), 125);
}

#[test]
fn a_flood_of_senders_in_one_tenant_leaves_room_for_those_of_another() {
    let mut lab = Lab::new(
        "version: 1
ports:
  up: { device: up }
  ce: { device: ce }
endpoints:
  v4: { address: 192.0.2.1, ports: [up] }
groups:
  leafs: { encap: vxlan, learn_from: 198.51.0.0/16, max_learned: 64 }
tenants:
  red:  { attachments: { leafs: { group: leafs, vni: 100 }, ce: { port: ce, vid: 7 } } }
  blue: { attachments: { leafs: { group: leafs, vni: 200 }, ce: { port: ce, vid: 8 } } }
",
    );
    let mut speak = |vni: u32, leaf: [u8; 4], host: u8| {
        lab.clock += 20_000_000;
        let frame = wire::tenant_frame(BROADCAST, wire::mac(host), 0);
        let link = ([2, 0, 0, 0, 1, 1], [2, 0, 0, 0, 1, 2]);
        let ends = (leaf.into(), [192, 0, 2, 1].into());
        lab.send("up", wire::outer(link, ends, 0, 17, &wire::udp(50_000, 4789, &wire::vxlan(vni, &frame))));
        lab.gateway.learned().rows().count()
    };
    let known: Vec<_> = (0..200).map(|leaf| speak(100, [198, 51, 1, leaf], 1)).collect();
    assert_eq!(known.last(), Some(&56), "all but the other's part of a quarter");
    let known: Vec<_> = (0..20).map(|leaf| speak(200, [198, 51, 2, leaf], 2)).collect();
    assert_eq!(known[..9], [57, 58, 59, 60, 61, 62, 63, 64, 64], "which is there for it");
}
