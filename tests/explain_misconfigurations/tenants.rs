//! Tags, the bridge, and the way out.

#![expect(clippy::too_many_lines, reason = "a table")]

use super::*;

pub(super) fn stacks() -> Vec<Row> {
    let (s, c) = (0x88a8, 0x8100);
    let both = tags("s_vid: 100, c_vid: 7");
    vec![
        row(
            "an outer tag under 0x8100",
            both.clone(),
            "access",
            two((c, 100), (c, 7)),
            "dropped (qinq_tag_shape): VLAN 100 under 0x8100 and VLAN 7 under 0x8100 is not configured, but VLAN 100 under 0x88a8 and VLAN 7 under 0x8100 would be tenant blue (attachment ce): the sender writes TPID 0x8100; change it there, or add it to the port's `tpids` (gw.yaml:16)",
        ),
        row(
            "an outer tag under 0x9100",
            both.clone(),
            "access",
            two((0x9100, 100), (c, 7)),
            "dropped (qinq_wrong_tpid): VLAN 100 under 0x9100 and VLAN 7 under 0x8100 is not configured, but VLAN 100 under 0x88a8 and VLAN 7 under 0x8100 would be tenant blue (attachment ce): the sender writes TPID 0x9100; change it there, or add it to the port's `tpids` (gw.yaml:16)",
        ),
        row(
            "an inner tag under 0x88a8",
            both.clone(),
            "access",
            two((s, 100), (s, 7)),
            "dropped (qinq_tag_shape): VLAN 100 under 0x88a8 and VLAN 7 under 0x88a8 is not configured, but VLAN 100 under 0x88a8 and VLAN 7 under 0x8100 would be tenant blue (attachment ce): the inner tag must be 0x8100, not 0x88a8 (gw.yaml:16)",
        ),
        row(
            "S-VID and C-VID swapped",
            both.clone(),
            "access",
            two((s, 7), (c, 100)),
            "dropped (unclaimed_tags): VLAN 7 under 0x88a8 and VLAN 100 under 0x8100 is not configured, but VLAN 100 under 0x88a8 and VLAN 7 under 0x8100 would be tenant blue (attachment ce): S-VID and C-VID are swapped (gw.yaml:16)",
        ),
        row(
            "an S-VID claimed only with a C-VID",
            both.clone(),
            "access",
            tag(&inner(), s, 100),
            "dropped (unclaimed_tags): VLAN 100 under 0x88a8 is not configured, but s_vid 100, c_vid 7 would be tenant blue (attachment ce): the frame has one tag where two are needed (gw.yaml:16)",
        ),
        row(
            "an S-VID with another C-VID",
            both.clone(),
            "access",
            two((s, 100), (c, 8)),
            "dropped (unclaimed_tags): VLAN 100 under 0x88a8 and VLAN 8 under 0x8100 is not configured, but s_vid 100, c_vid 7 would be tenant blue (attachment ce): the S-VID is the same, the C-VID is not (gw.yaml:16)",
        ),
        row(
            "a single tag under 0x88a8",
            tags("vid: 100"),
            "access",
            tag(&inner(), s, 100),
            "dropped (unclaimed_tags): VLAN 100 under 0x88a8 is not configured, but VLAN 100 under 0x8100 would be tenant blue (attachment ce): `vid` is a tag under 0x8100; change it at the sender, or write `s_vid: 100` (gw.yaml:16)",
        ),
        row(
            "a single tag under 0x8100",
            tags("s_vid: 100"),
            "access",
            tag(&inner(), c, 100),
            "dropped (unclaimed_tags): VLAN 100 under 0x8100 is not configured, but VLAN 100 under 0x88a8 would be tenant blue (attachment ce): the sender writes TPID 0x8100; change it there, or add it to the port's `tpids` (gw.yaml:16)",
        ),
        row(
            "two tags where one is claimed",
            tags("vid: 100"),
            "access",
            two((s, 9), (c, 100)),
            "dropped (unclaimed_tags): VLAN 9 under 0x88a8 and VLAN 100 under 0x8100 is not configured, but VLAN 100 under 0x8100 would be tenant blue (attachment ce): there is one tag too many, the outer one (gw.yaml:16)",
        ),
        row(
            "VLAN 4095",
            both.clone(),
            "access",
            two((s, 4095), (c, 7)),
            "dropped (qinq_reserved_vid): a tag on port access has VLAN ID 4095, which IEEE 802.1Q reserves: VLAN 4095 under 0x88a8 and VLAN 7 under 0x8100 (gw.yaml:5)",
        ),
        row(
            "a priority tag where none is claimed",
            both.clone(),
            "access",
            tag(&inner(), c, 5 << 13),
            "dropped (unclaimed_tags): VLAN 0 under 0x8100 on port access is not configured; `untagged: true` would take it; configured: s_vid 100, c_vid 7 (tenant blue) (gw.yaml:16)",
        ),
        row(
            "no tag where one is claimed",
            both.clone(),
            "access",
            inner(),
            "dropped (unclaimed_tags): an untagged frame on port access is not configured; `untagged: true` would take it; configured: s_vid 100, c_vid 7 (tenant blue) (gw.yaml:16)",
        ),
        row(
            "the VLAN next door",
            tags("vid: 100"),
            "access",
            tag(&inner(), c, 101),
            "dropped (unclaimed_tags): VLAN 101 under 0x8100 on port access is not configured; configured: vid 100 (tenant blue) (gw.yaml:16)",
        ),
        row(
            "the right tags on another port",
            tags("vid: 100").replace("ce: {", "u: { port: up, vid: 101 },\n    ce: {"),
            "up",
            tag(&inner(), c, 100),
            "dropped (unclaimed_tags): VLAN 100 under 0x8100 would be tenant blue (attachment ce) on port access, but came in by port up (gw.yaml:17)",
        ),
        row(
            "a tunnel packet on a port for tenants",
            both,
            "access",
            vxlan(10100, &inner()),
            "dropped (unclaimed_tags): endpoint fabric (192.0.2.1) is reached by up, not by port access (gw.yaml:7)",
        ),
        row(
            "an outer tag that got lost",
            tags("s_vid: 100, c_vid: 7"),
            "access",
            tag(&inner(), 0x8100, 7),
            "dropped (unclaimed_tags): VLAN 7 under 0x8100 is not configured, but s_vid 100, c_vid 7 would be tenant blue (attachment ce): the outer tag is missing (gw.yaml:16)",
        ),
        row(
            "an outer tag that only marks a priority",
            tags("s_vid: 100, c_vid: 7"),
            "access",
            two((0x88a8, 0xa000), (0x8100, 7)),
            "dropped (qinq_tag_shape): VLAN 0 under 0x88a8 and VLAN 7 under 0x8100 is not configured, but s_vid 100, c_vid 7 would be tenant blue (attachment ce): the outer tag has VLAN ID 0, which only marks a priority (gw.yaml:16)",
        ),
    ]
}

const MIRROR: &str = "dropped (same_attachment): 02:00:00:00:00:05 lives where the frame came from, at leaf (peer leaf, vni 10100), and so does its sender: to have all of it go to ce, as from a mirror or a tap, write `learning: false` and `limits: { bum: { unknown_unicast: unlimited } }`; otherwise the network there floods what it could have delivered itself, or the address has moved (gw.yaml:16)";

pub(super) fn bridges() -> Vec<Row> {
    let from = |member: u8, dst: [u8; 6], src: [u8; 6]| {
        let frame = wire::tenant_frame(dst, src, 1);
        packet(&format!("192.0.2.{member}"), 17, &wire::udp(9, 4789, &wire::vxlan(20100, &frame)))
    };
    let control = |last: u8| vxlan(10100, &wire::tenant_frame([1, 0x80, 0xc2, 0, 0, last], mac(1), 1));
    let horizon = pair("")
        .replace("vni: 10100", "vni: 10100, split_horizon: core")
        .replace("s_vid: 100", "s_vid: 100, split_horizon: core");
    let third = format!("{horizon}      third: {{ port: access, s_vid: 101 }}\n");
    let fixed = pair("    static: [{ mac: \"02:00:00:00:00:01\", via: ce }]\n");
    vec![
        row("a member of a mesh to another", ALL, "up", from(11, mac(5), mac(1)), "dropped (split_horizon): 02:00:00:00:00:05 lives at peer mesh/192.0.2.12, another member of the mesh the frame came from: members of group mesh reach each other without the gateway; the sender has not learned the address (gw.yaml:28)").before("up", from(12, BROADCAST, mac(5))),
        row("two attachments of one split horizon", third.clone(), "up", vxlan(10100, &to(mac(5))), "dropped (split_horizon): 02:00:00:00:00:05 lives at ce (port access, s_vid 100), which is in the same split horizon as leaf (gw.yaml:16)")
            .before("access", tag(&wire::tenant_frame(BROADCAST, mac(5), 1), 0x88a8, 100)),
        row("a destination where the frame came from", pair(""), "up", vxlan(10100, &to(mac(5))), "dropped (same_attachment): 02:00:00:00:00:05 lives where the frame came from, at leaf (peer leaf, vni 10100): its network floods what it could have delivered itself, or the address has moved (gw.yaml:16)")
            .before("up", vxlan(10100, &wire::tenant_frame(BROADCAST, mac(5), 1))),
        row("unknown unicast that is switched off", pair("    unknown_unicast: drop\n"), "up", vxlan(10100, &to(mac(5))), "dropped (unknown_unicast_off): no frame from 02:00:00:00:00:05 has come in tenant blue yet, which says `unknown_unicast: drop`: a frame from it, a static entry or `flood` would let this pass (gw.yaml:18)"),
        row("more BUM than allowed", pair("    limits: { bum: 1 }\n"), "up", vxlan(10100, &inner()), "dropped (bum_limit): broadcasts from tenant blue (attachment leaf) have used up their 1 copies a second: look for a loop, or raise `limits: { bum: { broadcast: .. } }` (gw.yaml:18)").before("up", vxlan(10100, &inner())),
        row("a mirror that is limited", pair("    learning: false\n    limits: { bum: 1 }\n"), "up", vxlan(10100, &to(mac(5))), "dropped (bum_limit): unicast frames to unknown addresses from tenant blue (attachment leaf) have used up their 1 copies a second, and all are unknown with `learning: false`: write `limits: { bum: { unknown_unicast: unlimited } }` for a mirror or a tap (gw.yaml:19)").before("up", vxlan(10100, &to(mac(5)))),
        row("a mirror that learns", pair(""), "up", vxlan(10100, &wire::tenant_frame(mac(5), mac(6), 1)), MIRROR)
            .before("up", vxlan(10100, &wire::tenant_frame(mac(6), mac(5), 1)))
            .before("up", vxlan(10100, &wire::tenant_frame(mac(5), mac(6), 1))),
        row("more addresses than allowed", pair("    limits: { macs: 1 }\n"), "up", vxlan(10100, &wire::tenant_frame(BROADCAST, mac(2), 1)), "sent: tenant blue, from peer leaf to ce (port access, s_vid 100) by port access; the source 02:00:00:00:00:02 is not learned: tenant blue has its 1 addresses already (`limits: { macs: .. }`) (gw.yaml:18)")
            .before("up", vxlan(10100, &inner())),
        row("an address that is static elsewhere", fixed, "up", vxlan(10100, &inner()), "sent: tenant blue, from peer leaf to ce (port access, s_vid 100) by port access; the source 02:00:00:00:00:01 is not learned at leaf (peer leaf, vni 10100): it is static elsewhere (gw.yaml:18)"),
        row("an address that has moved", pair(""), "access", tag(&inner(), 0x88a8, 100), "sent: tenant blue, from port access to leaf (peer leaf, vni 10100) by port up; the source 02:00:00:00:00:01 has moved from leaf (peer leaf, vni 10100) to ce (port access, s_vid 100) (gw.yaml:16)").before("up", vxlan(10100, &inner())),
        row("spanning tree on a C-VLAN", tags("vid: 100"), "access", tag(&wire::ethernet([1, 0x80, 0xc2, 0, 0, 0], mac(1), 0x26, &[0x42; 60]), 0x8100, 100), "dropped (l2_control): 01:80:c2:00:00:00 is spanning tree, which stops at a bridge with C-VLANs (IEEE 802.1Q table 8-1); as it is meant for this link alone, nothing need change, unless the two sides are to be one link: `l2cp: tunnel` on both attachments carries it (gw.yaml:16)"),
        row("LACP", pair(""), "up", control(2), "dropped (l2_control): 01:80:c2:00:00:02 is LACP or another slow protocol, which stops at every bridge, also at those with S-VLANs (IEEE 802.1Q table 8-2); as it is meant for this link alone, nothing need change; `l2cp: tunnel` on both attachments carries it (gw.yaml:16)"),
        row("LLDP", pair(""), "up", control(14), "dropped (l2_control): 01:80:c2:00:00:0e is LLDP, which stops at every bridge, also at those with S-VLANs (IEEE 802.1Q table 8-2); as it is meant for this link alone, nothing need change; `l2cp: tunnel` on both attachments carries it (gw.yaml:16)"),
        row("spanning tree that nobody else takes", pair("").replace("vni: 10100 }", "vni: 10100, l2cp: drop }"), "access", tag(&wire::ethernet([1, 0x80, 0xc2, 0, 0, 0], mac(1), 0x26, &[0x42; 60]), 0x88a8, 100), "dropped (l2_control): 01:80:c2:00:00:00 is spanning tree, which may pass here, but at no other attachment of the tenant that this one feeds: there `l2cp: tunnel` would let it pass, or an `s_vid` without `c_vid` (gw.yaml:17)"),
        row("a source that is a group", pair(""), "up", vxlan(10100, &wire::tenant_frame(BROADCAST, [3, 0, 0, 0, 0, 1], 1)), "dropped (bad_source): the tenant's frame comes from 03:00:00:00:00:01, a group address: no host sends that; the inner frame begins elsewhere, or is damaged"),
        row("a source of zeros", pair(""), "up", vxlan(10100, &wire::tenant_frame(BROADCAST, [0; 6], 1)), "dropped (bad_source): the tenant's frame comes from 00:00:00:00:00:00, no address: no host sends that; the inner frame begins elsewhere, or is damaged"),
        row("a tenant with nobody else", "peers:\n  leaf: { address: 192.0.2.9, encap: vxlan, endpoint: fabric }\ntenants:\n  blue: { attachments: { leaf: { peer: leaf, vni: 10100 } } }\n", "up", vxlan(10100, &inner()), "dropped (no_targets): tenant blue has nobody else: its only attachment is the one the frame came in by (gw.yaml:14)"),
        row("a tenant that is all one split horizon", horizon, "up", vxlan(10100, &inner()), "dropped (no_targets): tenant blue has nobody else to flood to: its other attachments are behind the same split horizon (gw.yaml:14)"),
    ]
}

pub(super) fn exits() -> Vec<Row> {
    let long = |src: [u8; 6]| wire::ethernet(BROADCAST, src, 0x88b5, &[7; 1500]);
    let keeps = pair("").replace("s_vid: 100 }", "s_vid: 100, inner_tags: drop }");
    let nvgre = pair("")
        .replace("tenants:", "  nve: { address: 192.0.2.77, encap: nvgre, endpoint: fabric }\ntenants:")
        .replace("ce: { port: access, s_vid: 100 }", "nve: { peer: nve, vsid: 5001 }");
    vec![
        row("a tenant's packet that is too big and can be answered", pair(""), "access", tag(&wire::ethernet(mac(9), mac(1), wire::IPV4, &wire::ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 0, 17, &[7; 1480])), 0x88a8, 100), "dropped (too_big): towards leaf (peer leaf, vni 10100) the frame of 1514 bytes becomes a packet of 1550, and port up carries 1500: raise that MTU, or let the tenant use 1450 (gw.yaml:3); its sender got an ICMP error").mtu("up", 1500),
        row("an underlay MTU too small for a mapping", mapping(), "up", vxlan(5001, &long(mac(1))), "dropped (too_big_not_ip): towards peer nve, vsid 5001 the frame of 1514 bytes becomes a packet of 1542, and port up carries 1500: raise that MTU, or let the tenant use 1458 (gw.yaml:3)").mtu("up", 1500),
        row("an underlay MTU too small for the tenant", pair(""), "access", tag(&long(mac(1)), 0x88a8, 100), "dropped (too_big_not_ip): towards leaf (peer leaf, vni 10100) the frame of 1514 bytes becomes a packet of 1550, and port up carries 1500: raise that MTU, or let the tenant use 1450 (gw.yaml:3)").mtu("up", 1500),
        row("a port's MTU too small for one tag", tags("vid: 100"), "up", vxlan(10100, &wire::ethernet(BROADCAST, mac(1), 0x88b5, &[7; 1501])), "dropped (too_big_not_ip): towards ce (port access, vid 100) the frame of 1515 bytes becomes a packet of 1501, and port access carries 1500: raise that MTU, or let the tenant use 1500 (gw.yaml:5)").mtu("access", 1500),
        row("a port's MTU too small for the tenant", pair(""), "up", vxlan(10100, &wire::ethernet(BROADCAST, mac(1), 0x88b5, &[7; 1600])), "dropped (too_big_not_ip): towards ce (port access, s_vid 100) the frame of 1614 bytes becomes a packet of 1604, and port access carries 1500: raise that MTU, or let the tenant use 1496 (gw.yaml:5)").mtu("access", 1500),
        row("no next hop", pair(""), "access", tag(&inner(), 0x88a8, 100), "dropped (no_next_hop): the next hop of peer leaf is not known: no route to its address leaves by a port of its endpoint, or its neighbour does not answer; `next_hops` of the port can state it (gw.yaml:12)").unresolved(),
        row("a tag towards an attachment that drops them", keeps.clone(), "up", vxlan(10100, &tag(&inner(), 0x8100, 42)), "dropped (inner_tags): the tenant's frame carries VLAN 42, and attachment ce says `inner_tags: drop`: write `inner_tags: keep` or `strip` (gw.yaml:17)"),
        row("a tag towards NVGRE", nvgre, "up", vxlan(10100, &tag(&inner(), 0x8100, 42)), "dropped (inner_tags): the tenant's frame carries VLAN 42, and attachment nve drops tags, as NVGRE does by default: write `inner_tags: strip` (gw.yaml:18)"),
        row("a tag that makes the frame another attachment's", "peers:\n  leaf: { address: 192.0.2.9, encap: vxlan, endpoint: fabric }\ntenants:\n  blue:\n    attachments:\n      leaf: { peer: leaf, vni: 10100 }\n      ce: { port: access, untagged: true }\n  red: { attachments: { ce: { port: access, vid: 7 } } }\n", "up", vxlan(10100, &tag(&inner(), 0x8100, 7)), "dropped (qinq_foreign_tag): the tenant's frame brings VLAN 7 under 0x8100, which would make it another attachment's on port access: write `inner_tags: strip` or `drop`, or give the attachment tags of its own (gw.yaml:17)"),
        row("a tag from an attachment that drops them", pair("").replace("vni: 10100 }", "vni: 10100, inner_tags: drop }"), "up", vxlan(10100, &tag(&inner(), 0x8100, 42)), "dropped (inner_tags): the tenant's frame carries VLAN 42, and attachment leaf says `inner_tags: drop`: write `inner_tags: keep` or `strip` (gw.yaml:16)"),
    ]
}
