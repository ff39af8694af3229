//! Profiles: one word for knobs, each of which the peer can still set itself.

use transload::config::{self, At, RxZero, profile_table};
use transload_encaps::nvgre::FlowId;
use transload_encaps::{Reserved, Spec};

fn file(peers: &str) -> config::File {
    let config =
        config::parse("profiles.yaml", &format!("version: 1\nports: {{ up: {{ device: eth1 }} }}\npeers:\n{peers}"))
            .expect("it is YAML");
    assert!(config.problems.is_empty(), "{:?}", config.problems);
    config.file
}

fn flow_id(peer: &str) -> FlowId {
    let file = file(peer);
    let (_, peer) = file.peers.iter().next().expect("there is a peer");
    match peer.and_then(|peer| peer.encap.get()) {
        Some(Spec::Nvgre(spec)) => spec.flow_id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn linux_is_sent_no_flow_id() {
    assert_eq!(flow_id("  p: { address: 192.0.2.9, encap: nvgre, profile: linux }"), FlowId::Zero);
    assert_eq!(flow_id("  p: { address: 192.0.2.9, encap: { nvgre: {} }, profile: linux }"), FlowId::Zero);
    assert_eq!(flow_id("  p: { address: 192.0.2.9, encap: nvgre, profile: ovs }"), FlowId::Flow);
    assert_eq!(flow_id("  p: { address: 192.0.2.9, encap: nvgre }"), FlowId::Flow);
}

#[test]
fn what_the_peer_says_itself_stays() {
    let stated = "  p: { address: 192.0.2.9, profile: linux, encap: { nvgre: { flow_id: flow, reserved: strict } } }";
    assert_eq!(flow_id(stated), FlowId::Flow);
}

#[test]
fn strict_forgives_no_reserved_bits_and_no_zero_checksum_over_ipv6() {
    let file = file(
        "  four: { address: 192.0.2.9, encap: vxlan, profile: strict }\n  \
           six: { address: 2001:db8::9, encap: vxlan, profile: strict, udp_checksum: { tx: compute } }\n  \
           seven: { address: 2001:db8::7, encap: vxlan, profile: strict, udp_checksum: { rx_zero: accept } }",
    );
    let peers: Vec<_> = file.peers.iter().filter_map(|(_, peer)| peer).collect();
    for peer in &peers {
        assert!(matches!(peer.encap.get(), Some(Spec::Vxlan(spec)) if spec.reserved == Reserved::Strict), "{peer:?}");
    }
    let rx_zero = |n: usize| peers[n].udp_checksum.as_ref().and_then(At::value).and_then(|rules| rules.rx_zero);
    assert_eq!([rx_zero(0), rx_zero(1), rx_zero(2)], [None, Some(RxZero::Drop), Some(RxZero::Accept)]);
}

#[test]
fn the_readme_has_the_table() {
    assert!(include_str!("../README.md").contains(&profile_table()), "{}", profile_table());
}
