//! GRE headers in words, for GRE itself and for NVGRE, which looks the same on the wire.

use super::{BASE_LEN, IGNORED_BITS, KEYLESS, VERSION};
use crate::Reserved;
use crate::checksum;
use crate::encap::Segment;
use crate::ethernet;
use crate::words::{Reading, Readings, readings_of_other_base, type_name};

/// What PPTP's enhanced GRE carries.
const PPP: u16 = 0x880b;
/// `MikroTik`'s Ethernet over IP, in the header of PPTP's enhanced GRE.
const EOIP: u16 = 0x6400;

/// A version other than 0, which carries no Ethernet that others understand.
pub(crate) fn version(packet: &[u8], who: &str) -> Option<String> {
    let (version, carried) = (ethernet::be16(packet, 0)? & VERSION, ethernet::be16(packet, 2)?);
    Some(match (version, carried) {
        (1, EOIP) => {
            let id = packet.get(BASE_LEN + 2..).and_then(|rest| rest.first_chunk()).copied().map(u16::from_le_bytes);
            let id = id.map_or_else(String::new, |id| format!(" (tunnel ID {id})"));
            format!(
                "the packet from {who} is MikroTik's EoIP{id}, Ethernet in a header that only MikroTik speaks: give it a \
                 VXLAN interface (RouterOS 7) and write `encap: vxlan` with a `vni`, or let another machine there speak GRE"
            )
        }
        (1, PPP) => format!("the header from {who} is GRE version 1: PPTP's enhanced GRE, which carries no Ethernet"),
        _ => format!(
            "the header from {who} is GRE version {version} with type {carried:#06x}, and Ethernet comes in version 0 \
                      with type 0x6558"
        ),
    })
}

/// What a packet is said to carry.
pub(crate) const fn carried_name(carried: u16) -> Option<&'static str> {
    match carried {
        PPP => Some("PPP"),
        EOIP => Some("MikroTik's EoIP"),
        _ => type_name(carried),
    }
}

/// Bits that RFC 2784 has receivers discard.
pub(super) fn routing_bits(flags: u16, who: &str) -> String {
    let bits = [(0x4000, "R (routing)"), (0x0800, "s (strict source route)"), (0x0400, "recursion control")];
    let set: Vec<_> = bits.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    format!("the header from {who} has bits of RFC 1701 that RFC 2784 took out: {}", set.join(", "))
}

/// The checksum of a packet, and the right one.
pub(super) fn bad_checksum(packet: &[u8], who: &str) -> Option<String> {
    let sent = ethernet::be16(packet, BASE_LEN)?;
    let mut packet = packet.to_vec();
    packet.get_mut(BASE_LEN..BASE_LEN + 2)?.fill(0);
    let right = checksum::of(&packet);
    Some(format!(
        "the GRE checksum from {who} is {sent:#06x} and should be {right:#06x}: the underlay changed the packet"
    ))
}

/// What a packet carries that is not Ethernet.
pub(super) fn other_payload(carried: u16, who: &str) -> String {
    let what = match carried {
        ethernet::IPV4 => "IPv4: it has a `gre` tunnel (layer 3), and needs a `gretap` one",
        ethernet::IPV6 => "IPv6: it has an `ip6gre` tunnel (layer 3), and needs an `ip6gretap` one",
        PPP => "PPP: it speaks PPTP",
        EOIP => "MikroTik's EoIP",
        0x8847 | 0x8848 => "MPLS",
        0x88be | 0x22eb => "a mirrored frame (ERSPAN)",
        0x894f => "a service header (NSH)",
        0x2001 => "NHRP",
        _ => "not Ethernet",
    };
    format!("the GRE payload of {who} is type {carried:#06x}, {what}; bridging needs 0x6558")
}

/// What is to be said about the bits of a header that are neither options nor fatal.
pub(crate) fn flags_remark(flags: u16) -> Option<&'static str> {
    (flags & IGNORED_BITS != 0).then_some("reserved bits are set: RFC 2784 section 2.3, a receiver ignores them")
}

/// Reserved bits that are set, and what comes of it.
pub(crate) fn reserved_bits(flags: u16, rule: Reserved, who: &str) -> String {
    format!("the header from {who} has reserved bits set ({:#06x}){}", flags & IGNORED_BITS, rule.words())
}

/// The readings of a packet: its key, or the absence of one, as each encapsulation would take it.
pub(super) fn readings(key: Option<u32>, configured: &[Segment]) -> Readings {
    match key {
        Some(key) => Readings { found: Some(format!("key {key:#010x}")), others: readings_of_key(key) },
        None => Readings { found: Some(WITHOUT_KEY.to_owned()), others: readings_without_key(configured) },
    }
}

const WITHOUT_KEY: &str = "GRE without a key";

/// What else a packet without a key may have been meant to be.
fn readings_without_key(configured: &[Segment]) -> Vec<Reading> {
    let why = "no key and key 0 are two tunnels; remove `key` here, or give the peer key 0";
    let mut all = vec![Reading::new(0, "key 0", why)];
    if let Some(&Segment(key @ 1..)) = configured.first() {
        let why = "set that key at the peer, or leave `key` out here";
        all.push(Reading::new(key, format!("key {key:#x}"), why));
    }
    all
}

/// What else a key may have been meant to be: a VSID with its `FlowID`, most often.
fn readings_of_key(key: u32) -> Vec<Reading> {
    let of = |key: u32, why: String| Reading::new(key.into(), format!("key {key:#010x}"), why);
    let (vsid, flow_id) = (key >> 8, key & 0xff);
    let without = match key {
        0 => "no key and key 0 are two tunnels; write `key: 0`, or remove the key at the peer".to_owned(),
        _ => format!("remove the key at the peer, or write `key: {key}`"),
    };
    let nvgre = format!("VSID {vsid:#08x} with FlowID {flow_id:#04x}");
    let mut all =
        vec![Reading::new(vsid.into(), nvgre, "the peer speaks NVGRE, the configuration says gre").in_options()];
    if flow_id != 0 {
        let why = format!("the low byte {flow_id:#04x} is an NVGRE FlowID; write `encap: nvgre` and `vsid: {vsid}`");
        all.push(of(key & !0xff, why));
    }
    if key >> 24 == 0 {
        let why =
            format!("that is an NVGRE VSID shifted by 8, and the peer sends the plain number; write `key: {key}`");
        all.push(of(key << 8, why));
    }
    all.push(of(key.swap_bytes(), "the peer writes the key in the wrong byte order".to_owned()));
    all.push(Reading::new(KEYLESS.0, WITHOUT_KEY, without));
    all.extend(readings_of_other_base("key", key.into()));
    all
}
