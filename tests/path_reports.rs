//! What ICMP errors of the underlay change, and which of them are not believed, without devices and without privilege.

mod common;

use std::net::IpAddr;

use common::Lab;
use common::wire::{self, BROADCAST, IPV4, mac};
use transload::compile::{Plan, compile};
use transload::config;
use transload::dataplane::Now;
use transload::report::TunnelState;
use transload::report::rows::{PeerRow, PeerState};
use transload::rib::activity::PARTS;
use transload::rib::facts::{IcmpError, PacketFate, QuotedTunnel, Unreachable};
use transload_encaps::Carrier;

const UP: [u8; 6] = [2, 0xaa, 0, 0, 0, 1];
const ROUTER: &str = "198.51.100.254";
const HOST: u8 = 1;
const FAR: u8 = 2;

const FILE: &str = r#"version: 1
ports:
  up:     { device: up, mac: "02:aa:00:00:00:01", mtu: 1500 }
  access: { device: access }
endpoints:
  v4: { address: 192.0.2.1, ports: [up] }
  v6: { address: "2001:db8::1", ports: [up] }
peers:
  leaf: { address: 192.0.2.9, accept_from: [192.0.2.10], encap: vxlan }
  site: { address: 192.0.2.20, encap: gre }
  six:  { address: "2001:db8::9", encap: vxlan }
groups:
  learned: { encap: { vxlan: { udp_port: 8472 } }, endpoint: v4, learn_from: 198.51.100.0/24 }
tenants:
  blue:
    attachments:
      leaf: { peer: leaf, vni: 100 }
      site: { peer: site, key: 7 }
      six:  { peer: six, vni: 100 }
      learned: { group: learned, vni: 100 }
      ce:   { port: access, untagged: true }
    static:
      - { mac: "02:00:00:00:00:02", via: leaf }
"#;

/// An error about a packet of 1500 bytes from our endpoint to this address.
fn error(remote: &str, carrier: Carrier, fate: PacketFate) -> IcmpError {
    let remote: IpAddr = remote.parse().unwrap();
    let local = if remote.is_ipv4() { "192.0.2.1" } else { "2001:db8::1" }.parse().unwrap();
    let tunnel = QuotedTunnel { local, remote, carrier };
    IcmpError { from: ROUTER.parse().unwrap(), tunnel, len: 1500, may_be_fragmented: false, fate }
}

fn too_big(remote: &str, mtu: u32) -> IcmpError {
    error(remote, Carrier::Udp(4789), PacketFate::TooBig { mtu: Some(mtu) })
}

fn unreachable(remote: &str, carrier: Carrier, why: Unreachable) -> IcmpError {
    error(remote, carrier, PacketFate::Unreachable(why))
}

fn report(lab: &mut Lab, error: &IcmpError) {
    let now = Now { nanos: lab.clock };
    lab.gateway.change(|rib| rib.reported(error, now));
}

fn row(lab: &Lab, name: &str) -> PeerRow {
    let (rib, mut state) = (lab.gateway.rib(), lab.gateway.state(lab.clock));
    state.activity = Some(rib.activity());
    let tunnels: Vec<_> = rib.tunnels().collect();
    let tunnel = |tunnel: &transload::rib::facts::Tunnel| TunnelState {
        peer: tunnel.peer,
        endpoint: "v4",
        address: tunnel.remote.to_string(),
        learned: None,
        failures: Vec::new(),
        report: rib.reports().of(tunnel.peer),
    };
    state.tunnels = tunnels.iter().map(tunnel).collect();
    state.peers(None).unwrap().into_iter().find(|row| row.peer == name).unwrap_or_else(|| panic!("no peer {name}"))
}

fn mtu(lab: &Lab, name: &str) -> u32 {
    row(lab, name).path_mtu.unwrap()
}

/// The MTU that the tenant's host is told when it sends an IPv4 packet of so many bytes, or `None` if it got through.
fn told(lab: &mut Lab, len: usize) -> Option<u16> {
    let mut packet = wire::ipv4([10, 0, 0, HOST].into(), [10, 0, 0, FAR].into(), 0, 17, &vec![7; len - 20]);
    packet[6] = 0x40;
    packet[10..12].fill(0);
    let sum = wire::sum(&[&packet[..20]]).to_be_bytes();
    packet[10..12].copy_from_slice(&sum);
    let sent = lab.send("access", wire::ethernet(mac(FAR), mac(HOST), IPV4, &packet));
    let [(port, frame)] = &sent[..] else { panic!("{sent:02x?}") };
    (port == "access").then(|| u16::from_be_bytes([frame[40], frame[41]]))
}

#[test]
fn a_path_mtu_bounds_what_is_sent_and_the_tenant_is_told() {
    let mut lab = Lab::new(FILE);
    assert_eq!((told(&mut lab, 1450), mtu(&lab, "leaf")), (None, 1500));
    report(&mut lab, &too_big("192.0.2.9", 1300));
    assert_eq!((mtu(&lab, "leaf"), mtu(&lab, "site"), mtu(&lab, "six")), (1300, 1500, 1500));
    assert_eq!((told(&mut lab, 1251), told(&mut lab, 1250)), (Some(1250), None));
    assert_eq!((row(&lab, "leaf").unsent, row(&lab, "site").unsent), (1, 0));
    lab.sleep(5);
    let heard = row(&lab, "leaf").path_mtu_report.unwrap();
    assert_eq!((heard.mtu, heard.from.as_str(), heard.ago), (1300, ROUTER, 5));
}

#[test]
fn a_path_mtu_falls_and_is_forgotten_but_never_rises() {
    let mut lab = Lab::new(FILE);
    report(&mut lab, &too_big("192.0.2.9", 1400));
    report(&mut lab, &too_big("192.0.2.9", 1450));
    assert_eq!(mtu(&lab, "leaf"), 1400, "larger than now");
    report(&mut lab, &too_big("192.0.2.9", 1300));
    assert_eq!(mtu(&lab, "leaf"), 1300);
    lab.sleep(599);
    assert_eq!(mtu(&lab, "leaf"), 1300);
    lab.sleep(1);
    assert_eq!(mtu(&lab, "leaf"), 1500);
    assert_eq!(row(&lab, "leaf").path_mtu_report, None);
}

#[test]
fn no_path_mtu_is_below_what_every_link_carries() {
    let mut lab = Lab::new(FILE);
    for small in [0, 68, 552, 575] {
        report(&mut lab, &too_big("192.0.2.9", small));
    }
    for small in [0, 68, 576, 1279] {
        report(&mut lab, &too_big("2001:db8::9", small));
    }
    assert_eq!((mtu(&lab, "leaf"), mtu(&lab, "six")), (1500, 1500));
    report(&mut lab, &too_big("192.0.2.9", 576));
    report(&mut lab, &too_big("2001:db8::9", 1280));
    assert_eq!((mtu(&lab, "leaf"), mtu(&lab, "six")), (576, 1280));
}

#[test]
fn an_old_router_that_names_no_mtu_means_the_next_plateau() {
    let mut lab = Lab::new(FILE);
    let old = |len| IcmpError { len, ..error("192.0.2.9", Carrier::Udp(4789), PacketFate::TooBig { mtu: None }) };
    for (len, plateau) in [(1500, 1492), (1492, 1006), (1006, 576), (576, 576)] {
        report(&mut lab, &old(len));
        assert_eq!(mtu(&lab, "leaf"), plateau, "of {len}");
    }
}

#[test]
fn what_quotes_no_packet_of_ours_is_not_believed() {
    let mut lab = Lab::new(FILE);
    let good = too_big("192.0.2.9", 1300);
    let of = |tunnel| IcmpError { tunnel, ..good };
    let forged = [
        ("another endpoint", of(QuotedTunnel { local: "192.0.2.2".parse().unwrap(), ..good.tunnel })),
        ("another family's endpoint", of(QuotedTunnel { local: "2001:db8::1".parse().unwrap(), ..good.tunnel })),
        ("nobody's address", of(QuotedTunnel { remote: "192.0.2.77".parse().unwrap(), ..good.tunnel })),
        ("an address that only sends", of(QuotedTunnel { remote: "192.0.2.10".parse().unwrap(), ..good.tunnel })),
        ("another port", of(QuotedTunnel { carrier: Carrier::Udp(4790), ..good.tunnel })),
        ("another protocol", of(QuotedTunnel { carrier: Carrier::Ip(47), ..good.tunnel })),
        ("a longer packet than is sent", IcmpError { len: 1501, ..good }),
        ("a packet that would have passed", IcmpError { len: 1300, ..good }),
        ("a packet without DF", IcmpError { may_be_fragmented: true, ..good }),
    ];
    for (what, forged) in forged {
        report(&mut lab, &forged);
        let row = row(&lab, "leaf");
        assert_eq!((row.path_mtu, row.path_mtu_report), (Some(1500), None), "{what}");
    }
    report(&mut lab, &good);
    assert_eq!(mtu(&lab, "leaf"), 1300);
}

#[test]
fn who_says_that_a_peer_is_unreachable_is_shown_for_two_minutes() {
    let mut lab = Lab::new(FILE);
    report(&mut lab, &unreachable("192.0.2.9", Carrier::Udp(4789), Unreachable::Port));
    report(&mut lab, &unreachable("192.0.2.20", Carrier::Ip(47), Unreachable::Protocol));
    report(&mut lab, &unreachable("2001:db8::9", Carrier::Udp(4789), Unreachable::Host));
    lab.sleep(3);
    let said = |lab: &Lab, name| row(lab, name).unreachable.map(|row| (row.from, row.what, row.ago));
    let by_router = |what: &str, ago| Some((ROUTER.to_owned(), what.to_owned(), ago));
    assert_eq!(said(&lab, "leaf"), by_router("UDP port 4789 unreachable", 3));
    assert_eq!(said(&lab, "site"), by_router("IP protocol 47 unreachable", 3));
    assert_eq!(said(&lab, "six"), by_router("host unreachable", 3));
    report(&mut lab, &unreachable("192.0.2.9", Carrier::Udp(4789), Unreachable::Prohibited));
    lab.sleep(118);
    assert_eq!(said(&lab, "leaf"), by_router("administratively prohibited", 118));
    assert_eq!(said(&lab, "site"), None);
}

/// DF and identification of the outer header of what leaves when the tenant's host sends `len` bytes to the one behind
/// the leaf.
fn flags_and_id(lab: &mut Lab, len: usize) -> (bool, u16) {
    let packet = wire::ipv4([10, 0, 0, HOST].into(), [10, 0, 0, FAR].into(), 0, 17, &vec![7; len - 20]);
    let sent = lab.send("access", wire::ethernet(mac(FAR), mac(HOST), IPV4, &packet));
    let [(_, frame)] = &sent[..] else { panic!("{sent:02x?}") };
    assert_eq!(wire::sum(&[&frame[14..34]]), 0, "the header's checksum");
    (frame[20] & 0x40 != 0, u16::from_be_bytes([frame[18], frame[19]]))
}

#[test]
fn with_df_clear_routers_fragment_and_what_they_report_does_not_count() {
    let clear = FILE.replace("192.0.2.10], encap: vxlan", "192.0.2.10], encap: vxlan, df: clear");
    let mut lab = Lab::new(FILE);
    assert_eq!([1, 2].map(|_| flags_and_id(&mut lab, 100)), [(true, 0); 2], "RFC 6864 §4.1: atomic datagrams");
    report(&mut lab, &too_big("192.0.2.9", 1300));
    reload(&mut lab, &clear);
    assert_eq!(mtu(&lab, "leaf"), 1500, "what was heard before is of no account");
    report(&mut lab, &too_big("192.0.2.9", 1300));
    report(&mut lab, &IcmpError { may_be_fragmented: true, ..too_big("192.0.2.9", 1300) });
    assert_eq!(mtu(&lab, "leaf"), 1500);
    assert_eq!([0, 1, 2].map(|_| flags_and_id(&mut lab, 1450)), [0, 1, 2].map(|id| (false, id)));
    reload(&mut lab, &clear.replace("key: 7", "key: 8"));
    assert_eq!(flags_and_id(&mut lab, 100), (false, 3), "a reload does not begin again");
    assert_eq!(told(&mut lab, 1451), Some(1450), "we ourselves do not fragment");
}

#[test]
fn members_that_a_group_learns_have_identifications_of_their_own() {
    let clear = FILE.replace("udp_port: 8472 } },", "udp_port: 8472 } }, df: clear,");
    let mut lab = Lab::new(&clear);
    let speak = |lab: &mut Lab, from: &str| {
        let ends: (IpAddr, IpAddr) = (from.parse().unwrap(), "192.0.2.1".parse().unwrap());
        let inner = wire::tenant_frame(BROADCAST, mac(9), 0);
        lab.send("up", wire::outer((UP, mac(0xbb)), ends, 0, 17, &wire::udp(50_000, 8472, &wire::vxlan(100, &inner))));
    };
    speak(&mut lab, "198.51.100.7");
    speak(&mut lab, "198.51.100.8");
    let mut flooded = || {
        let sent = lab.send("access", wire::tenant_frame(BROADCAST, mac(HOST), 0));
        let learned = sent.into_iter().filter(|(_, frame)| frame[30..33] == [198, 51, 100]);
        learned.map(|(_, frame)| (frame[33], frame[20], frame[19])).collect::<Vec<_>>()
    };
    assert_eq!(flooded(), [(7, 0, 0), (8, 0, 0)]);
    assert_eq!(flooded(), [(7, 0, 1), (8, 0, 1)]);
}

#[test]
fn a_learned_peer_has_a_path_mtu_too_until_it_is_forgotten() {
    let mut lab = Lab::new(FILE);
    let ends: (IpAddr, IpAddr) = ("198.51.100.7".parse().unwrap(), "192.0.2.1".parse().unwrap());
    let inner = wire::tenant_frame(BROADCAST, mac(9), 0);
    lab.send("up", wire::outer((UP, mac(0xbb)), ends, 0, 17, &wire::udp(50_000, 8472, &wire::vxlan(100, &inner))));
    let told = error("198.51.100.7", Carrier::Udp(8472), PacketFate::TooBig { mtu: Some(1400) });
    report(&mut lab, &told);
    assert_eq!(mtu(&lab, "learned/198.51.100.7"), 1400);
    reload(&mut lab, &FILE.replace("vni: 100 }\n      ce", "vni: 101 }\n      ce"));
    assert_eq!(mtu(&lab, "learned/198.51.100.7"), 1400);
    reload(&mut lab, &FILE.replace("198.51.100.0/24", "203.0.113.0/24"));
    assert_eq!(lab.gateway.rib().tunnels().count(), 3);
}

fn reload(lab: &mut Lab, text: &str) {
    let before: &Plan = lab.gateway.rib().plan();
    let config = config::parse("gateway.yaml", text).unwrap_or_else(|problems| panic!("{problems}"));
    let plan = compile(&config, &before.numbers, Some(&before.tables)).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(lab.gateway.reload(plan, lab.clock));
}

#[test]
fn a_reload_keeps_what_was_said_of_tunnels_that_stay() {
    let mut lab = Lab::new(FILE);
    report(&mut lab, &too_big("192.0.2.9", 1300));
    report(&mut lab, &unreachable("192.0.2.9", Carrier::Udp(4789), Unreachable::Port));
    reload(&mut lab, &FILE.replace("key: 7", "key: 8"));
    assert_eq!(mtu(&lab, "leaf"), 1300);
    assert!(row(&lab, "leaf").unreachable.is_some());
    reload(&mut lab, &FILE.replace("192.0.2.9,", "192.0.2.11,"));
    assert_eq!((mtu(&lab, "leaf"), row(&lab, "leaf").unreachable), (1500, None), "another path");
}

/// Everything is looked at once a second, so many times, in each of which something may happen.
fn pass(lab: &mut Lab, seconds: u64, happen: impl Fn(&mut Lab)) {
    for _ in 0..seconds {
        happen(lab);
        lab.sleep(1);
        let now = Now { nanos: lab.clock };
        lab.gateway.change(|rib| (0..PARTS).for_each(|_| rib.watch(now)));
    }
}

/// So many seconds pass in which nothing happens.
fn rest(lab: &mut Lab, seconds: u64) {
    lab.sleep(seconds - 1);
    pass(lab, 1, |_| ());
}

fn state(lab: &Lab, name: &str) -> (PeerState, Option<u64>, Option<u64>) {
    let row = row(lab, name);
    (row.state, row.last_heard, row.silent_for)
}

/// The tenant's host says something to everybody.
fn ask(lab: &mut Lab) {
    lab.send("access", wire::tenant_frame(BROADCAST, mac(HOST), 1));
}

/// A host behind the leaf does.
fn answer(lab: &mut Lab) {
    let ends = ("192.0.2.9".parse().unwrap(), "192.0.2.1".parse().unwrap());
    let frame = wire::tenant_frame(BROADCAST, mac(FAR), 1);
    lab.send("up", wire::outer((UP, mac(0xbb)), ends, 0, 17, &wire::udp(50_000, 4789, &wire::vxlan(100, &frame))));
}

#[test]
fn a_peer_is_fine_silent_unreachable_or_idle_by_what_is_heard_of_it() {
    let mut lab = Lab::new(FILE);
    rest(&mut lab, 3);
    assert_eq!(state(&lab, "leaf"), (PeerState::Idle, None, None));
    pass(&mut lab, 5, ask);
    assert_eq!(state(&lab, "leaf"), (PeerState::Idle, None, Some(4)), "an answer may still come");
    pass(&mut lab, 20, ask);
    assert_eq!(state(&lab, "leaf"), (PeerState::Silent, None, Some(24)));
    pass(&mut lab, 1, answer);
    assert_eq!(state(&lab, "leaf"), (PeerState::Fine, Some(0), None));
    assert_eq!(state(&lab, "site").0, PeerState::Silent, "the answer was not its");
    rest(&mut lab, 100);
    assert_eq!(state(&lab, "leaf"), (PeerState::Fine, Some(100), None), "nothing is sent to it");
    report(&mut lab, &error("192.0.2.9", Carrier::Udp(4789), PacketFate::Unreachable(Unreachable::Port)));
    assert_eq!(state(&lab, "leaf").0, PeerState::Unreachable);
    pass(&mut lab, 5, answer);
    assert_eq!(state(&lab, "leaf").0, PeerState::Unreachable, "what it sends arrives; what is sent to it need not");
    pass(&mut lab, 10, answer);
    assert_eq!(state(&lab, "leaf").0, PeerState::Fine, "nobody complains any more");
    rest(&mut lab, 301);
    assert_eq!(state(&lab, "leaf"), (PeerState::Idle, Some(301), None));
    assert_eq!(state(&lab, "six"), (PeerState::Idle, None, None), "what was sent long ago is forgotten");
}

#[test]
fn who_was_heard_is_not_silent_for_want_of_answers_to_what_everybody_gets() {
    let mut lab = Lab::new(FILE);
    pass(&mut lab, 1, answer);
    pass(&mut lab, 60, ask);
    assert_eq!(state(&lab, "leaf"), (PeerState::Fine, Some(60), None), "nobody has asked the leaf");
    let to_far = |lab: &mut Lab| lab.send("access", wire::tenant_frame(mac(FAR), mac(HOST), 1));
    pass(&mut lab, 1, |lab| drop(to_far(lab)));
    pass(&mut lab, 15, ask);
    assert_eq!(state(&lab, "leaf"), (PeerState::Silent, Some(76), Some(15)), "what was for it alone is not answered");
    let row = row(&lab, "leaf");
    assert_eq!((row.traffic.tx_frames, row.flooded), (76, 75));
}

#[test]
fn the_mtu_that_a_peer_leaves_its_tenant_is_the_one_that_the_tenant_is_told() {
    let mut lab = Lab::new(FILE);
    report(&mut lab, &too_big("192.0.2.9", 1300));
    let rib = lab.gateway.rib();
    let peer = rib.tunnel_ends().find(|end| end.remote.to_string() == "192.0.2.9").unwrap().peer;
    let mut state = lab.gateway.state(lab.clock);
    let (address, failures) = ("192.0.2.9".to_owned(), Vec::new());
    state.tunnels = vec![TunnelState { peer, endpoint: "v4", address, learned: None, failures, report: None }];
    let detail = state.peer_detail(state.peer_id("leaf").unwrap()).unwrap();
    assert_eq!((detail.row.peer.as_str(), detail.carrier.as_str()), ("leaf", "UDP port 4789"));
    let [served] = &detail.serves[..] else { panic!("{detail:?}") };
    assert_eq!((served.tenant.as_str(), served.attachment.as_str(), served.mtu), ("blue", "leaf", Some(1250)));
    assert_eq!((state.peer_id("lead"), state.peer_id("access")), (None, None), "a port is no tunnel peer");
    let blue = state.tenant_detail(state.tenant(Some("blue")).unwrap().unwrap()).unwrap();
    let mtus: Vec<_> = blue.mtus.iter().map(|(name, mtu)| (name.as_str(), *mtu)).collect();
    // 1500 less the headers, and less the Ethernet header of the tenant's frame; nobody is behind `learned` yet.
    assert_eq!(mtus, [("leaf", 1250), ("site", 1458), ("six", 1430)]);
    assert_eq!(
        blue.bum.iter().map(|row| row.class.as_str()).collect::<Vec<_>>(),
        ["broadcast", "multicast", "unknown_unicast"]
    );
    assert_eq!(told(&mut lab, 1251), Some(1250));
}
