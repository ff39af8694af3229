//! The isolation proof against the gateway itself: what the algebra says of a frame is what the pipeline does with it,
//! over every frame of a small space; and tables in which two tenants meet are not called isolated.

mod common;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use common::wire::{self, BROADCAST};
use proptest::prelude::*;
use transload::claims::{ArrivingFrame, ClaimTable, Owner};
use transload::compile::{Names, Numbers, Plan, compile};
use transload::config;
use transload::forwarding::{Connection, DomainId, EndpointId, FileTables, MappingId, PeerId, PortId};
use transload::isolation::{self, Meeting, Rule};
use transload::offline::{self, Offline};
use transload_encaps::{Carrier, Ids, Kind, qinq};

/// As much as fits of what tenants can share: ports, tags, endpoints, carriers, keys, IDs.
const CLOSE: &str = r#"
version: 1
ports:
  up:    { device: up }
  mixed: { device: mixed, tpids: [0x88a8, 0x9100] }
  trunk: { device: trunk, tpids: [0x8100, 0x88a8], emit_tpid: 0x88a8 }
endpoints:
  one: { address: 192.0.2.1, ports: [up, mixed] }
  two: { address: 192.0.2.2, ports: [up, mixed], vlan: 5 }
peers:
  v:  { address: 192.0.2.9,  endpoint: one, encap: vxlan }
  v8: { address: 192.0.2.9,  endpoint: one, encap: { vxlan: { udp_port: 8472 } } }
  n:  { address: 192.0.2.9,  endpoint: one, encap: nvgre }
  w:  { address: 192.0.2.9,  endpoint: two, encap: vxlan }
  g:  { address: 192.0.2.10, accept_from: [192.0.2.11], endpoint: two, encap: gre }
groups:
  m:  { members: [192.0.2.12-192.0.2.13], endpoint: one, encap: vxlan }
mappings:
  x: { from: { peer: w, vni: 4-7 }, to: { port: mixed, s_vid: 3, c_vid: "id[1:0]" } }
  y: { from: { peer: n, vsid: 4098-4099 }, to: { peer: g, key: "{8'1, id[0]}" } }
  z: { from: { peer: v, vni: 6-7 }, to: { port: mixed, vid: id - 3 } }
  h: { from: { peer: v8, vni: 4-5 }, to: { port: trunk, vid: "{id[0], 2'0}" } }
tenants:
  a: { limits: { bum: 10000000 }, attachments: {
        v: { peer: v, vni: 1 }, g: { peer: g }, n: { peer: n, vsid: 4096 }, m: { group: m, vni: 2 },
        p: { port: mixed, s_vid: 1, c_vid: 1 }, t: { port: trunk, vid: 1 }, u: { port: trunk, s_vid: 2, c_vid: 1-3 } } }
  b: { limits: { bum: 10000000 }, attachments: {
        v: { peer: v, vni: 2 }, g: { peer: g, key: 0 }, n: { peer: n, vsid: 4097 }, m: { group: m, vni: 1 },
        p: { port: mixed, s_vid: 1, c_vid: 2 }, t: { port: trunk, s_vid: 1, c_vid: 2 },
        o: { port: mixed, s_vid: 2, c_vid: 2 }, u: { port: trunk, s_vid: 2, c_vid: 2 } } }
  c: { limits: { bum: 10000000 }, attachments: {
        v: { peer: v8, vni: 1 }, w: { peer: w, vni: 1 }, g: { peer: g, key: 1048576 },
        p: { port: mixed, s_vid: 2 }, q: { port: mixed, vid: 1 }, t: { port: trunk, untagged: true } } }
  d: { limits: { bum: 10000000 }, attachments: {
        v: { peer: v8, vni: 2 }, w: { peer: w, vni: 2 }, g: { peer: g, key: 1048577 },
        q: { port: mixed, vid: 2 }, t: { port: trunk, s_vid: 2 },
        o: { port: mixed, s_vid: 2, c_vid: [1, 4-5] }, r: { port: mixed, s_vid: 4, c_vid: 2-3 } } }
"#;

fn plan(yaml: &str) -> Plan {
    let config = config::parse("isolation.yaml", yaml).unwrap_or_else(|problems| panic!("{problems:?}"));
    compile(&config, &Numbers::default(), None).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Who must not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Tenant(DomainId),
    /// An ID of a mapping, as the `from` side writes it.
    Id(MappingId, u64),
    /// Some ID of a mapping that has no counterpart.
    Hole(MappingId),
}

impl Whose {
    fn name(self, names: &Names) -> String {
        match self {
            Self::Tenant(domain) => names.domain(domain).into_owned(),
            Self::Id(mapping, _) | Self::Hole(mapping) => names.mapping(mapping).into_owned(),
        }
    }

    fn is(self, owner: Owner) -> bool {
        match (self, owner) {
            (Self::Tenant(domain), Owner::Tenant(claim)) => domain == claim.domain,
            (Self::Id(mapping, id), Owner::Mapping { mapping: other, run, .. }) => {
                mapping == other && (id ^ run.id) & !run.free == 0
            }
            (Self::Hole(mapping), Owner::Mapping { mapping: other, .. }) => mapping == other,
            _ => false,
        }
    }
}

/// The VNI or VSID of a tunnel packet.
fn vni(frame: &[u8]) -> u64 {
    let ip = if frame[12..14] == [0x81, 0] { 18 } else { 14 };
    let at = ip + 20 + if frame[ip + 9] == 17 { 12 } else { 4 };
    u64::from(u32::from_be_bytes([0, frame[at], frame[at + 1], frame[at + 2]]))
}

/// A gateway, and what each frame did to it.
struct World {
    gateway: Offline<'static>,
    ports: usize,
    domains: usize,
    mappings: usize,
    frames: u64,
}

impl World {
    fn new(plan: Plan) -> Self {
        let (ports, domains) = (plan.ports.len(), plan.tables.domains.span());
        let mappings = plan.tables.mappings.all.span();
        let arena = Box::leak(offline::arena().into_boxed_slice());
        Self { gateway: Offline::new(plan, arena), ports, domains, mappings, frames: 0 }
    }

    fn received(&self) -> Vec<u64> {
        let domain = |n| {
            self.gateway
                .counters()
                .domain(DomainId::new(n as u32))
                .unwrap()
                .parts()
                .map(|part| part.rx.frames.get())
                .sum::<u64>()
        };
        (0..self.domains).map(domain).collect()
    }

    /// By mapping: what crossed towards `from` and towards `to`, and what fell into holes.
    fn crossed(&self) -> Vec<[u64; 3]> {
        let mapping = |n| self.gateway.counters().mapping(MappingId::new(n as u32)).unwrap();
        let counts = |n| {
            let counters = mapping(n);
            [counters.sent[0].frames.get(), counters.sent[1].frames.get(), counters.holes.get()]
        };
        (0..self.mappings).map(counts).collect()
    }

    /// Whose the frame was, and what left because of it.
    fn send(&mut self, port: PortId, frame: &[u8]) -> (Option<Whose>, Vec<(PortId, Vec<u8>)>) {
        let (before, crossed) = (self.received(), self.crossed());
        self.frames += 1;
        self.gateway.receive(port, frame.to_vec(), self.frames * 1_000_000);
        let after = self.received();
        let mut sent = Vec::new();
        for n in 0..self.ports {
            let packets = self.gateway.port(PortId::new(n as u16)).unwrap().collect();
            sent.extend(packets.into_iter().map(|packet| (PortId::new(n as u16), packet.bytes)));
        }
        let tenants =
            (0..self.domains).filter(|&n| after[n] != before[n]).map(|n| Whose::Tenant(DomainId::new(n as u32)));
        let (now, sent_first) = (self.crossed(), sent.first().map(|(_, frame)| frame));
        let ids = (0..self.mappings).filter(|&n| now[n] != crossed[n]).map(|n| match MappingId::new(n as u32) {
            mapping if now[n][0] != crossed[n][0] => Whose::Id(mapping, vni(sent_first.expect("it crossed"))),
            mapping if now[n][1] != crossed[n][1] => Whose::Id(mapping, vni(frame)),
            mapping => Whose::Hole(mapping),
        });
        let mut reached = tenants.chain(ids);
        let first = reached.next();
        assert_eq!(reached.next(), None, "one frame reached two tenants");
        (first, sent)
    }
}

fn ours(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, last)
}

fn tenant_frame(tags: &[(u16, u16)]) -> Vec<u8> {
    let frame = wire::ethernet(BROADCAST, [2, 0, 0, 0, 0, 1], 0x88b5, &[0; 46]);
    tags.iter().rev().fold(frame, |frame, &(tpid, tci)| wire::tag(&frame, tpid, tci))
}

/// Every tunnel packet of the small space: the frame, and what decides about it.
fn tunnel_packets(inner: &[u8]) -> Vec<(ArrivingFrame, Vec<u8>)> {
    let keys =
        [0, 1, 2, 3, 4096, 0x10_0000, 0x10_0001, 0x10_00ff, 0x10_0100, 0x10_01ff, 0x10_0200, 0x10_0301, 0x10_0400];
    let mut payloads = Vec::new();
    for vni in 0..8 {
        for port in [4789, 8472, 4790] {
            payloads.push((Carrier::Udp(port), u64::from(vni), 17, wire::udp(7, port, &wire::vxlan(vni, inner))));
        }
    }
    payloads.extend(keys.map(|key| (Carrier::Ip(47), u64::from(key), 47, wire::gre(Some(key), inner))));
    payloads.push((Carrier::Ip(47), 1 << 32, 47, wire::gre(None, inner)));
    let mut all = Vec::new();
    for (port, vlan) in (0..3).flat_map(|port| [None, Some(0), Some(5), Some(6)].map(|vlan| (PortId::new(port), vlan)))
    {
        for (to, from) in (1..4).flat_map(|to| (8..15).map(move |from| (to, from))) {
            for (carrier, id, protocol, payload) in &payloads {
                let packet = wire::ipv4(ours(from), ours(to), 0, *protocol, payload);
                let frame = wire::ethernet([2, 0, 0, 0, 0, 9], [2, 0, 0, 0, 0, 8], wire::IPV4, &packet);
                let frame = vlan.map_or(frame.clone(), |vlan| wire::tag(&frame, 0x8100, vlan));
                let tunnel = Some((IpAddr::from(ours(to)), IpAddr::from(ours(from)), *carrier, *id));
                all.push((ArrivingFrame { port, tags: qinq::wire_id_of_vlan(vlan), tunnel }, frame));
            }
        }
    }
    all
}

/// Every stack of up to two tags of the small space, as pairs of TPID and VLAN ID.
fn tag_stacks() -> Vec<Vec<(u16, u16)>> {
    let tags: Vec<_> =
        [0x8100, 0x88a8, 0x9100].iter().flat_map(|&tpid| [0, 1, 2, 3, 4, 5].map(|vid| (tpid, vid))).collect();
    let mut all = vec![vec![]];
    for &first in &tags {
        all.push(vec![first]);
        all.extend(tags.iter().map(|&second| vec![first, second]));
    }
    all
}

/// The tags as the algebra counts them, worked out anew from its definition.
fn counted(tpids: &[u16], stack: &[(u16, u16)]) -> u64 {
    let Some(&(tpid, vid)) = stack.first() else { return 0 };
    let first = if tpid == 0x8100 {
        1
    } else if tpids.contains(&tpid) {
        2
    } else {
        3
    };
    let next = match stack.get(1) {
        None => 0,
        Some((0x8100, vid)) => 0x1000 | u64::from(*vid),
        Some(_) => 1,
    };
    first << 25 | u64::from(vid) << 13 | next
}

#[test]
fn the_pipeline_takes_every_frame_of_a_small_space_to_the_tenant_that_the_algebra_names() {
    let plan_of_claims = plan(CLOSE);
    let claims = ClaimTable::of(&plan_of_claims);
    let mut world = World::new(plan(CLOSE));
    let mut frames = tunnel_packets(&tenant_frame(&[]));
    for (port, tpids) in [(0, &[0x88a8][..]), (1, &[0x88a8, 0x9100]), (2, &[0x8100, 0x88a8])] {
        let stacks = tag_stacks().into_iter();
        frames.extend(stacks.map(|stack| {
            (
                ArrivingFrame { port: PortId::new(port), tags: counted(tpids, &stack), tunnel: None },
                tenant_frame(&stack),
            )
        }));
    }
    let (mut taken, total) = (0, frames.len());
    for (arrival, frame) in frames {
        let owners = claims.owners(&arrival);
        assert!(owners.len() <= 1, "{arrival:?} is claimed by {owners:?}");
        let (reached, _) = world.send(arrival.port, &frame);
        let agree = match (reached, owners.first()) {
            (Some(reached), Some(owner)) => reached.is(*owner),
            // Of tags with one VLAN ID, a reserved one is nobody's.
            (None | Some(Whose::Hole(_)), None) => true,
            _ => false,
        };
        assert!(agree, "{arrival:?} reached {reached:?}, and the algebra says {owners:?}");
        taken += usize::from(reached.is_some());
    }
    assert!(total > 5_000 && taken > 100, "{taken} of {total}");
}

/// A frame that was sent, as the far end sends it back.
fn reflected(frame: &[u8]) -> Vec<u8> {
    let mut back = frame.to_vec();
    let at = if frame[12..14] == [0x81, 0] { 16 } else { 12 };
    if frame[at..at + 2] == [8, 0] {
        back[at + 14..at + 18].copy_from_slice(&frame[at + 18..at + 22]);
        back[at + 18..at + 22].copy_from_slice(&frame[at + 14..at + 18]);
    }
    back
}

/// Sends, by every way that a tenant has, frames with these tags of their own, and gives back whatever comes back of
/// them into another tenant.
fn meetings_found_by_trying(plan_of: impl Fn() -> Plan, tags: &[Vec<(u16, u16)>]) -> Vec<(Whose, Whose)> {
    let claims_plan = plan_of();
    let claims = ClaimTable::of(&claims_plan);
    let mut world = World::new(plan_of());
    let mut found = Vec::new();
    for own in tags {
        let mut frames: Vec<_> = tunnel_packets(&tenant_frame(own))
            .into_iter()
            .filter(|(arrival, _)| !claims.owners(arrival).is_empty())
            .map(|(arrival, frame)| (arrival.port, frame))
            .collect();
        frames.extend((0..3).map(|port| (PortId::new(port), tenant_frame(own))));
        for (port, frame) in frames {
            let (Some(origin), sent) = world.send(port, &frame) else { continue };
            for (port, frame) in sent {
                let (Some(reached), _) = world.send(port, &reflected(&frame)) else { continue };
                if reached != origin {
                    found.push((origin, reached));
                }
            }
        }
    }
    found
}

#[test]
fn nothing_that_is_sent_and_sent_back_reaches_another_tenant_whatever_tags_it_brings() {
    assert!(isolation::examine(&plan(CLOSE)).holds());
    let mut tags = tag_stacks();
    tags.retain(|stack| stack.len() < 2 || stack[1] == (0x8100, 2));
    assert_eq!(meetings_found_by_trying(|| plan(CLOSE), &tags), []);
}

fn domain(plan: &Plan, name: &str) -> DomainId {
    plan.names.domain_id(name).unwrap()
}

fn meetings(plan: &Plan) -> Vec<Meeting> {
    isolation::examine(plan).meetings
}

/// The meeting of these two under this rule, by the path it takes.
fn path(plan: &Plan, rule: Rule, from: &str, to: &str) -> String {
    let all = meetings(plan);
    let found = all.iter().find(|one| one.rule == rule && one.from.name() == from && one.to.name() == to);
    found.unwrap_or_else(|| panic!("no such meeting among {all:#?}")).path.join("\n")
}

fn attachment<'p>(plan: &'p mut Plan, tenant: &str, name: &str) -> &'p mut transload::forwarding::Attachment {
    let domain = domain(plan, tenant);
    let rows = &mut Arc::get_mut(&mut plan.tables).unwrap().domains.get_mut(domain).unwrap().attachments;
    rows.iter_mut().find(|(id, _)| plan.names.attachment(domain, *id) == name).unwrap().1
}

#[test]
fn a_claim_that_points_at_another_domain_is_found_with_its_path() {
    let mut plan = plan(CLOSE);
    let (a, b) = (domain(&plan, "a"), domain(&plan, "b"));
    let segments = &mut Arc::get_mut(&mut plan.tables).unwrap().segments;
    let vni = Kind::Vxlan.segment(&Ids::of(&[("vni", 1)])).unwrap();
    let claim = segments.iter_mut().find(|((_, segment), claim)| *segment == vni && claim.domain == a).unwrap().1;
    claim.domain = b;
    assert_eq!(
        path(&plan, Rule::Reflections, "a", "b"),
        "tenant `a` (attachment `v`) sends a frame to peer v (192.0.2.9) with vni 1\n\
         peer v (192.0.2.9) sends it back, or to others there\n\
         tenant `b` (attachment `v`) takes it for vni 1"
    );
}

#[test]
fn an_egress_segment_of_another_tenant_is_found_with_its_path() {
    let mut plan = plan(CLOSE);
    attachment(&mut plan, "a", "v").segment = Kind::Vxlan.segment(&Ids::of(&[("vni", 2)])).unwrap();
    assert!(path(&plan, Rule::Reflections, "a", "b").ends_with("tenant `b` (attachment `v`) takes it for vni 2"));
    assert_eq!(
        path(&plan, Rule::Departures, "a", "b"),
        "tenant `a` (attachment `v`) sends to peer v with vni 2\n\
         tenant `b` (attachment `v`) sends to peer v with vni 2\n\
         at the far end they are one"
    );
}

#[test]
fn an_egress_segment_that_nobody_claims_is_no_meeting_until_two_send_it() {
    let vni = Kind::Vxlan.segment(&Ids::of(&[("vni", 77)])).unwrap();
    let mut plan = plan(CLOSE);
    attachment(&mut plan, "a", "v").segment = vni;
    assert_eq!(meetings(&plan), []);
    attachment(&mut plan, "b", "v").segment = vni;
    path(&plan, Rule::Departures, "a", "b");
}

#[test]
fn a_sender_that_is_taken_for_another_peer_is_found() {
    let mut plan = plan(CLOSE);
    let find = |plan: &Plan, name: &str| plan.names.peers().find(|(_, peer)| *peer == name).unwrap().0;
    let (v, v8) = (find(&plan, "v"), find(&plan, "v8"));
    let senders = &mut Arc::get_mut(&mut plan.tables).unwrap().senders;
    *senders.values_mut().find(|peer| **peer == v).unwrap() = v8;
    path(&plan, Rule::Reflections, "a", "c");
}

#[test]
fn a_claim_that_the_tags_of_its_port_do_not_know_is_found() {
    let mut plan = plan(CLOSE);
    let (a, c) = (domain(&plan, "a"), domain(&plan, "c"));
    let scope = plan.tables.peer(plan.tables.ports.get(PortId::new(2)).unwrap().tags.unwrap()).unwrap().scope;
    let claim = plan.tables.segments.iter().find(|((at, _), claim)| *at == scope && claim.domain == a).unwrap().1;
    let claim = *claim;
    Arc::get_mut(&mut plan.tables).unwrap().segments.insert((scope, qinq::single(3)), claim);
    assert!(meetings(&plan).iter().all(|meeting| meeting.rule == Rule::InnerTags));
    assert_eq!(
        path(&plan, Rule::InnerTags, "c", "a"),
        "tenant `c` (attachment `t`) sends a frame with a VLAN tag of its own\n\
         on port trunk the tag makes it vid 3\n\
         which is tenant `a` (attachment `t`)"
    );
    assert_ne!(a, c);
}

#[test]
fn a_tunnel_to_ourselves_is_found() {
    let mut plan = plan(CLOSE);
    // The far end of `w` becomes our endpoint `one`, which takes packets from endpoint `two` for `v`.
    let endpoint = plan.tables.senders.keys().find(|sender| sender.carrier == Carrier::Udp(8472)).unwrap().endpoint;
    let peer = |name: &str| plan.names.peers().find(|(_, peer)| *peer == name).unwrap().0;
    let (v, w) = (peer("v"), peer("w"));
    let looped = transload::forwarding::Sender { endpoint, address: ours(2).into(), carrier: Carrier::Udp(4789) };
    Arc::get_mut(&mut plan.tables).unwrap().senders.insert(looped, v);
    plan.tunnels.iter_mut().find(|tunnel| tunnel.peer == w).unwrap().remote = ours(1).into();
    assert!(path(&plan, Rule::Loops, "c", "a").contains("the packet comes to an endpoint of our own"));
}

#[test]
fn two_ports_of_one_device_are_one_wire() {
    let mut plan = plan(CLOSE);
    plan.ports[2].backend = plan.ports[1].backend.clone();
    let path = path(&plan, Rule::Arrivals, "c", "a");
    assert!(path.starts_with("a frame arrives from port mixed, which is the same wire as port trunk"), "{path}");
    // And the tags of one are beside the tunnels of the other.
    assert!(meetings(&plan).iter().any(|meeting| meeting.rule == Rule::Forgery));
}

#[test]
fn two_endpoints_with_one_address_on_one_wire_are_found() {
    let mut plan = plan(CLOSE);
    for endpoint in Arc::get_mut(&mut plan.tables).unwrap().endpoints.values_mut() {
        (endpoint.address, endpoint.vlan) = (ours(1).into(), None);
    }
    let path = path(&plan, Rule::Arrivals, "a", "c");
    assert!(path.starts_with("a frame arrives from 192.0.2.9 to 192.0.2.1 on port up, UDP port 4789"), "{path}");
}

#[test]
fn a_gre_key_and_a_vsid_are_intervals_of_the_same_bits() {
    let both = r"
version: 1
ports: { up: { device: up } }
endpoints: { one: { address: 192.0.2.1, ports: [up] }, two: { address: 192.0.2.2, ports: [up] } }
peers:
  n: { address: 192.0.2.9, endpoint: one, encap: nvgre }
  g: { address: 192.0.2.9, endpoint: two, encap: gre }
tenants:
  a: { attachments: { n: { peer: n, vsid: 4096 } } }
  b: { attachments: { g: { peer: g, key: KEY } } }
";
    for (key, meets) in
        [("0xfffff", false), ("0x100000", true), ("0x1000ff", true), ("0x100100", false), ("4096", false)]
    {
        let mut plan = plan(&both.replace("KEY", key));
        Arc::get_mut(&mut plan.tables).unwrap().endpoints.get_mut(EndpointId::new(1)).unwrap().address = ours(1).into();
        let all = meetings(&plan);
        assert_eq!(all.iter().any(|meeting| meeting.rule == Rule::Arrivals), meets, "key {key}: {all:#?}");
    }
}

#[test]
fn one_far_end_by_two_endpoints_is_an_assumption_with_a_name() {
    let plan = plan(CLOSE);
    let all = isolation::examine(&plan).assumptions();
    let one = all.iter().find(|assumption| assumption.name == "one_far_end").expect("it is told");
    assert_eq!(
        one.here,
        [
            "192.0.2.9, UDP port 4789, is both v and w: vni 1 is tenant `a` (attachment `v`) by the first and tenant \
             `c` (attachment `w`) by the second",
            "192.0.2.9, UDP port 4789, is both v and w: vni 2 is tenant `b` (attachment `v`) by the first and tenant \
             `d` (attachment `w`) by the second",
            "192.0.2.9, UDP port 4789, is both v and w: vni 6 is ID 0x6 of mapping `z` (side `from`) by the first and \
             ID 0x6 of mapping `x` (side `from`) by the second",
        ]
    );
}

#[test]
fn the_hash_is_of_what_the_file_says_and_not_of_its_order() {
    let hash = |text: &str| isolation::examine(&plan(text)).document().hash;
    let turned = {
        let (head, tenants) = CLOSE.split_once("tenants:\n").unwrap();
        let at = tenants.find("  c: {").unwrap();
        format!("{head}tenants:\n{}{}", &tenants[at..], &tenants[..at])
    };
    assert_eq!(hash(CLOSE), hash(&turned));
    assert_ne!(hash(CLOSE), hash(&CLOSE.replace("peer: v, vni: 2", "peer: v, vni: 3")));
    assert_ne!(hash(CLOSE), hash(&CLOSE.replace("accept_from: [192.0.2.11]", "accept_from: [192.0.2.14]")));
}

fn connection<'p>(plan: &'p mut Plan, name: &str) -> &'p mut Connection {
    let id = plan.names.mappings().find(|(_, mapping)| *mapping == name).unwrap().0;
    Arc::get_mut(&mut plan.tables).unwrap().mappings.all.get_mut(id).unwrap()
}

#[test]
fn an_id_of_a_mapping_that_becomes_a_tenants_is_found_with_its_path() {
    let mut plan = plan(CLOSE);
    // The S-VID is the same for every ID.
    connection(&mut plan, "x").ids.sides[1].fields[0].add = 1;
    assert_eq!(
        path(&plan, Rule::Arrivals, "x", "a"),
        "a frame arrives from port mixed\n\
         ID 0x5 of mapping `x` (side `to`) takes it for s_vid 1, c_vid 1\n\
         tenant `a` (attachment `p`) takes it for s_vid 1, c_vid 1"
    );
    assert_eq!(
        path(&plan, Rule::Departures, "x", "b"),
        "ID 0x6 of mapping `x` (side `to`) sends to port mixed with s_vid 1, c_vid 2\n\
         tenant `b` (attachment `p`) sends to port mixed with s_vid 1, c_vid 2\n\
         at the far end they are one"
    );
}

#[test]
fn two_ids_of_a_mapping_that_are_written_alike_are_found() {
    let mut plan = plan(CLOSE);
    for step in &mut connection(&mut plan, "x").ids.sides[1].fields[1].moves {
        step.mask &= !2;
    }
    assert_eq!(
        path(&plan, Rule::OneToOne, "x", "x"),
        "ID 0x4 of mapping `x` (side `to`) and ID 0x6 of mapping `x` (side `to`) write the same ID on the `to` side, mixed"
    );
    let headline = meetings(&plan)[0].headline();
    assert!(headline.starts_with("ID 0x4 of mapping `x` and ID 0x6 of mapping `x` can meet: "), "{headline}");
}

#[test]
fn two_mappings_that_send_alike_are_found() {
    let mut plan = plan(CLOSE);
    let w = plan.names.peers().find(|(_, peer)| *peer == "w").unwrap().0;
    connection(&mut plan, "h").ends[0].peer = w;
    assert_eq!(
        path(&plan, Rule::Departures, "x", "h"),
        "ID 0x5 of mapping `x` (side `from`) sends to peer w with vni 5\n\
         ID 0x5 of mapping `h` (side `from`) sends to peer w with vni 5\n\
         at the far end they are one"
    );
}

#[test]
fn sixteen_million_ids_are_proved_in_a_page() {
    let all = r#"
version: 1
ports: { up: { device: up }, access: { device: access } }
endpoints: { one: { address: 192.0.2.1, ports: [up] } }
peers:
  v: { address: 192.0.2.9, encap: vxlan }
  n: { address: 192.0.2.10, encap: nvgre }
  g: { address: 192.0.2.11, encap: gre }
mappings:
  straight: { from: { peer: v, vni: 0x000000-0x7fffff }, to: { port: access, s_vid: "id[23:12]", c_vid: "id[11:0]" } }
  crossed:  { from: { peer: v, vni: 0x800001-0xfffffe }, to: { peer: g, key: "{id[11:0], 3'0x5, id[23:12]} + 77" } }
  other:    { from: { peer: n, vsid: 0x1000-0xfffffe }, to: { peer: g, key: "0x80000000 + id" } }
"#;
    let plan = plan(all);
    let isolation = isolation::examine(&plan);
    assert_eq!(isolation.meetings, []);
    let proof = isolation.document().proof;
    let rows: usize = proof.spaces.iter().map(|space| space.claims.len() + space.departures.len()).sum();
    assert!(rows < 400, "{rows} rows");
    assert_eq!(proof.mappings.iter().map(|row| row.ids).sum::<u64>(), 0x80_0000 + 0x7f_fffe + 0xff_efff);
}

/// One of the ways to break tables, chosen by numbers.
fn break_tables(tables: &mut FileTables, what: u8, one: usize, other: usize) {
    match what {
        0 => {
            let segments = &mut tables.segments;
            let mut keys: Vec<_> = segments.keys().copied().collect();
            keys.sort();
            let (from, to) = (segments[&keys[one % keys.len()]], keys[other % keys.len()]);
            segments.insert(to, from);
        }
        1 => {
            let domains = &mut tables.domains;
            let rows = domains.values().flat_map(|domain| domain.attachments.values());
            let segments: Vec<_> = rows.map(|at| (at.segment, at.members)).collect();
            let (segment, members) = segments[one % segments.len()];
            let mut rows = domains.values_mut().flat_map(|domain| domain.attachments.values_mut());
            let row = rows.nth(other % segments.len()).unwrap();
            (row.segment, row.members) = (segment, members);
        }
        2 => {
            let senders = &mut tables.senders;
            let mut keys: Vec<_> = senders.keys().copied().collect();
            keys.sort_by_key(|sender| (sender.endpoint, sender.address, sender.carrier));
            let (from, to) = (senders[&keys[one % keys.len()]], keys[other % keys.len()]);
            senders.insert(to, from);
        }
        _ => {
            let kind = |peer: PeerId| tables.peers.get(peer).map(|peer| peer.compiled.kind());
            let mappings = &mut tables.mappings;
            let connection = mappings.all.values_mut().nth(one % 4).unwrap();
            // Of the same encapsulation: an ID of another one would mean nothing there, and no loader makes such tables.
            let now = kind(connection.ends[one / 4 % 2].peer);
            let peers: Vec<_> = tables.peers.iter().map(|(id, _)| id).filter(|peer| kind(*peer) == now).collect();
            break_mapping(connection, what, one / 4, peers[other % peers.len()], 1 << (other % 4));
        }
    }
}

/// One of the ways to break a mapping: what it writes, which IDs it has, to whom it sends.
fn break_mapping(connection: &mut Connection, what: u8, place: usize, peer: PeerId, bit: u64) {
    let ids = &mut connection.ids;
    let side = &mut ids.sides[place % 2];
    let fields = side.fields.len();
    let field = &mut side.fields[place % fields];
    match what {
        3 => field.moves.iter_mut().for_each(|step| step.mask &= !bit),
        4 => field.moves.iter_mut().for_each(|step| step.left = (step.left + bit.trailing_zeros()) & 63),
        5 => field.add = field.add.wrapping_add(bit),
        6 => field.constant ^= bit,
        7 => side.base ^= bit << 8,
        8 => ids.varying ^= bit,
        9 => ids.fixed ^= bit,
        10 => (field.first, field.last) = (0, field.last | 7),
        _ => connection.ends[place % 2].peer = peer,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn tables_in_which_trying_finds_a_meeting_are_not_called_isolated(what in 0..12_u8, one in any::<usize>(), other in any::<usize>()) {
        let broken = || {
            let mut plan = plan(CLOSE);
            break_tables(Arc::get_mut(&mut plan.tables).unwrap(), what, one, other);
            plan
        };
        let found = meetings_found_by_trying(broken, &[vec![], vec![(0x8100, 1)]]);
        let plan = broken();
        let all = meetings(&plan);
        for (origin, reached) in found {
            let (from, to) = (origin.name(&plan.names), reached.name(&plan.names));
            prop_assert!(
                all.iter().any(|meeting| [&meeting.from, &meeting.to].iter().any(|party| party.name() == from)
                    && [&meeting.from, &meeting.to].iter().any(|party| party.name() == to)),
                "{from} reached {to}, and the algebra found only {all:#?}"
            );
        }
    }
}
