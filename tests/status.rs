//! What `status` is made of, without devices: troubles come of what is counted, and a page holds only so many.

mod common;

use std::collections::BTreeMap;

use common::Lab;
use common::wire::{self, BROADCAST, mac};
use transload::dataplane::Now;
use transload::forwarding::PortId;
use transload::report::drop_history::{DropHistory, LastMinute};
use transload::report::inspection::Inspection;
use transload::report::rows::{GatewayRole, GatewayRow, Health, ReloadResult, ReloadRow, StatusRow, Subject};
use transload::report::{GatewayState, PortState, TunnelState};
use transload::rib::facts::{QuotedTunnel, Unreachable};
use transload::rib::path_reports::{PathReport, ReportedUnreachable};
use transload_encaps::{Carrier, Common};

const SECOND: u64 = 1_000_000_000;

const GATEWAY: &str = "
version: 1
ports:
  up:     { device: up }
  access: { device: access }
endpoints: { vtep: { address: 192.0.2.1, ports: [up] } }
peers:
  leaf: { address: 192.0.2.9, encap: vxlan }
tenants:
  blue:
    limits: { macs: 2 }
    attachments: { leaf: { peer: leaf, vni: 1 }, ce: { port: access, vid: 8 } }
";

fn frame_of_leaf(vni: u32, source: u8) -> Vec<u8> {
    let ends = ([192, 0, 2, 9].into(), [192, 0, 2, 1].into());
    let inner = wire::tenant_frame(BROADCAST, mac(source), 0);
    wire::outer((mac(0xaa), mac(0xbb)), ends, 0, 17, &wire::udp(50_000, 4789, &wire::vxlan(vni, &inner)))
}

fn gateway() -> GatewayRow {
    GatewayRow {
        version: "0.0.0".into(),
        role: GatewayRole::Active,
        file: "gateway.yaml".into(),
        sha256: String::new(),
        started: 0,
        loaded: 0,
        in_force: true,
        last_reload: None,
        reloads_done: 0,
        reloads_rejected: 0,
        metrics_failure: None,
        fdb_entries: 0,
        fdb_capacity: 0,
        events_lost: 0,
        log_lost: 0,
    }
}

fn inspected(state: &GatewayState<'_>, last: LastMinute) -> StatusRow {
    let mut inspection = Inspection::new(last, BTreeMap::new());
    inspection.basics(state);
    inspection.peers(state);
    inspection.tenants(state, &state.tenant_ids(None).unwrap());
    inspection.finish(gateway(), Vec::new())
}

fn names(status: &StatusRow) -> Vec<(Health, Subject, &str)> {
    status.troubles.iter().map(|row| (row.health, row.about, row.name.as_str())).collect()
}

#[test]
fn drops_are_a_trouble_while_they_go_on() {
    let mut lab = Lab::new(GATEWAY);
    let mut history = DropHistory::default();
    let reason = Common::UnknownSegment.into();
    let up = PortId::new(0);
    let last = |lab: &Lab, history: &DropHistory| {
        let state = lab.gateway.state(0);
        history.last_minute(state.counters, state.names)
    };
    let note = |lab: &Lab, history: &mut DropHistory, seconds: u64| {
        let state = lab.gateway.state(0);
        history.note(Now { nanos: seconds * SECOND }, state.counters, state.names);
    };
    note(&lab, &mut history, 0);
    (0..3).for_each(|_| drop(lab.send("up", frame_of_leaf(99, 1))));
    assert_eq!(last(&lab, &history).of(reason).frames, 3);
    assert!(!last(&lab, &history).of(reason).rises(), "once is no trend");
    note(&lab, &mut history, 4);
    lab.send("up", frame_of_leaf(99, 1));
    assert!(!last(&lab, &history).of(reason).rises(), "a sample is taken every five seconds");
    note(&lab, &mut history, 5);
    lab.send("up", frame_of_leaf(99, 1));
    let seen = last(&lab, &history);
    assert_eq!((seen.of(reason).frames, seen.of_port(up, reason).frames, seen.lost(up).frames), (5, 5, 0));
    let status = inspected(&lab.gateway.state(0), seen);
    assert_eq!(names(&status), [(Health::Trouble, Subject::Drops, "unknown_segment")]);
    let row = &status.troubles[0];
    assert_eq!((row.last_minute, row.responsible.as_deref()), (Some(5), Some("config")));
    assert!(row.what.contains("at port up") && row.advice.contains("add an attachment"), "{row:?}");
    (2..=20).for_each(|step| note(&lab, &mut history, step * 5));
    assert_eq!(last(&lab, &history).of(reason).frames, 0, "a minute later it is over");
}

#[test]
fn what_every_network_drops_is_a_remark() {
    let mut lab = Lab::new(&GATEWAY.replace("leaf: { peer: leaf, vni: 1 }, ", ""));
    let mut history = DropHistory::default();
    for step in 0..3 {
        let state = lab.gateway.state(0);
        history.note(Now { nanos: step * 5 * SECOND }, state.counters, state.names);
        lab.send("access", wire::tag(&wire::tenant_frame(BROADCAST, mac(1), 0), 0x8100, 8));
    }
    let state = lab.gateway.state(0);
    let status = inspected(&state, history.last_minute(state.counters, state.names));
    assert_eq!(names(&status), [(Health::Fine, Subject::Drops, "no_targets")]);
    assert_eq!(status.health, Health::Fine);
}

/// What is said once these frames have come in at port `up`, five seconds apart.
fn said_of(file: &str, frame: &[u8]) -> StatusRow {
    let mut lab = Lab::new(file);
    let mut history = DropHistory::default();
    for step in 0..3 {
        let state = lab.gateway.state(0);
        history.note(Now { nanos: step * 5 * SECOND }, state.counters, state.names);
        lab.send("up", frame.to_vec());
    }
    let state = lab.gateway.state(lab.clock);
    inspected(&state, history.last_minute(state.counters, state.names))
}

#[test]
fn a_peer_in_another_vlan_than_the_endpoint_is_a_trouble() {
    let tagged = wire::tag(&frame_of_leaf(1, 1), 0x8100, 30);
    let in_vlan = GATEWAY.replace("ports: [up] }", "ports: [up], vlan: 31 }");
    let cases = [
        (GATEWAY, &tagged, "peer leaf sends to endpoint 192.0.2.1, but its packets arrive with a VLAN tag"),
        (&in_vlan, &tagged, "peer leaf sends to endpoint 192.0.2.1, but not in VLAN 31"),
        (&in_vlan, &frame_of_leaf(1, 1), "peer leaf sends to endpoint 192.0.2.1, but not in VLAN 31"),
    ];
    for (file, frame, words) in cases {
        let status = said_of(file, frame);
        assert_eq!(names(&status), [(Health::Trouble, Subject::Drops, "not_for_us")]);
        assert!(status.troubles[0].advice.contains(words), "{:?}", status.troubles[0]);
    }
    let ends = ([192, 0, 2, 9].into(), [192, 0, 2, 2].into());
    let payload = wire::udp(50_000, 4789, &wire::vxlan(1, &wire::tenant_frame(BROADCAST, mac(1), 0)));
    let to_another = wire::outer((mac(0xaa), mac(0xbb)), ends, 0, 17, &payload);
    let status = said_of(GATEWAY, &to_another);
    assert_eq!(names(&status), [(Health::Fine, Subject::Drops, "not_for_us")], "another gateway's packet, on its way");
}

#[test]
fn a_port_that_is_down_and_peers_that_all_are_gone_are_critical() {
    let lab = Lab::new(GATEWAY);
    let peer = lab.tables().senders.values().copied().next().unwrap();
    let mut state = lab.gateway.state(0);
    let from = "192.0.2.9".parse().unwrap();
    let tunnel = QuotedTunnel { local: "192.0.2.1".parse().unwrap(), remote: from, carrier: Carrier::Udp(4789) };
    let unreachable = Some(ReportedUnreachable { why: Unreachable::Port, from, at: 0 });
    let report = PathReport { tunnel, mtu: None, unreachable };
    state.ports.insert(PortId::new(1), PortState { io: "af_packet eth1", failure: Some("no carrier") });
    let of_leaf = || TunnelState {
        peer,
        endpoint: "vtep",
        address: from.to_string(),
        learned: None,
        failures: Vec::new(),
        report: Some(&report),
    };
    state.tunnels = (0..13).map(|_| of_leaf()).collect();
    let status = inspected(&state, LastMinute::default());
    assert_eq!(status.health, Health::Critical);
    let expected = [(Health::Critical, Subject::Gateway, "peers"), (Health::Critical, Subject::Port, "access")];
    assert_eq!(names(&status)[..2], expected, "the worst comes first");
    assert_eq!((status.troubles.len(), status.more["peer trouble"]), (12, 3), "ten of a kind are enough");
    assert_eq!(status.peers["unreachable"], 13);
    let row = &status.troubles[2];
    assert!(row.what.contains("192.0.2.9 answers: UDP port 4789 unreachable"), "{row:?}");
    assert!(row.advice.contains("nobody listens on UDP port 4789 there"), "{row:?}");
}

#[test]
fn a_tenant_with_as_many_addresses_as_it_may_have_is_told() {
    let mut lab = Lab::new(GATEWAY);
    lab.send("up", frame_of_leaf(1, 1));
    assert_eq!(inspected(&lab.gateway.state(0), LastMinute::default()).troubles, []);
    lab.send("up", frame_of_leaf(1, 2));
    let status = inspected(&lab.gateway.state(0), LastMinute::default());
    assert_eq!(names(&status), [(Health::Trouble, Subject::Tenant, "blue")]);
    assert!(status.troubles[0].advice.contains("limits: { macs: .. }"));
}

#[test]
fn a_rejected_reload_is_told_until_one_is_not() {
    let why = Some("gateway.yaml:3:1: no\nand more".to_owned());
    let last_reload = Some(ReloadRow { when: 7, result: ReloadResult::Rejected, why });
    let rejected = Inspection::default().finish(GatewayRow { in_force: false, last_reload, ..gateway() }, Vec::new());
    assert_eq!(names(&rejected), [(Health::Trouble, Subject::Gateway, "reload")]);
    assert!(rejected.troubles[0].what.ends_with("gateway.yaml:3:1: no"), "{rejected:?}");
    assert_eq!(Inspection::default().finish(gateway(), Vec::new()).troubles, []);
}
