//! Tunnel headers and the tenant IDs in them.

#![expect(clippy::too_many_lines, reason = "a table")]

use super::*;

pub(super) fn ids() -> Vec<Row> {
    let swapped = 10100_u32.swap_bytes() >> 8;
    vec![
        row(
            "an ID that a mapping cannot carry over",
            mapping(),
            "up",
            vxlan(5, &inner()),
            "dropped (mapping_hole): vni 5 of peer leaf is in mapping moved, but what it would be on the other side is reserved: use another ID, or a tenant (gw.yaml:31)",
        ),
        row(
            "an ID beyond a mapping",
            mapping(),
            "up",
            vxlan(0x10000, &inner()),
            "dropped (unknown_segment): vni 65536 from peer leaf is not configured; configured: vni 131072 (tenant blue), mapping moved (gw.yaml:22)",
        ),
        row(
            "the VNI in the wrong byte order",
            ALL,
            "up",
            vxlan(swapped, &inner()),
            "dropped (unknown_segment): VNI 7612160 (0x742700) is not configured, but VNI 10100 would be tenant blue (attachment leaf): the peer writes the VNI in the wrong byte order (gw.yaml:22)",
        ),
        row(
            "the VNI in the low three bytes",
            ALL,
            "up",
            vxlan_header([8, 0, 0, 0, 0, 0, 0x27, 0x74]),
            "dropped (unknown_segment): VNI 39 (0x000027) is not configured, but VNI 10100 would be tenant blue (attachment leaf): the peer writes the VNI eight bits too low, into the reserved byte (gw.yaml:22)",
        ),
        row(
            "the VNI shifted by 8",
            ALL,
            "up",
            vxlan(10100 << 8, &inner()),
            "dropped (unknown_segment): VNI 2585600 (0x277400) is not configured, but VNI 10100 would be tenant blue (attachment leaf): the peer writes the VNI shifted by 8 (gw.yaml:22)",
        ),
        row(
            "the VNI read as hexadecimal",
            ALL,
            "up",
            vxlan(0x10100, &inner()),
            "dropped (unknown_segment): VNI 65792 (0x010100) is not configured, but VNI 10100 (0x2774) would be tenant blue (attachment leaf): one side reads the number as decimal, the other as hexadecimal (gw.yaml:22)",
        ),
        row(
            "another peer's VNI",
            ALL,
            "up",
            vxlan(20100, &inner()),
            "dropped (unknown_segment): vni 20100 from group mesh would be tenant blue (attachment mesh), but this packet is from peer leaf (gw.yaml:28)",
        ),
        row(
            "a VNI that nobody has",
            ALL,
            "up",
            vxlan(10101, &inner()),
            "dropped (unknown_segment): vni 10101 from peer leaf is not configured; configured: vni 10100 (tenant blue) (gw.yaml:22)",
        ),
        row(
            "a peer without a tenant",
            "peers:\n  leaf: { address: 192.0.2.9, encap: vxlan, endpoint: fabric }\n  nve: { address: 192.0.2.77, encap: nvgre, endpoint: fabric }\ntenants:\n  blue: { attachments: { nve: { peer: nve, vsid: 5001 }, ce: { port: access, vid: 5 } } }\n",
            "up",
            vxlan(5, &inner()),
            "dropped (unknown_segment): no tenant is attached to peer leaf, which sends vni 5 (gw.yaml:12)",
        ),
        row(
            "NVGRE to a GRE peer",
            ALL,
            "up",
            key(5001 << 8 | 7),
            "dropped (unknown_segment): key 0x00138907 is not configured, but VSID 0x001389 with FlowID 0x07 would be tenant blue (attachment site): the peer speaks NVGRE, the configuration says gre (gw.yaml:14)",
        ),
        row(
            "a FlowID towards a key that is a shifted VSID",
            gre_key(", key: 0x138900"),
            "up",
            key(0x0013_8907),
            "dropped (unknown_segment): key 0x00138907 is not configured, but key 0x00138900 would be tenant blue (attachment site): the low byte 0x07 is an NVGRE FlowID; write `encap: nvgre` and `vsid: 5001` (gw.yaml:15)",
        ),
        row(
            "a plain key where a shifted VSID is configured",
            gre_key(", key: 0x138900"),
            "up",
            key(0x1389),
            "dropped (unknown_segment): key 0x00001389 is not configured, but key 0x00138900 would be tenant blue (attachment site): that is an NVGRE VSID shifted by 8, and the peer sends the plain number; write `key: 5001` (gw.yaml:15)",
        ),
        row(
            "GRE to an NVGRE peer",
            ALL,
            "up",
            nvgre(&[0x20, 0, 0x65, 0x58, 0, 0, 0x13, 0x89]),
            "dropped (unknown_segment): VSID 19 (0x000013) with FlowID 0x89 is not configured, but the whole key 5001 (0x00001389) would be tenant blue (attachment nve): the peer speaks GRE, the configuration says nvgre (gw.yaml:13)",
        ),
        row(
            "no key where key 0 is configured",
            gre_key(", key: 0"),
            "up",
            gre(&[0, 0, 0x65, 0x58]),
            "dropped (unknown_segment): GRE without a key is not configured, but key 0 would be tenant blue (attachment site): no key and key 0 are two tunnels; remove `key` here, or give the peer key 0 (gw.yaml:15)",
        ),
        row(
            "key 0 where no key is configured",
            gre_key(""),
            "up",
            key(0),
            "dropped (unknown_segment): key 0x00000000 is not configured, but GRE without a key would be tenant blue (attachment site): no key and key 0 are two tunnels; write `key: 0`, or remove the key at the peer (gw.yaml:15)",
        ),
        row(
            "a key where no key is configured",
            gre_key(""),
            "up",
            key(7),
            "dropped (unknown_segment): key 0x00000007 is not configured, but GRE without a key would be tenant blue (attachment site): remove the key at the peer, or write `key: 7` (gw.yaml:15)",
        ),
        row(
            "the key in the wrong byte order",
            gre_key(", key: 5001"),
            "up",
            key(5001_u32.swap_bytes()),
            "dropped (unknown_segment): key 0x89130000 is not configured, but key 0x00001389 would be tenant blue (attachment site): the peer writes the key in the wrong byte order (gw.yaml:15)",
        ),
        row(
            "the VSID in the wrong byte order",
            ALL,
            "up",
            nvgre(&[0x20, 0, 0x65, 0x58, 0x89, 0x13, 0, 0]),
            "dropped (unknown_segment): VSID 8983296 (0x891300) with FlowID 0x00 is not configured, but VSID 5001 would be tenant blue (attachment nve): the peer writes the VSID in the wrong byte order (gw.yaml:23)",
        ),
        row(
            "no key where every attachment has one",
            gre_key(", key: 5001"),
            "up",
            gre(&[0, 0, 0x65, 0x58]),
            "dropped (unknown_segment): GRE without a key is not configured, but key 0x1389 would be tenant blue (attachment site): set that key at the peer, or leave `key` out here (gw.yaml:15)",
        ),
    ]
}

pub(super) fn headers() -> Vec<Row> {
    let vni = [0, 0x27, 0x74, 0];
    let vx = |flags: [u8; 4]| {
        let mut header = [0; 8];
        header[..4].copy_from_slice(&flags);
        header[4..].copy_from_slice(&vni);
        vxlan_header(header)
    };
    let sequence = |number: u32| gre(&[&[0x30, 0, 0x65, 0x58, 0, 0, 0x13, 0x89][..], &number.to_be_bytes()].concat());
    let tagged = tag(&inner(), 0x8100, 42);
    vec![
        row("a VXLAN header without the I flag", ALL, "up", vx([0, 0, 0, 0]), "dropped (vxlan_vni_flag_clear): the I flag (0x08) of the header from peer leaf is not set (flags 0x00), so its VNI 10100 does not count (gw.yaml:12)"),
        row("a Geneve header on VXLAN's port", ALL, "up", vx([0, 0, 0x65, 0x58]), "dropped (vxlan_vni_flag_clear): the header from peer leaf is Geneve's, sent to VXLAN's port: let it speak VXLAN (gw.yaml:12)"),
        row("VXLAN flags in the wrong byte order", ALL, "up", vx([0, 0, 0, 8]), "dropped (vxlan_vni_flag_clear): the I flag of the header from peer leaf is in the fourth byte: the sender writes its flags in the wrong byte order (gw.yaml:12)"),
        row("GBP bits with strict", STRICT, "up", vx([0x88, 0, 0, 5]), "dropped (vxlan_reserved_bits): the header from peer leaf has the G bit of VXLAN-GBP, with group policy 5, and `reserved: strict` refuses that (gw.yaml:12)"),
        row("the GPE P bit with strict", STRICT, "up", vx([0x0c, 0, 0, 3]), "dropped (vxlan_reserved_bits): the header from peer leaf has the P bit of VXLAN-GPE, with next protocol 3 (Ethernet), and `reserved: strict` refuses that (gw.yaml:12)"),
        row("reserved VXLAN bits with strict", STRICT, "up", vx([0x08, 0, 1, 0]), "dropped (vxlan_reserved_bits): the header from peer leaf has reserved bits set (flags 0x08, reserved 000100 and 00), and `reserved: strict` refuses that (gw.yaml:12)"),
        row("GPE with IP inside", ALL, "up", udp(4789, &[&[0x0c, 0, 0, 1, 0, 0x27, 0x74, 0][..], &[0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]].concat()), "sent: tenant blue, from peer leaf to 10 places; the header from peer leaf has the P bit of VXLAN-GPE, with next protocol 1 (IPv4): ignored, counted as vxlan_reserved_bits, and what follows is taken for Ethernet (gw.yaml:12)"),
        row("GBP bits that are ignored", ALL, "up", vx([0x88, 0, 0, 5]), "sent: tenant blue, from peer leaf to 10 places; the header from peer leaf has the G bit of VXLAN-GBP, with group policy 5: ignored, counted as vxlan_reserved_bits, and what follows is taken for Ethernet (gw.yaml:12)"),
        row("IP instead of Ethernet in GRE", ALL, "up", gre(&[0x20, 0, 0x08, 0, 0, 0, 0x13, 0x89]), "dropped (unknown_payload): the GRE payload of peer site is type 0x0800, IPv4: it has a `gre` tunnel (layer 3), and needs a `gretap` one; bridging needs 0x6558 (gw.yaml:14)"),
        row("ERSPAN in GRE", ALL, "up", gre(&[0x20, 0, 0x88, 0xbe, 0, 0, 0x13, 0x89]), "dropped (unknown_payload): the GRE payload of peer site is type 0x88be, a mirrored frame (ERSPAN); bridging needs 0x6558 (gw.yaml:14)"),
        row("a GRE checksum that is wrong", ALL, "up", gre(&[0xa0, 0, 0x65, 0x58, 0x12, 0x34, 0, 0, 0, 0, 0x13, 0x89]), "dropped (gre_checksum): the GRE checksum from peer site is 0x1234 and should be 0x257e: the underlay changed the packet (gw.yaml:14)"),
        row("PPTP's GRE version 1", ALL, "up", gre(&[0x20, 1, 0x88, 0x0b, 0, 0, 0x13, 0x89]), "dropped (gre_version): the header from peer site is GRE version 1: PPTP's enhanced GRE, which carries no Ethernet (gw.yaml:14)"),
        row("MikroTik's EoIP", ALL, "up", gre(&[0x20, 1, 0x64, 0, 0, 0x2a, 7, 0]), "dropped (gre_version): the packet from peer site is MikroTik's EoIP (tunnel ID 7), Ethernet in a header that only MikroTik speaks: give it a VXLAN interface (RouterOS 7) and write `encap: vxlan` with a `vni`, or let another machine there speak GRE (gw.yaml:14)"),
        row("MikroTik's EoIP to an NVGRE peer", ALL, "up", nvgre(&[0x20, 1, 0x64, 0, 0, 0x2a, 0x2c, 1]), "dropped (nvgre_bad_flags): the packet from peer nve is MikroTik's EoIP (tunnel ID 300), Ethernet in a header that only MikroTik speaks: give it a VXLAN interface (RouterOS 7) and write `encap: vxlan` with a `vni`, or let another machine there speak GRE (gw.yaml:13)"),
        row("a GRE version that nobody speaks", ALL, "up", gre(&[0x20, 5, 0x65, 0x58, 0, 0, 0, 7]), "dropped (gre_version): the header from peer site is GRE version 5 with type 0x6558, and Ethernet comes in version 0 with type 0x6558 (gw.yaml:14)"),
        row("GRE routing bits", ALL, "up", gre(&[0x60, 0, 0x65, 0x58, 0, 0, 0x13, 0x89]), "dropped (gre_routing_bits): the header from peer site has bits of RFC 1701 that RFC 2784 took out: R (routing) (gw.yaml:14)"),
        row("reserved GRE bits with strict", STRICT, "up", gre(&[0x20, 8, 0x65, 0x58, 0, 0, 0x13, 0x89]), "dropped (gre_reserved_bits): the header from peer site has reserved bits set (0x0008), and `reserved: strict` refuses that (gw.yaml:14)"),
        row("a GRE sequence number out of order", STRICT, "up", sequence(7), "dropped (gre_out_of_order): sequence number 7 from peer site is not newer than one seen before: the underlay reorders or duplicates; without `sequence: true` numbers are not looked at (gw.yaml:14)").before("up", sequence(9)),
        row("NVGRE with a checksum", ALL, "up", nvgre(&[0xa0, 0, 0x65, 0x58, 0, 0x13, 0x89, 0, 0, 0, 0, 0]), "dropped (nvgre_bad_flags): the header from peer nve has a checksum (C is set), which NVGRE does not allow: the peer speaks GRE, the configuration says nvgre (gw.yaml:13)"),
        row("NVGRE with a sequence number", ALL, "up", nvgre(&[0x30, 0, 0x65, 0x58, 0, 0x13, 0x89, 0, 0, 0, 0, 1]), "dropped (nvgre_bad_flags): the header from peer nve has a sequence number (S is set), which NVGRE does not allow: the peer speaks GRE, the configuration says nvgre (gw.yaml:13)"),
        row("keyless GRE to an NVGRE peer", ALL, "up", nvgre(&[0, 0, 0x65, 0x58, 0, 0, 0, 0]), "dropped (nvgre_bad_flags): the header from peer nve has no key (K is clear), which NVGRE does not allow: the peer speaks GRE, the configuration says nvgre (gw.yaml:13)"),
        row("a VLAN tag inside NVGRE", ALL, "up", packet("192.0.2.77", 47, &wire::nvgre(5001, 0, &tagged)), "dropped (nvgre_inner_tag): the tenant's frame from peer nve carries VLAN 42 inside NVGRE, which RFC 7637 forbids: give that VLAN a VSID of its own at the peer (gw.yaml:13)"),
        row("reserved NVGRE bits with strict", STRICT, "up", nvgre(&[0x20, 8, 0x65, 0x58, 0, 0x13, 0x89, 0]), "dropped (nvgre_reserved_bits): the header from peer nve has reserved bits set (0x0008), and `reserved: strict` refuses that (gw.yaml:13)"),
    ]
}
