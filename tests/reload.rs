//! What a reload keeps, changes and forgets: every rule of it, without devices and without privilege. The live gateway
//! and this one drive the same RIB.

mod common;

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use common::Lab;
use common::wire::{self, BROADCAST, mac};
use transload::compile::{Plan, compile};
use transload::config::{self, Config};
use transload::dataplane::Now;
use transload::fdb::{Entry, EntrySource};
use transload::forwarding::{AttachmentId, Claim, DomainId, Hop, PeerId, PortId, Target};
use transload::offline::Offline;
use transload::rib::activity::{PARTS, Recent};
use transload::rib::facts::{DeviceFact, DeviceState, PathFact, Targets};
use transload::rib::{News, Output, Rib};
use transload::run::fixed;
use transload_encaps::Mac;
use transload_encaps::underlay::LinkAddresses;

const SECOND: u64 = 1_000_000_000;
const UP: [u8; 6] = [2, 0xaa, 0, 0, 0, 1];
const LEAF: &str = "198.51.100.7";

const FILE: &str = r#"version: 1
workers: 1
fdb: { capacity: 1000 }
ports:
  up:     { device: up, mac: "02:aa:00:00:00:01", mtu: 1600 }
  access: { device: access }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
groups:
  leafs: { encap: vxlan, learn_from: 198.51.100.0/24 }
peers:
  site: { address: 192.0.2.9, encap: gre }
tenants:
  blue:
    attachments:
      leafs: { group: leafs, vni: 100 }
      site:  { peer: site, key: 7 }
      ce:    { port: access, s_vid: 7 }
    static:
      - { mac: "02:00:00:00:00:77", via: ce }
  red:
    attachments:
      site: { peer: site, key: 8 }
      ce:   { port: access, s_vid: 8 }
"#;

fn load(text: &str, before: &Plan) -> (Config, Plan) {
    let config = config::parse("gateway.yaml", text).unwrap_or_else(|problems| panic!("{problems}"));
    let plan = compile(&config, &before.numbers, Some(&before.tables)).unwrap_or_else(|problems| panic!("{problems}"));
    (config, plan)
}

fn gateway(text: &str) -> Lab {
    Lab::of(load(text, &Plan::default()).1)
}

fn reload(lab: &mut Lab, text: &str) {
    let plan = load(text, lab.gateway.rib().plan()).1;
    assert!(lab.gateway.reload(plan, lab.clock), "nobody else holds the tables");
}

/// A host behind a leaf that no file names says something to everybody.
fn speak(lab: &mut Lab, host: u8) -> Vec<(String, Vec<u8>)> {
    lab.clock += SECOND;
    let ends: (IpAddr, IpAddr) = (LEAF.parse().unwrap(), "192.0.2.1".parse().unwrap());
    let frame = wire::tenant_frame(BROADCAST, mac(host), u16::from(host));
    lab.send("up", wire::outer((UP, mac(0xbb)), ends, 0, 17, &wire::udp(50_000, 4789, &wire::vxlan(100, &frame))))
}

/// A tenant's host behind the port says something.
fn answer(lab: &mut Lab, s_vid: u16, to: [u8; 6], host: u8) -> Vec<(String, Vec<u8>)> {
    lab.clock += SECOND;
    lab.send("access", wire::tag(&wire::tenant_frame(to, mac(host), u16::from(host)), 0x88a8, s_vid))
}

fn peer(gateway: &Offline<'_>, name: &str) -> PeerId {
    gateway.names().peers().find(|(_, known)| *known == name).unwrap_or_else(|| panic!("no peer {name}")).0
}

fn domain(gateway: &Offline<'_>, name: &str) -> DomainId {
    gateway.names().domain_id(name).unwrap_or_else(|| panic!("no tenant {name}"))
}

fn entry(lab: &Lab, host: u8) -> Option<Entry> {
    lab.gateway.fdb().into_iter().find(|entry| entry.mac == Mac(mac(host)))
}

/// The RIB of a file alone: nobody has resolved anything.
fn rib(text: &str) -> Rib {
    Rib::new(load(text, &Plan::default()).1, Vec::new(), 1, None)
}

fn outputs(rib: &mut Rib) -> Vec<Output> {
    std::iter::from_fn(|| rib.poll()).collect()
}

fn take_in(rib: &mut Rib, text: &str) {
    let plan = load(text, rib.plan()).1;
    rib.take_in(plan);
}

fn named(rib: &Rib, name: &str) -> PeerId {
    rib.names().peers().find(|(_, known)| *known == name).unwrap().0
}

fn hop(last: u8) -> Hop {
    Hop { port: PortId::new(0), link: LinkAddresses { dst: Mac(mac(last)), src: Mac(UP) }, mtu: None }
}

fn path(peer: PeerId, last: u8) -> PathFact {
    PathFact { peer, hops: Arc::from([hop(last)]), complaints: Vec::new() }
}

#[test]
fn no_sender_gets_a_number_while_a_plan_is_compiled_that_may_give_it_to_another() {
    let mut lab = gateway(FILE);
    let more = FILE.replace("peers:\n", "peers:\n  hub: { address: 192.0.2.10, encap: gre }\n").replace(
        "      ce:   { port: access, s_vid: 8 }",
        "      ce:   { port: access, s_vid: 8 }\n      hub:  { peer: hub, key: 9 }",
    );
    lab.gateway.change(|rib| rib.hold_numbers(true));
    let plan = load(&more, lab.gateway.rib().plan()).1;
    assert!(!speak(&mut lab, 1).is_empty(), "its frames are carried");
    assert!(!speak(&mut lab, 1).is_empty());
    assert_eq!(lab.gateway.learned().rows().count(), 0);
    lab.gateway.change(|rib| rib.hold_numbers(false));
    assert!(lab.gateway.reload(plan, lab.clock));
    speak(&mut lab, 1);
    speak(&mut lab, 1);
    let [hub, leaf] = ["hub", "leafs/198.51.100.7"].map(|name| peer(&lab.gateway, name));
    assert_ne!(hub, leaf);
    assert_eq!(entry(&lab, 1).map(|entry| entry.target.peer), Some(leaf));
}

#[test]
fn a_learned_peer_stays_as_far_as_the_file_still_learns_it() {
    let mut lab = gateway(FILE);
    speak(&mut lab, 1);
    speak(&mut lab, 1);
    let known = peer(&lab.gateway, "leafs/198.51.100.7");
    assert_eq!(entry(&lab, 1).map(|entry| entry.target.peer), Some(known));
    reload(&mut lab, &FILE.replace("key: 8", "key: 9"));
    assert_eq!(peer(&lab.gateway, "leafs/198.51.100.7"), known, "its number outlives the reload");
    assert_eq!(entry(&lab, 1).map(|entry| entry.target.peer), Some(known), "and so does what lives behind it");
    assert_eq!(answer(&mut lab, 7, mac(1), 2).len(), 1, "which is reached as before");
    reload(&mut lab, &FILE.replace("198.51.100.0/24", "203.0.113.0/24"));
    assert_eq!(lab.gateway.learned().rows().count(), 0);
    assert_eq!(entry(&lab, 1), None, "nothing points to a peer that is gone");
    assert_eq!(speak(&mut lab, 1), [], "who may not be learned is not let in");
}

#[test]
fn a_learned_peer_of_a_tenant_that_is_gone_is_not_the_next_ones_of_that_number() {
    let mut lab = gateway(FILE);
    speak(&mut lab, 1);
    speak(&mut lab, 1);
    let blue = domain(&lab.gateway, "blue");
    let heard_in = |lab: &Lab| -> Vec<String> {
        let remembered = lab.gateway.rib().remembering().remembered(Now { nanos: lab.clock });
        remembered.peers.into_iter().map(|peer| peer.tenant).collect()
    };
    assert_eq!(heard_in(&lab), ["blue"]);
    let without = FILE.replace("  blue:", "  white:");
    reload(&mut lab, &without);
    let next = format!("{without}  black: {{ attachments: {{ ce: {{ port: access, s_vid: 9 }} }} }}\n");
    reload(&mut lab, &next);
    assert_eq!(domain(&lab.gateway, "black"), blue, "the number is free by then");
    assert_eq!(lab.gateway.learned().rows().count(), 1, "it is still learned");
    assert_eq!(heard_in(&lab), [""; 0]);
}

#[test]
fn a_file_that_names_a_learned_peer_takes_precedence() {
    let mut lab = gateway(FILE);
    speak(&mut lab, 1);
    reload(
        &mut lab,
        &FILE
            .replace("peers:", "peers:\n  leaf: { address: 198.51.100.7, encap: vxlan }")
            .replace("  red:\n    attachments:", "  red:\n    attachments:\n      leaf: { peer: leaf, vni: 200 }"),
    );
    assert_eq!(lab.gateway.learned().rows().count(), 0);
    assert_eq!(speak(&mut lab, 1), [], "VNI 100 is not what the file gives this peer");
}

#[test]
fn counters_grow_with_the_names() {
    let mut lab = gateway(FILE);
    let green =
        "  green:\n    attachments:\n      site: { peer: site, key: 70 }\n      ce: { port: access, s_vid: 70 }\n";
    let more: String =
        (0..100).map(|n| green.replace("green", &format!("t{n}")).replace("70", &(100 + n).to_string())).collect();
    reload(&mut lab, &format!("{FILE}{more}"));
    assert_eq!(answer(&mut lab, 199, BROADCAST, 5).len(), 1);
    let id = domain(&lab.gateway, "t99");
    let counted = lab.gateway.counters().domain(id).expect("there is room for it");
    assert_eq!(counted.parts().map(|part| part.rx.frames.get()).sum::<u64>(), 1);
}

#[test]
fn what_was_counted_and_told_goes_on_for_what_stays_and_ends_with_what_goes() {
    let mut lab = gateway(FILE);
    answer(&mut lab, 7, BROADCAST, 5);
    answer(&mut lab, 8, BROADCAST, 6);
    let (blue, red) = (domain(&lab.gateway, "blue"), domain(&lab.gateway, "red"));
    let frames = |lab: &Lab, id| -> u64 {
        lab.gateway.counters().domain(id).unwrap().parts().map(|part| part.rx.frames.get()).sum()
    };
    assert!(lab.gateway.history().of(red, Mac(mac(6))).is_some());
    reload(&mut lab, &FILE.replace("  red:", "  white:").replace("key: 8", "key: 88"));
    assert_eq!(frames(&lab, blue), 1);
    assert!(lab.gateway.history().of(blue, Mac(mac(5))).is_some());
    assert!(lab.gateway.history().of(red, Mac(mac(6))).is_none(), "another tenant may have the number now");
    assert_eq!(entry(&lab, 6), None);
    // The number is free only now, and its next owner begins with nothing.
    let text = format!(
        "{}  black: {{ attachments: {{ ce: {{ port: access, s_vid: 9 }} }} }}\n",
        FILE.replace("  red:", "  white:")
    );
    reload(&mut lab, &text);
    assert_eq!(domain(&lab.gateway, "black"), red);
    assert_eq!(frames(&lab, red), 0);
}

#[test]
fn what_an_attachment_counted_stays_its_tenants_and_is_not_the_next_ones_of_that_number() {
    let mut lab = gateway(FILE);
    let row = |lab: &Lab| lab.gateway.state(lab.clock).tenants(Some("blue")).unwrap().remove(0);
    let counted = |lab: &Lab, name: &str| {
        let row = row(lab).attachments.into_iter().find(|row| row.attachment == name).unwrap();
        (row.traffic.rx_frames, row.traffic.tx_frames)
    };
    answer(&mut lab, 7, BROADCAST, 5);
    speak(&mut lab, 9);
    let before = row(&lab);
    assert_eq!((counted(&lab, "ce"), before.traffic.rx_frames), ((1, 1), 2));
    let without = FILE.replace("      ce:    { port: access, s_vid: 7 }\n", "");
    let without = without.replace("    static:\n      - { mac: \"02:00:00:00:00:77\", via: ce }\n", "");
    reload(&mut lab, &without);
    assert_eq!(row(&lab).attachments.len(), 2);
    let text = without.replace(
        "      site:  { peer: site, key: 7 }\n",
        "      site:  { peer: site, key: 7 }\n      new:   { port: access, s_vid: 7 }\n",
    );
    reload(&mut lab, &text);
    assert_eq!(counted(&lab, "new"), (0, 0));
    let after = row(&lab);
    assert_eq!((after.traffic, after.dropped), (before.traffic, before.dropped));
    answer(&mut lab, 7, BROADCAST, 5);
    assert_eq!((counted(&lab, "new").0, row(&lab).traffic.rx_frames), (1, 3));
}

#[test]
fn every_attachment_of_many_is_counted_in_a_place_of_its_own() {
    let attachment = |vid: u16| format!("      a{vid}: {{ port: access, s_vid: {vid} }}\n");
    let attachments = |vids: std::ops::Range<u16>| vids.map(attachment).collect::<String>();
    let file = |vids| {
        FILE.replace(
            "      ce:    { port: access, s_vid: 7 }\n",
            &format!("      ce:    {{ port: access, s_vid: 7 }}\n{}", attachments(vids)),
        )
    };
    let mut lab = gateway(&file(20..25));
    reload(&mut lab, &file(20..200));
    for (times, vid) in (1..).zip([20, 24, 25, 26, 88, 89, 90, 199]) {
        for _ in 0..times {
            answer(&mut lab, vid, BROADCAST, 1);
        }
        let row = lab.gateway.state(lab.clock).tenants(Some("blue")).unwrap().remove(0);
        let received =
            |name: &str| row.attachments.iter().find(|row| row.attachment == name).unwrap().traffic.rx_frames;
        assert_eq!(received(&format!("a{vid}")), times, "a{vid}");
        assert_eq!(row.attachments.iter().map(|row| row.traffic.rx_frames).sum::<u64>(), row.traffic.rx_frames);
    }
}

/// Looks at everything once a second, so many times.
fn watch(rib: &mut Rib, seconds: Range<u64>) {
    for second in seconds {
        (0..PARTS).for_each(|_| rib.watch(Now { nanos: second * SECOND }));
    }
}

#[test]
fn who_was_heard_is_known_across_a_reload_and_forgotten_with_its_number() {
    let mut lab = gateway(FILE);
    speak(&mut lab, 9);
    answer(&mut lab, 8, BROADCAST, 6);
    let (leaf, red) = (peer(&lab.gateway, &format!("leafs/{LEAF}")), domain(&lab.gateway, "red"));
    let tables = lab.tables();
    let claim = |attachment| Claim { domain: red, attachment };
    let ce: Vec<_> = tables.domain(red).unwrap().attachments.iter().map(|(attachment, _)| claim(attachment)).collect();
    drop(tables);
    let heard = |lab: &Lab| {
        let activity = lab.gateway.rib().activity();
        let of_red = ce.iter().filter_map(|claim| activity.attachment(*claim)?.heard()).max();
        (activity.peer(leaf).and_then(Recent::heard), of_red)
    };
    assert_eq!(heard(&lab), (None, None), "nobody has looked");
    lab.gateway.change(|rib| watch(rib, 100..103));
    assert_eq!(heard(&lab).1, Some(100 * SECOND));
    speak(&mut lab, 9);
    lab.gateway.change(|rib| watch(rib, 103..105));
    assert_eq!(heard(&lab).0, Some(103 * SECOND), "the first frame came before the sender had a number");
    reload(
        &mut lab,
        &FILE.replace("      ce:   { port: access, s_vid: 8 }\n", "      ce:   { port: access, s_vid: 9 }\n"),
    );
    lab.gateway.change(|rib| watch(rib, 105..106));
    assert_eq!(heard(&lab), (Some(103 * SECOND), Some(100 * SECOND)));
    reload(
        &mut lab,
        &FILE.replace("  red:", "  white:").replace("key: 8", "key: 88").replace("198.51.100.0/24", "203.0.113.0/24"),
    );
    lab.gateway.change(|rib| watch(rib, 106..107));
    assert_eq!(heard(&lab), (None, None), "their numbers may soon be others'");
}

#[test]
fn loops_of_a_tenant_that_is_gone_are_forgotten() {
    use transload::events::Event;
    let mut lab = gateway(FILE);
    let (blue, red) = (domain(&lab.gateway, "blue"), domain(&lab.gateway, "red"));
    lab.gateway.change(|rib| {
        for domain in [blue, red] {
            rib.hear(&Event::Loop {
                domain,
                between: [AttachmentId::new(0), AttachmentId::new(1)],
                is_proved: false,
                mac: Mac(mac(1)),
                at: 1,
            });
        }
    });
    reload(&mut lab, &FILE.replace("  red:", "  white:"));
    assert_eq!(lab.gateway.loops().of(blue).count(), 1);
    assert_eq!(lab.gateway.loops().of(red).count(), 0);
}

#[test]
fn static_addresses_are_those_of_the_newest_file_and_of_no_other_source() {
    let mut lab = gateway(FILE);
    let blue = domain(&lab.gateway, "blue");
    let fdb = |lab: &Lab| Arc::clone(lab.gateway.shared());
    let ce = entry(&lab, 0x77).expect("it is pinned").target;
    let install = |lab: &Lab, host: u8, source| {
        let shared = fdb(lab);
        shared.fdb.install(shared.fdb.key(blue, Mac(mac(host))), ce, source).unwrap();
    };
    install(&lab, 0x50, EntrySource::Told);
    install(&lab, 0x51, EntrySource::ToldSticky);
    answer(&mut lab, 7, BROADCAST, 5);
    reload(&mut lab, &FILE.replace("00:77", "00:78"));
    let source = |host: u8| entry(&lab, host).map(|entry| entry.source);
    assert_eq!(source(0x77), None, "the file does not have it any more");
    assert_eq!(source(0x78), Some(EntrySource::File));
    assert_eq!(source(5), Some(EntrySource::Learned));
    assert_eq!(source(0x50), Some(EntrySource::Told), "the file did not put it there");
    assert_eq!(source(0x51), Some(EntrySource::ToldSticky));
}

#[test]
fn a_static_address_that_moves_in_the_file_moves_in_the_table() {
    let mut lab = gateway(FILE);
    let before = entry(&lab, 0x77).expect("it is pinned").target;
    reload(&mut lab, &FILE.replace("via: ce }", "via: site }"));
    let after = entry(&lab, 0x77).expect("it is pinned").target;
    assert_ne!(before, after);
    assert_eq!(after.peer, peer(&lab.gateway, "site"));
}

#[test]
fn an_address_that_becomes_static_leaves_its_place_in_the_tenants_limit() {
    let mut lab = gateway(FILE);
    answer(&mut lab, 7, BROADCAST, 5);
    let blue = domain(&lab.gateway, "blue");
    let learned = |lab: &Lab| lab.tables().domain(blue).unwrap().state.macs.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(learned(&lab), 1);
    reload(&mut lab, &FILE.replace("00:77", "00:05"));
    assert_eq!(entry(&lab, 5).map(|entry| entry.source), Some(EntrySource::File));
    assert_eq!(learned(&lab), 0);
}

#[test]
fn a_static_address_without_room_is_told() {
    let small = FILE.replace("capacity: 1000", "capacity: 1");
    let mut rib = rib(&small);
    let moved = small.replace("00:77\", via: ce }", "00:78\", via: ce }");
    outputs(&mut rib);
    let blue = rib.names().domain_id("blue").unwrap();
    let shared = Arc::clone(rib.shared());
    let target = Target { attachment: AttachmentId::new(2), peer: named(&rib, "access") };
    shared.fdb.remove(shared.fdb.key(blue, Mac(mac(0x77)))).unwrap();
    shared.fdb.install(shared.fdb.key(blue, Mac(mac(0x50))), target, EntrySource::Told).unwrap();
    take_in(&mut rib, &moved);
    let told = outputs(&mut rib);
    let refused = told.iter().find_map(|output| match output {
        Output::News(News::NoRoom(entry)) => Some(entry.mac),
        _ => None,
    });
    assert_eq!(refused, Some(Mac(mac(0x78))));
}

#[test]
fn a_tunnel_that_leads_where_it_did_keeps_its_paths_and_another_has_what_the_file_states() {
    let mut rib = rib(FILE);
    outputs(&mut rib);
    let site = named(&rib, "site");
    assert_eq!(rib.hops(site), [], "nobody has resolved it");
    rib.resolved([path(site, 0x21)]);
    take_in(&mut rib, &FILE.replace("key: 8", "key: 9"));
    assert_eq!(rib.hops(site), [hop(0x21)]);
    let elsewhere = FILE.replace("192.0.2.9", "192.0.2.10");
    take_in(&mut rib, &elsewhere);
    assert_eq!(rib.hops(named(&rib, "site")), [], "the old path leads to somebody else");
    let stated = elsewhere.replace("mtu: 1600", "next_hops: { 192.0.2.11: \"02:00:00:00:00:31\" }");
    take_in(&mut rib, &stated.replace("192.0.2.10", "192.0.2.11"));
    assert_eq!(rib.hops(named(&rib, "site")), [hop(0x31)], "until a source says more");
}

#[test]
fn whoever_resolves_tunnels_is_told_all_of_them_again() {
    let mut rib = rib(FILE);
    outputs(&mut rib);
    take_in(&mut rib, FILE);
    let told = outputs(&mut rib);
    let [Output::Resolve(Targets::All { tunnels, ports })] = &told[..] else { panic!("{told:?}") };
    assert_eq!(tunnels.iter().map(|tunnel| tunnel.name.as_str()).collect::<Vec<_>>(), ["site"]);
    assert_eq!(ports.values().map(|port| port.name.as_str()).collect::<Vec<_>>(), ["up", "access"]);
}

#[test]
fn what_a_source_says_late_of_a_peer_that_is_gone_changes_nothing() {
    let mut rib = rib(FILE);
    let site = named(&rib, "site");
    let gone = FILE
        .replace("  site: { address: 192.0.2.9, encap: gre }", "  far: { address: 192.0.2.9, encap: nvgre }")
        .replace("site:  { peer: site, key: 7 }", "far: { peer: far, vsid: 5000 }")
        .replace("site: { peer: site, key: 8 }", "far: { peer: far, vsid: 5001 }");
    take_in(&mut rib, &gone);
    outputs(&mut rib);
    rib.resolved([path(site, 0x21), path(PeerId::new(9_999), 0x22)]);
    assert_eq!(rib.hops(site), []);
    assert!(rib.shared().forwarding.load().hops(PeerId::new(9_999)).is_none());
}

#[test]
fn a_port_is_what_the_file_states_and_otherwise_what_its_device_says() {
    let device = |mtu, is_down| {
        let state = DeviceState { mac: Some(Mac(mac(0x41))), mtu: Some(mtu), is_down };
        DeviceFact { port: PortId::new(0), state: Some(state), failure: None }
    };
    let mut rib = rib(FILE);
    let port = |rib: &Rib| {
        let port = rib.shared().forwarding.load().ports.get(PortId::new(0)).unwrap().clone();
        (port.mac, port.mtu, port.is_down)
    };
    rib.devices([device(1500, true)]);
    outputs(&mut rib);
    assert_eq!(port(&rib), (Some(Mac(UP)), Some(1600), true), "the file takes precedence");
    take_in(&mut rib, &FILE.replace("mac: \"02:aa:00:00:00:01\", mtu: 1600", "io: auto"));
    assert_eq!(port(&rib), (Some(Mac(mac(0x41))), Some(1500), true), "what the device said is still known");
    rib.devices([device(9000, false)]);
    outputs(&mut rib);
    assert_eq!(port(&rib), (Some(Mac(mac(0x41))), Some(9000), false));
    take_in(&mut rib, FILE);
    assert_eq!(port(&rib), (Some(Mac(UP)), Some(1600), false));
}

#[test]
fn a_device_that_is_gone_leaves_the_port_as_it_was_and_is_told_once() {
    let mut rib = rib(FILE);
    let state = DeviceState { mac: Some(Mac(mac(0x41))), mtu: Some(1500), is_down: false };
    rib.devices([DeviceFact { port: PortId::new(1), state: Some(state), failure: None }]);
    let gone = || DeviceFact { port: PortId::new(1), state: None, failure: Some("access is gone".into()) };
    rib.devices([gone()]);
    rib.devices([gone()]);
    let told = outputs(&mut rib);
    let failed = told.iter().filter(|output| matches!(output, Output::News(News::PortFailed { .. })));
    assert_eq!(failed.count(), 1);
    assert_eq!(rib.failures().get(&PortId::new(1)).map(String::as_str), Some("access is gone"));
    assert_eq!(rib.shared().forwarding.load().ports.get(PortId::new(1)).unwrap().mac, Some(Mac(mac(0x41))));
    rib.devices([DeviceFact { port: PortId::new(1), state: Some(state), failure: None }]);
    assert!(matches!(outputs(&mut rib)[..], [Output::News(News::PortWorks { .. })]));
    assert!(rib.failures().is_empty());
}

#[test]
fn the_gateways_own_addresses_stay_while_its_ports_do() {
    let mut rib = rib(FILE);
    let own = |rib: &Rib, tenant: &str| {
        let id = rib.names().domain_id(tenant).unwrap();
        rib.shared().forwarding.load().own_macs.domain(id)
    };
    let before = own(&rib, "blue");
    take_in(&mut rib, &FILE.replace("  red:", "  aardvark:"));
    assert_eq!(own(&rib, "blue"), before);
    take_in(&mut rib, &FILE.replace("02:aa:00:00:00:01", "02:aa:00:00:00:02"));
    assert_ne!(own(&rib, "blue"), before, "another machine says something else");
}

#[test]
fn nothing_is_settled_while_a_worker_may_use_older_tables() {
    let mut rib = rib(FILE);
    outputs(&mut rib);
    let red = rib.names().domain_id("red").unwrap();
    let worker = rib.shared().forwarding.load_full();
    take_in(&mut rib, &FILE.replace("  red:", "  white:"));
    assert!(!rib.settle());
    let text = format!(
        "{}  black: {{ attachments: {{ ce: {{ port: access, s_vid: 9 }} }} }}\n",
        FILE.replace("  red:", "  white:")
    );
    take_in(&mut rib, &text);
    assert_ne!(rib.names().domain_id("black"), Some(red), "a worker still learns by tables in which it is red's");
    drop(worker);
    assert!(rib.settle());
    take_in(&mut rib, &text.replace("black", "grey"));
    let grey = rib.names().domain_id("grey").unwrap();
    assert!([red, DomainId::new(3)].contains(&grey), "{grey:?} is a number that was free");
}

/// Why a file cannot be taken in without a restart.
fn refusals(from: &str, to: &str) -> Vec<String> {
    let before = load(from, &Plan::default()).1;
    let (config, plan) = load(to, &before);
    fixed::check(&before, &config, &plan).iter().map(|problem| problem.message.clone()).collect()
}

#[test]
fn what_is_opened_once_cannot_change() {
    let to = |old: &str, new: &str| refusals(FILE, &FILE.replace(old, new));
    assert_eq!(to("key: 8", "key: 9"), [""; 0]);
    assert_eq!(to("mtu: 1600", "mtu: 1700"), [""; 0]);
    assert_eq!(to("workers: 1", "workers: 2"), ["the number of workers cannot change while they run"]);
    assert_eq!(
        to("capacity: 1000", "capacity: 5000"),
        ["the size of the MAC table (fdb.capacity) cannot change while it is in use"]
    );
    assert_eq!(
        to("workers: 1", "workers: 1\npolling: busy"),
        ["how workers wait for frames (`polling`) cannot change while they run"]
    );
    assert_eq!(to("workers: 1", "workers: 1\nadmin: /tmp/a.sock"), ["the admin socket cannot change while it is open"]);
    let other = ["`device` and `io` of port `access` cannot change at run time"];
    assert_eq!(to("access: { device: access }", "access: { device: other }"), other);
    assert_eq!(to("access: { device: access }", "access: { device: access, io: af_packet }"), other);
}

#[test]
fn ports_are_neither_opened_nor_closed_by_a_reload() {
    let third = FILE
        .replace("endpoints:", "  third: { device: third }\nendpoints:")
        .replace("ports: [up]", "ports: [up, third]");
    assert_eq!(refusals(FILE, &third), ["port `third` is new, and ports are opened at the start"]);
    assert_eq!(refusals(&third, FILE), ["port `third` is gone, and ports are closed at the end"]);
}

#[test]
fn a_port_that_had_tenants_only_cannot_get_an_endpoint() {
    let both = FILE.replace("ports: [up]", "ports: [up, access]");
    let refused = refusals(FILE, &both);
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].starts_with("port `access` had tenants only"), "{refused:?}");
    assert_eq!(refusals(&both, FILE), [""; 0]);
}
