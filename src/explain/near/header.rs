//! Tunnel headers that their encapsulation refuses: which bits, and what speaks like that.

use transload_encaps::{Common, DropReason, checksum, ethernet};

use super::super::case::Case;
use super::Near;
use crate::compile::Noun;

/// What is wrong with the tunnel header.
pub(super) fn refused(case: &Case<'_>, reason: DropReason) -> Vec<Near> {
    let Some((id, peer)) = case.origin() else { return Vec::new() };
    let header = case.tunnel();
    let who = case.peer(id);
    let text = if reason == Common::UnknownPayload.into() {
        payload(&who, header)
    } else {
        match peer.compiled.kind().info().tag {
            "vxlan" => vxlan(&who, header, reason.label()),
            "gre" => gre(&who, header, reason.label()),
            "nvgre" => nvgre(&who, header, reason.label()),
            _ => None,
        }
    };
    text.map(|text| Near::new(text, case.line(Noun::Encap(id)).or_else(|| case.line(Noun::Peer(id)))))
        .into_iter()
        .collect()
}

/// The type of what the tunnel carries.
fn payload(who: &str, header: &[u8]) -> Option<String> {
    let protocol = ethernet::be16(header, 2)?;
    let what = match protocol {
        ethernet::IPV4 => "IPv4: it has a `gre` tunnel (layer 3), and needs a `gretap` one",
        ethernet::IPV6 => "IPv6: it has an `ip6gre` tunnel (layer 3), and needs an `ip6gretap` one",
        0x880b => "PPP: it speaks PPTP",
        0x8847 | 0x8848 => "MPLS",
        0x88be | 0x22eb => "a mirrored frame (ERSPAN)",
        0x894f => "a service header (NSH)",
        0x2001 => "NHRP",
        _ => "not Ethernet",
    };
    Some(format!("the GRE payload of {who} is type {protocol:#06x}, {what}; bridging needs 0x6558"))
}

/// Of the flags: I is 0x08, the rest is reserved in RFC 7348 and means something elsewhere.
fn vxlan(who: &str, header: &[u8], label: &str) -> Option<String> {
    let [flags, r1, r2, r3, v1, v2, v3, r4, ..] = *header else { return None };
    let vni = u32::from_be_bytes([0, v1, v2, v3]);
    match label {
        "vxlan_vni_flag_clear" if [r2, r3] == [0x65, 0x58] => {
            Some(format!("the header from {who} is Geneve's, sent to VXLAN's port: let it speak VXLAN"))
        }
        "vxlan_vni_flag_clear" if r3 == 0x08 && flags == 0 => Some(format!(
            "the I flag of the header from {who} is in the fourth byte: the sender writes its flags in the wrong byte order"
        )),
        "vxlan_vni_flag_clear" => Some(format!(
            "the I flag (0x08) of the header from {who} is not set (flags {flags:#04x}), so its VNI {vni} does not count"
        )),
        _ => Some(format!("{}, and `reserved: strict` refuses that", extension(who, [flags, r1, r2, r3, r4])?)),
    }
}

/// What the reserved bits of a VXLAN header are used for elsewhere.
pub(super) fn extension(who: &str, [flags, r1, r2, r3, r4]: [u8; 5]) -> Option<String> {
    if flags & 0x80 != 0 {
        return Some(format!(
            "the header from {who} has the G bit of VXLAN-GBP, with group policy {}",
            u16::from_be_bytes([r2, r3])
        ));
    }
    if flags & 0x04 != 0 {
        let next = match r3 {
            1 => "IPv4",
            2 => "IPv6",
            3 => "Ethernet",
            4 => "NSH",
            _ => "an unknown protocol",
        };
        return Some(format!("the header from {who} has the P bit of VXLAN-GPE, with next protocol {r3} ({next})"));
    }
    let reserved = u32::from(flags & !0x08) | u32::from(r1) | u32::from(r2) | u32::from(r3) | u32::from(r4);
    (reserved != 0).then(|| {
        format!("the header from {who} has reserved bits set (flags {flags:#04x}, reserved {r1:02x}{r2:02x}{r3:02x} and {r4:02x})")
    })
}

fn gre(who: &str, header: &[u8], label: &str) -> Option<String> {
    let flags = ethernet::be16(header, 0)?;
    Some(match label {
        "gre_version" => {
            let what = if flags & 7 == 1 { ": PPTP's enhanced GRE, which carries no Ethernet" } else { "" };
            format!("the header from {who} is GRE version {}{what}", flags & 7)
        }
        "gre_routing_bits" => {
            let bits = [(0x4000, "R (routing)"), (0x0800, "s (strict source route)"), (0x0400, "recursion control")];
            let set: Vec<_> = bits.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
            format!("the header from {who} has bits of RFC 1701 that RFC 2784 took out: {}", set.join(", "))
        }
        "gre_reserved_bits" => {
            format!(
                "the header from {who} has reserved bits set ({:#06x}), and `reserved: strict` refuses that",
                flags & 0x03f8
            )
        }
        "gre_checksum" => {
            let sent = ethernet::be16(header, 4)?;
            let mut packet = header.to_vec();
            packet.get_mut(4..6)?.fill(0);
            let right = checksum::of(&packet);
            format!(
                "the GRE checksum from {who} is {sent:#06x} and should be {right:#06x}: the underlay changed the packet"
            )
        }
        "gre_out_of_order" => {
            let words = usize::from(flags & 0x8000 != 0) + usize::from(flags & 0x2000 != 0);
            let at = 4 + 4 * words;
            let number = u32::from_be_bytes(*header.get(at..)?.first_chunk()?);
            format!(
                "sequence number {number} from {who} is not newer than one seen before: the underlay reorders or \
                 duplicates; without `sequence: true` numbers are not looked at"
            )
        }
        _ => return None,
    })
}

fn nvgre(who: &str, header: &[u8], label: &str) -> Option<String> {
    let flags = ethernet::be16(header, 0)?;
    Some(match label {
        "nvgre_bad_flags" => {
            let wrong = [
                (flags & 0x2000 == 0, "no key (K is clear)"),
                (flags & 0x8000 != 0, "a checksum (C is set)"),
                (flags & 0x1000 != 0, "a sequence number (S is set)"),
                (flags & 0x4c00 != 0, "routing bits"),
                (flags & 7 != 0, "a version other than 0"),
            ];
            let wrong: Vec<_> = wrong.iter().filter(|(is, _)| *is).map(|(_, what)| *what).collect();
            format!(
                "the header from {who} has {}, which NVGRE does not allow: the peer speaks GRE, the configuration says nvgre",
                wrong.join(" and ")
            )
        }
        "nvgre_reserved_bits" => {
            format!(
                "the header from {who} has reserved bits set ({:#06x}), and `reserved: strict` refuses that",
                flags & 0x03f8
            )
        }
        "nvgre_inner_tag" => {
            let inner = header.get(8..)?;
            let vlan = ethernet::be16(inner, 14)? & 0x0fff;
            format!(
                "the tenant's frame from {who} carries VLAN {vlan} inside NVGRE, which RFC 7637 forbids: give that VLAN \
                 a VSID of its own at the peer"
            )
        }
        _ => return None,
    })
}
