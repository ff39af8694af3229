//! What each encapsulation adds to a tenant's frame, over IPv4 and over IPv6.

use std::net::IpAddr;

use transload_encaps::underlay::Underlay;
use transload_encaps::{Compiled, Kind, Spec, gre};

use crate::underlay::spec_to;
use crate::{peer, segment};

/// Bytes added over IPv4 and over IPv6, outer Ethernet included.
fn added(peer: &Compiled, ids: &[(&'static str, u64)], vlan: Option<u16>) -> [usize; 2] {
    ["192.0.2.2", "fd00::2"].map(|dst| {
        let spec = spec_to(dst.parse::<IpAddr>().unwrap(), peer.carrier());
        let underlay = Underlay::compile(&transload_encaps::underlay::UnderlaySpec { vlan, ..spec });
        assert_eq!(underlay.ip_overhead(), underlay.overhead() - if vlan.is_some() { 18 } else { 14 });
        underlay.overhead() + peer.overhead(segment(peer, ids))
    })
}

fn gre_with(checksum: bool, sequence: bool) -> Compiled {
    peer(&Spec::Gre(gre::Spec { checksum, sequence, ..gre::Spec::default() }), &[])
}

#[test]
fn vxlan_adds_50_or_70_bytes_and_4_for_an_outer_tag() {
    let vxlan = peer(&Spec::default_of(Kind::Vxlan), &[]);
    assert_eq!(added(&vxlan, &[("vni", 100)], None), [50, 70]);
    assert_eq!(added(&vxlan, &[("vni", 100)], Some(5)), [54, 74]);
}

#[test]
fn nvgre_and_gre_with_a_key_add_42_or_62_bytes() {
    let nvgre = peer(&Spec::default_of(Kind::Nvgre), &[]);
    assert_eq!(added(&nvgre, &[("vsid", 5100)], None), [42, 62]);
    assert_eq!(added(&gre_with(false, false), &[("key", 7)], None), [42, 62]);
}

#[test]
fn gre_adds_38_to_50_or_58_to_70_bytes_as_options_ask() {
    assert_eq!(added(&gre_with(false, false), &[], None), [38, 58]);
    assert_eq!(added(&gre_with(true, false), &[], None), [42, 62]);
    assert_eq!(added(&gre_with(true, true), &[("key", 7)], None), [50, 70]);
}

#[test]
fn qinq_adds_4_bytes_a_tag() {
    let qinq = peer(&Spec::default_of(Kind::QinQ), &[]);
    let added = |ids: &[(&'static str, u64)]| qinq.overhead(segment(&qinq, ids));
    assert_eq!(added(&[("s_vid", 100), ("c_vid", 7)]), 8);
    assert_eq!(added(&[("s_vid", 100)]), 4);
    assert_eq!(added(&[("vid", 100)]), 4);
    assert_eq!(added(&[("untagged", 1)]), 0);
}
