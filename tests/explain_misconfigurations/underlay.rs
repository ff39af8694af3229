//! Whose packets: carriers, senders, outer headers.

#![expect(clippy::too_many_lines, reason = "a table")]

use super::*;

pub(super) fn carriers() -> Vec<Row> {
    let old = ALL.replace(
        "encap: vxlan, endpoint: fabric }\n  nve",
        "encap: { vxlan: { udp_port: 8472 } }, endpoint: fabric }\n  nve",
    );
    vec![
        row(
            "Linux's old VXLAN port",
            ALL,
            "up",
            udp(8472, &wire::vxlan(10100, &inner())),
            "dropped (not_for_us): 192.0.2.9 is peer leaf: it sends to UDP port 8472 (Linux's old VXLAN port), the configuration says UDP port 4789 (VXLAN): write `encap: { vxlan: { udp_port: 8472 } }` (gw.yaml:12)",
        ),
        row(
            "IANA's port to a peer on Linux's old one",
            old,
            "up",
            vxlan(10100, &inner()),
            "dropped (unknown_peer): 192.0.2.9 is peer leaf: it sends to UDP port 4789 (VXLAN), the configuration says UDP port 8472 (Linux's old VXLAN port): write `encap: { vxlan: { udp_port: 4789 } }` (gw.yaml:12)",
        ),
        row(
            "VXLAN on a port of its own",
            ALL,
            "up",
            udp(14789, &wire::vxlan(10100, &inner())),
            "dropped (not_for_us): 192.0.2.9 is peer leaf: it sends to UDP port 14789, the configuration says UDP port 4789 (VXLAN): write `encap: { vxlan: { udp_port: 14789 } }` (gw.yaml:12)",
        ),
        row(
            "VXLAN-GPE that carries NSH",
            ALL,
            "up",
            udp(4790, &[&[0x0c, 0, 0, 4, 0, 0x27, 0x74, 0][..], &inner()].concat()),
            "dropped (not_for_us): 192.0.2.9 is peer leaf: it speaks VXLAN-GPE (UDP port 4790), which this gateway does not, and the configuration says VXLAN (UDP port 4789): let it speak VXLAN (gw.yaml:12)",
        ),
        row(
            "Geneve's port",
            ALL,
            "up",
            udp(6081, &[&[0, 0, 0x65, 0x58, 0, 0x27, 0x74, 0][..], &inner()].concat()),
            "dropped (not_for_us): 192.0.2.9 is peer leaf: it speaks Geneve (UDP port 6081), which this gateway does not, and the configuration says VXLAN (UDP port 4789): let it speak VXLAN (gw.yaml:12)",
        ),
        row(
            "GRE in UDP from a VXLAN peer",
            ALL,
            "up",
            udp(4754, &wire::gre(Some(10100), &inner())),
            "dropped (not_for_us): 192.0.2.9 is peer leaf: it speaks GRE in UDP (UDP port 4754), which this gateway does not, and the configuration says VXLAN (UDP port 4789): let it speak VXLAN (gw.yaml:12)",
        ),
        row(
            "L2TP from a VXLAN peer",
            ALL,
            "up",
            udp(1701, &[0x40, 2, 0, 12, 0, 1, 0, 1, 0xff, 3, 0, 0x21]),
            "dropped (not_for_us): 192.0.2.9 is peer leaf: it speaks L2TP (UDP port 1701), which this gateway does not, and the configuration says VXLAN (UDP port 4789): let it speak VXLAN (gw.yaml:12)",
        ),
        row(
            "an unknown UDP port that carries no VXLAN",
            ALL,
            "up",
            udp(5000, b"GET / HTTP/1.1 and more of it"),
            "dropped (not_for_us): 192.0.2.9 is peer leaf: it sends UDP port 5000, the configuration says VXLAN (UDP port 4789), and what it sends there does not read as VXLAN (gw.yaml:12)",
        ),
        row(
            "BFD from a VXLAN peer",
            ALL,
            "up",
            udp(3784, &[0x20, 0xc0, 3, 24, 0, 0, 0, 1, 0, 0, 0, 0, 0, 15, 66, 64, 0, 15, 66, 64, 0, 0, 0, 0]),
            "dropped (host_traffic): the packet from 192.0.2.9 (peer leaf) is UDP port 3784 (BFD), no tunnel packet but for the machine itself: its own stack takes it, and nothing is wrong",
        ),
        row(
            "VXLAN from an NVGRE peer",
            ALL,
            "up",
            packet("192.0.2.77", 17, &wire::udp(9, 4789, &wire::vxlan(5001, &inner()))),
            "dropped (unknown_peer): 192.0.2.77 is peer nve: it speaks VXLAN (UDP port 4789), the configuration says NVGRE (IP protocol 47) (gw.yaml:13)",
        ),
        row(
            "GRE from a VXLAN peer",
            ALL,
            "up",
            packet("192.0.2.9", 47, &wire::gre(Some(10100), &inner())),
            "dropped (unknown_peer): 192.0.2.9 is peer leaf: it speaks GRE or NVGRE (IP protocol 47), the configuration says VXLAN (UDP port 4789) (gw.yaml:12)",
        ),
        row(
            "IP in IP from a VXLAN peer",
            ALL,
            "up",
            packet("192.0.2.9", 4, &inner()),
            "dropped (not_for_us): 192.0.2.9 is peer leaf: it speaks IPv4 in IP (IP protocol 4), which this gateway does not, and the configuration says VXLAN (UDP port 4789): let it speak VXLAN (gw.yaml:12)",
        ),
        row(
            "GRE in UDP from a GRE peer",
            ALL,
            "up",
            packet("192.0.2.99", 17, &wire::udp(9, 4754, &wire::gre(Some(5001), &inner()))),
            "dropped (not_for_us): 192.0.2.99 is peer site: it speaks GRE in UDP (UDP port 4754), which this gateway does not, and the configuration says GRE (IP protocol 47): let it speak GRE (gw.yaml:14)",
        ),
    ]
}

pub(super) fn senders() -> Vec<Row> {
    let from = |src: &str, dst: &str| packet_to(src, dst, 17, &wire::udp(9, 4789, &wire::vxlan(10100, &inner())));
    let mut to_other_port = from("198.51.100.9", "198.51.100.1");
    to_other_port[..6].copy_from_slice(&UP_MAC);
    vec![
        row(
            "a neighbour of a peer",
            ALL,
            "up",
            from("192.0.2.10", "192.0.2.1"),
            "dropped (unknown_peer): 192.0.2.10 is no peer's address, but 192.0.2.9 is peer leaf: if it is the same one, add it to `accept_from` of peer leaf (gw.yaml:12)",
        ),
        row(
            "one behind a group's range",
            ALL,
            "up",
            from("192.0.2.15", "192.0.2.1"),
            "dropped (unknown_peer): 192.0.2.15 is no peer's address, but 192.0.2.14 is peer mesh/192.0.2.14: add it to the `members` of group mesh (gw.yaml:19)",
        ),
        row(
            "an address from elsewhere",
            ALL,
            "up",
            from("203.0.113.5", "192.0.2.1"),
            "dropped (unknown_peer): 203.0.113.5 is no peer's address at endpoint fabric (192.0.2.1), nor near one: add a peer, or name it in `accept_from` or the `members` of a group (gw.yaml:7)",
        ),
        row(
            "a peer at another endpoint",
            ALL,
            "up",
            tag(&from("192.0.2.9", "192.0.2.3"), 0x8100, 30),
            "dropped (unknown_peer): 192.0.2.9 is peer leaf, but at endpoint fabric (192.0.2.1); this packet is to endpoint tagged (192.0.2.3) (gw.yaml:12)",
        ),
        row(
            "an endpoint by another port",
            ALL,
            "up",
            to_other_port,
            "dropped (not_for_us): endpoint other (198.51.100.1) is reached by up2, not by port up (gw.yaml:10)",
        ),
        row(
            "an address that is not ours",
            ALL,
            "up",
            from("192.0.2.9", "192.0.2.2"),
            "dropped (not_for_us): 192.0.2.2 is none of our tunnel addresses; the nearest is endpoint fabric (192.0.2.1) (gw.yaml:7)",
        ),
        row(
            "IPv6 where the endpoint is IPv4",
            pair(""),
            "up2",
            packet_to("2001:db8::9", "2001:db8::5", 17, &wire::udp(9, 4789, &wire::vxlan(1, &inner()))),
            "dropped (not_for_us): the packet is IPv6 (to 2001:db8::5), and endpoint other (198.51.100.1) of port up2 is IPv4: the peer's tunnel has the other address family (gw.yaml:10)",
        ),
        row(
            "an IPv6 peer that nobody named",
            ALL,
            "up",
            packet_to("2001:db8::a", "2001:db8::1", 17, &wire::udp(9, 4789, &wire::vxlan(1, &inner()))),
            "dropped (unknown_peer): 2001:db8::a is no peer's address, but 2001:db8::9 is peer six: if it is the same one, add it to `accept_from` of peer six (gw.yaml:15)",
        ),
        row(
            "an outer tag where none is expected",
            ALL,
            "up",
            tag(&from("192.0.2.9", "192.0.2.1"), 0x8100, 30),
            "dropped (not_for_us): the packet to endpoint fabric (192.0.2.1) has VLAN 30, but the endpoint takes untagged packets: write `vlan: 30` at the endpoint (gw.yaml:7)",
        ),
        row(
            "no outer tag where one is expected",
            ALL,
            "up",
            from("192.0.2.30", "192.0.2.3"),
            "dropped (not_for_us): the packet to endpoint tagged (192.0.2.3) has no VLAN tag, but the endpoint lives in VLAN 30: tag the underlay, or remove `vlan` from the endpoint (gw.yaml:8)",
        ),
        row(
            "another outer tag",
            ALL,
            "up",
            tag(&from("192.0.2.30", "192.0.2.3"), 0x8100, 31),
            "dropped (not_for_us): the packet to endpoint tagged (192.0.2.3) has VLAN 31, but the endpoint lives in VLAN 30, as one 802.1Q tag: make the two agree (gw.yaml:8)",
        ),
        row(
            "the outer tag under another TPID",
            ALL,
            "up",
            tag(&from("192.0.2.30", "192.0.2.3"), 0x88a8, 30),
            "dropped (not_for_us): the packet to endpoint tagged (192.0.2.3) has VLAN 30 under TPID 0x88a8, but the endpoint lives in VLAN 30, as one 802.1Q tag: make the two agree (gw.yaml:8)",
        ),
        row(
            "another device's MAC",
            ALL,
            "up",
            changed(from("192.0.2.9", "192.0.2.1"), 5, 9),
            "dropped (not_our_mac): the packet to endpoint fabric (192.0.2.1) is for MAC 02:aa:00:00:00:09, but port up has 02:aa:00:00:00:01: the sender's ARP or neighbour entry is stale, or a switch floods it (gw.yaml:3)",
        ),
        row(
            "the MAC of our other port",
            ALL,
            "up",
            changed(from("192.0.2.9", "192.0.2.1"), 5, 2),
            "dropped (not_our_mac): the packet to endpoint fabric (192.0.2.1) is for MAC 02:aa:00:00:00:02, but port up has 02:aa:00:00:00:01: that is port up2 (gw.yaml:3)",
        ),
        row(
            "a tenant's frame on a port for tunnels",
            ALL,
            "up",
            inner(),
            "dropped (not_for_us): port up takes tunnel packets only, and this is none: no attachment claims tags of this port (gw.yaml:3)",
        ),
        row(
            "a sender beside the prefix that may be learned",
            LEARNING,
            "up",
            packet("10.9.1.7", 17, &wire::udp(50_000, 4789, &wire::vxlan(3000, &inner()))),
            "dropped (unknown_peer): 10.9.1.7 is not in `learn_from` of group roam, which ranges from 10.9.0.0 to 10.9.0.255: widen it, or add the address to the group's `members` (gw.yaml:14)",
        ),
        row(
            "a multicast group that nobody configured",
            LEARNING,
            "up",
            to_group("10.9.0.7", [239, 1, 1, 2]),
            "dropped (not_for_us): 239.1.1.2 is a multicast group that no group's `bum` names; group roam has `bum: 239.1.1.1`: make the two agree (gw.yaml:14)",
        ),
        row(
            "the multicast group of other peers",
            LEARNING,
            "up",
            to_group("192.0.2.9", [239, 1, 1, 1]),
            "dropped (other_group): the packet is to 239.1.1.1, the `bum` of group roam, but 192.0.2.9 is peer leaf: let it send to our own address, or make it a member of that group (gw.yaml:12)",
        ),
        row(
            "an IPv4 peer through an IPv6 socket",
            ALL,
            "up",
            packet_to("::ffff:192.0.2.9", "2001:db8::1", 17, &wire::udp(50_000, 4789, &wire::vxlan(66, &inner()))),
            "dropped (unknown_peer): ::ffff:192.0.2.9 is the IPv4 address of peer leaf inside an IPv6 one: its tunnel must be IPv4, to endpoint fabric (192.0.2.1) (gw.yaml:12)",
        ),
    ]
}

pub(super) fn outers() -> Vec<Row> {
    let good = vxlan(10100, &inner());
    let six = |sum: [u8; 2]| {
        let mut datagram = wire::udp(9, 4789, &wire::vxlan(66, &inner()));
        datagram[6..8].copy_from_slice(&sum);
        packet_to("2001:db8::9", "2001:db8::1", 17, &datagram)
    };
    let cut = Packet { bytes: good[..40].to_vec(), cut: true, ..Packet::default() };
    let mut ce_inside_not_ect = good.clone();
    ce_inside_not_ect[15] = 3;
    vec![
        row(
            "an IP header checksum that is wrong",
            ALL,
            "up",
            changed(good.clone(), 24, 0),
            "dropped (bad_ip_checksum): the outer IPv4 header checksum is 0x0079 and should be 0xb679: something on the way changed the header, or the sender's offload is broken",
        ),
        row(
            "an IP header shorter than one can be",
            ALL,
            "up",
            changed(good.clone(), 14, 0x44),
            "dropped (bad_ip_header): the outer IP header says version 4 and a length of 16 bytes",
        ),
        row(
            "an IP length beyond the frame",
            ALL,
            "up",
            changed(good.clone(), 16, 0x40),
            "dropped (bad_length): the outer IP header says 16489 bytes, the frame holds 105: it was cut, or captured short",
        ),
        row(
            "a UDP length beyond the packet",
            ALL,
            "up",
            changed(good.clone(), 38, 0x40),
            "dropped (bad_length): the outer UDP header says 16469 bytes, the IP packet holds 85",
        ),
        row(
            "the first outer fragment",
            ALL,
            "up",
            summed(changed(good.clone(), 20, 0x20)),
            "dropped (outer_fragment): the tunnel packet is the first fragment, offset 0: the underlay's MTU is smaller than the peer believes; raise it by the tunnel's headers, lower the MTU of the peer's tenants, or write `reassemble: on` at the endpoint",
        ),
        row(
            "a later outer fragment",
            ALL,
            "up",
            summed(changed(changed(good.clone(), 20, 0), 21, 0xb9)),
            "dropped (outer_fragment): the tunnel packet is a later fragment, offset 1480: the underlay's MTU is smaller than the peer believes; raise it by the tunnel's headers, lower the MTU of the peer's tenants, or write `reassemble: on` at the endpoint",
        ),
        row(
            "a UDP checksum that is wrong",
            ALL,
            "up",
            changed(good.clone(), 40, 0x12),
            "dropped (udp_checksum): the outer UDP checksum is 0x1200 and should be 0x676c: the underlay changed the packet, or it was captured before the sender's device filled it in; `udp_checksum: { rx: ignore }` at the peer takes it as it is",
        ),
        row(
            "no UDP checksum over IPv6",
            ALL,
            "up",
            six([0, 0]),
            "dropped (udp_zero_checksum): the UDP checksum from peer six is zero over IPv6: write `udp_checksum: { rx_zero: accept }`, or let the peer compute it (gw.yaml:15)",
        ),
        row(
            "a capture with a short snapshot length",
            ALL,
            "up",
            cut,
            "dropped (truncated): the capture holds only the first 40 bytes of the frame: capture with a longer snapshot length",
        ),
        row(
            "congestion marked on a packet that is not ECN-capable",
            ALL,
            "up",
            summed(ce_inside_not_ect),
            "dropped (ecn_dropped): the underlay marked the packet from peer leaf as congested (CE), but the tenant's packet inside is not ECN-capable: the far end must not copy ECT to its outer header for it (gw.yaml:12)",
        ),
        row(
            "an inner frame that is cut off",
            ALL,
            "up",
            vxlan(10100, &inner()[..9]),
            "dropped (inner_truncated): 17 bytes are too few for the VXLAN header and an Ethernet header behind it",
        ),
        row(
            "a priority tag of another TPID on the underlay",
            ALL,
            "up",
            tag(&vxlan(10100, &inner()), 0x9100, 0xa000),
            "dropped (not_for_us): the packet to endpoint fabric (192.0.2.1) has VLAN 0 under TPID 0x9100, but the endpoint takes untagged packets: a tag without a VLAN is taken under 0x8100 and 0x88a8 only; let the underlay take it off (gw.yaml:7)",
        ),
    ]
}
