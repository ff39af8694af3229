//! Outer headers that cannot be right, and what would be.

use transload_encaps::{Common, DropReason, checksum, ethernet, outer};

use super::super::case::Case;
use super::Near;
use crate::compile::Noun;
use crate::dataplane::Stage;

/// Where the outer IP header begins.
fn ip_at(case: &Case<'_>) -> Option<usize> {
    ethernet::payload(case.frame).map(|(_, at)| at)
}

/// What is wrong with the outer IP or UDP header, in numbers.
pub(super) fn outer(case: &Case<'_>, reason: DropReason) -> Vec<Near> {
    let is = |common: Common| reason == common.into();
    let found = if is(Common::BadIpChecksum) {
        ip_checksum(case)
    } else if is(Common::BadIpHeader) {
        ip_header(case)
    } else if is(Common::BadLength) {
        length(case)
    } else if is(Common::OuterFragment) {
        fragment(case)
    } else if is(Common::UdpChecksum) {
        udp_checksum(case)
    } else if is(Common::UdpZeroChecksum) {
        return vec![udp_zero(case)];
    } else {
        None
    };
    found.map(|text| Near::new(text, None)).into_iter().collect()
}

fn ip_header(case: &Case<'_>) -> Option<String> {
    let first = *case.frame.get(ip_at(case)?)?;
    Some(format!("the outer IP header says version {} and a length of {} bytes", first >> 4, u32::from(first & 15) * 4))
}

fn ip_checksum(case: &Case<'_>) -> Option<String> {
    let ip = case.frame.get(ip_at(case)?..)?;
    let len = usize::from(*ip.first()? & 15) * 4;
    let mut header = ip.get(..len)?.to_vec();
    let sent = ethernet::be16(&header, 10)?;
    header.get_mut(10..12)?.fill(0);
    let right = checksum::of(&header);
    Some(format!(
        "the outer IPv4 header checksum is {sent:#06x} and should be {right:#06x}: something on the way changed the \
         header, or the sender's offload is broken"
    ))
}

fn length(case: &Case<'_>) -> Option<String> {
    let ip = case.frame.get(ip_at(case)?..)?;
    let (said, at) = match ip.first()? >> 4 {
        4 => (usize::from(ethernet::be16(ip, 2)?), usize::from(*ip.first()? & 15) * 4),
        _ => (usize::from(ethernet::be16(ip, 4)?) + 40, 40),
    };
    if said > ip.len() || said < at {
        return Some(format!(
            "the outer IP header says {said} bytes, the frame holds {}: it was cut, or captured short",
            ip.len()
        ));
    }
    let udp = usize::from(ethernet::be16(ip, at + 4)?);
    Some(format!("the outer UDP header says {udp} bytes, the IP packet holds {}", said - at))
}

fn fragment(case: &Case<'_>) -> Option<String> {
    let ip = case.frame.get(ip_at(case)?..)?;
    let what = if ip.first()? >> 4 == 4 {
        let field = ethernet::be16(ip, 6)?;
        let which = if field << 3 == 0 { "the first" } else { "a later" };
        format!("{which} fragment, offset {}", u32::from(field & 0x1fff) * 8)
    } else {
        "a fragment".to_owned()
    };
    Some(format!(
        "the tunnel packet is {what}: the underlay's MTU is smaller than the peer believes; raise it by the tunnel's \
         headers, lower the MTU of the peer's tenants, or write `reassemble: on` at the endpoint"
    ))
}

fn udp_checksum(case: &Case<'_>) -> Option<String> {
    let packet = case.trace.outer()?;
    let at = usize::from(packet.at) - 8;
    let mut udp = case.frame.get(at..packet.end as usize)?.to_vec();
    udp.get_mut(6..8)?.fill(0);
    let sum = checksum::add(outer::pseudo_header(packet.src, packet.dst, 17, udp.len()), &udp);
    let right = match !checksum::fold(sum) {
        0 => 0xffff,
        sum => sum,
    };
    let sent = packet.udp_checksum?;
    Some(format!(
        "the outer UDP checksum is {sent:#06x} and should be {right:#06x}: the underlay changed the packet, or it was \
         captured before the sender's device filled it in; `udp_checksum: {{ rx: ignore }}` at the peer takes it as it is"
    ))
}

fn udp_zero(case: &Case<'_>) -> Near {
    let known = case.trace.outer().and_then(|packet| {
        let endpoint = case.trace.endpoint()?;
        let key = crate::forwarding::Sender { endpoint, address: packet.src, carrier: packet.carrier };
        case.tables.senders.get(&key).copied().or_else(|| case.tables.unnamed(&key))
    });
    let who = known.map_or_else(String::new, |peer| format!(" from {}", case.peer(peer)));
    let line = known.and_then(|peer| case.line(Noun::UdpChecksum(peer)).or_else(|| case.line(Noun::Encap(peer))));
    Near::new(
        format!(
            "the UDP checksum{who} is zero over IPv6: write `udp_checksum: {{ rx_zero: accept }}`, or let the peer \
             compute it"
        ),
        line,
    )
}

/// Frames that end too early.
pub(super) fn truncated(case: &Case<'_>, stage: Stage) -> Vec<Near> {
    let len = case.frame.len();
    let text = match stage {
        Stage::Classify if case.arrived.cut => {
            format!("the capture holds only the first {len} bytes of the frame: capture with a longer snapshot length")
        }
        Stage::Classify => format!("the frame ends after {len} bytes, inside its outer headers"),
        _ => {
            let what = case.origin().map_or("its", |(_, peer)| peer.compiled.kind().info().title);
            let rest = case.tunnel().len();
            format!("{rest} bytes are too few for the {what} header and an Ethernet header behind it")
        }
    };
    vec![Near::new(text, None)]
}

/// RFC 6040 §4.2: the one combination that is a drop.
pub(super) fn ecn(case: &Case<'_>) -> Vec<Near> {
    let Some((id, _)) = case.origin() else { return Vec::new() };
    let text = format!(
        "the underlay marked the packet from {} as congested (CE), but the tenant's packet inside is not ECN-capable: \
         the far end must not copy ECT to its outer header for it",
        case.peer(id)
    );
    vec![Near::new(text, case.line(Noun::Peer(id)))]
}
