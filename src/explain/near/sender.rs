//! Tunnel packets from unknown senders: the peers that nearly match.

use std::net::IpAddr;

use transload_encaps::others::Other;
use transload_encaps::outer::Outer;
use transload_encaps::{Carrier, Kind};

use super::super::case::Case;
use super::{Near, outer};
use crate::compile::Noun;
use crate::forwarding::{EndpointId, Learner, Peer, PeerId, Sender};

/// The peers with the packet's source, in the order of how near they are.
pub(super) fn unknown(case: &Case<'_>) -> Vec<Near> {
    let (Some(endpoint), Some(packet)) = (case.trace.endpoint(), case.trace.outer()) else { return Vec::new() };
    let mut all = same_address(case, endpoint, &packet);
    all.extend(other_family(case, &packet));
    let mut near: Vec<_> =
        [nearest(case, endpoint, &packet), outside(case, endpoint, &packet)].into_iter().flatten().collect();
    near.sort_by_key(|(apart, _)| *apart);
    all.extend(near.into_iter().map(|(_, near)| near));
    if all.is_empty() {
        let text = format!(
            "{} is no peer's address at {}, nor near one: add a peer, or name it in `accept_from` or the `members` of a group",
            packet.src,
            case.endpoint(endpoint)
        );
        all.push(Near::new(text, case.line(Noun::Endpoint(endpoint))));
    }
    all
}

/// A packet whose carrier no peer of the endpoint uses.
pub(super) fn wrong_carrier(case: &Case<'_>) -> Vec<Near> {
    let (Some(endpoint), Some(packet)) = (case.trace.endpoint(), case.trace.outer()) else { return Vec::new() };
    let mut all = same_address(case, endpoint, &packet);
    let text = format!(
        "the packet is {}, and the peers of {} speak {}",
        packet.carrier.in_words(),
        case.endpoint(endpoint),
        outer::carriers(case, endpoint)
    );
    all.push(Near::new(text, case.line(Noun::Endpoint(endpoint))));
    all
}

/// A packet for the machine itself: what it is, and that nothing is wrong.
pub(super) fn host_traffic(case: &Case<'_>) -> Vec<Near> {
    let Some(packet) = case.trace.outer() else { return Vec::new() };
    let known = case.tables.senders.iter().filter(|(sender, _)| sender.address == packet.src);
    let first = known.map(|(_, peer)| *peer).min();
    let who = first.map_or_else(String::new, |peer| format!(" ({})", case.peer(peer)));
    let text = format!(
        "the packet from {}{who} is {}, no tunnel packet but for the machine itself: its own stack takes it, and nothing is \
         wrong",
        packet.src,
        packet.carrier.in_words()
    );
    vec![Near::new(text, None)]
}

fn same_address(case: &Case<'_>, endpoint: EndpointId, packet: &Outer) -> Vec<Near> {
    let mut same: Vec<_> = case.tables.senders.iter().filter(|(sender, _)| sender.address == packet.src).collect();
    same.sort_by_key(|(sender, peer)| (sender.endpoint != endpoint, sender.carrier != packet.carrier, **peer));
    same.into_iter().map(|(sender, &peer)| same_source(case, endpoint, packet, sender, peer)).collect()
}

fn same_source(case: &Case<'_>, endpoint: EndpointId, packet: &Outer, sender: &Sender, peer: PeerId) -> Near {
    let who = format!("{} is {}", packet.src, case.peer(peer));
    if sender.carrier == packet.carrier {
        let text =
            format!("{who}, but at {}; this packet is to {}", case.endpoint(sender.endpoint), case.endpoint(endpoint));
        return Near::new(text, case.line(Noun::Sender(*sender)));
    }
    let line = case.line(Noun::Encap(peer)).or_else(|| case.line(Noun::Sender(*sender)));
    let payload = case.frame.get(usize::from(packet.at)..packet.end as usize).unwrap_or_default();
    let text = case.tables.peer(peer).map(|peer| wrong_carrier_of(peer, packet.carrier, payload)).unwrap_or_default();
    Near::new(format!("{who}: {text}"), line)
}

/// What a peer does whose packet came on another carrier than the configuration says.
fn wrong_carrier_of(peer: &Peer, sent: Carrier, packet: &[u8]) -> String {
    let own = peer.compiled.kind();
    let (title, stated) = (own.info().title, peer.compiled.carrier());
    let spoken: Vec<_> = Kind::on(sent).collect();
    if !spoken.is_empty() && !spoken.contains(&own) {
        let titles: Vec<_> = spoken.iter().map(|kind| kind.info().title).collect();
        return format!("it speaks {} ({sent}), the configuration says {title} ({stated})", titles.join(" or "));
    }
    if let Some(text) = peer.compiled.elsewhere(sent, packet) {
        return text;
    }
    match sent.other() {
        Some(Other { name, is_tunnel: true }) => format!(
            "it speaks {name} ({sent}), which this gateway does not, and the configuration says {title} ({stated}): let it \
             speak {title}"
        ),
        Some(Other { name, .. }) => {
            format!("it sends {name} ({sent}), which carries no tenant's frames and is for the machine itself")
        }
        None => {
            let of_udp = matches!((sent, stated), (Carrier::Udp(_), Carrier::Udp(_)));
            let inside =
                if of_udp { format!(", and what it sends there does not read as {title}") } else { String::new() };
            format!("it sends {}, the configuration says {title} ({stated}){inside}", sent.in_words())
        }
    }
}

/// An IPv4 peer's address, as an IPv6 socket writes it.
fn other_family(case: &Case<'_>, packet: &Outer) -> Option<Near> {
    let IpAddr::V6(src) = packet.src else { return None };
    let address = IpAddr::V4(src.to_ipv4_mapped()?);
    let (sender, &peer) = case.tables.senders.iter().find(|(sender, _)| sender.address == address)?;
    let text = format!(
        "{src} is the IPv4 address of {} inside an IPv6 one: its tunnel must be IPv4, to {}",
        case.peer(peer),
        case.endpoint(sender.endpoint)
    );
    Some(Near::new(text, case.line(Noun::Sender(*sender))))
}

/// How many addresses are near one of a family: a /24, or a /64, which is what one site is given.
fn neighbourhood(address: IpAddr) -> u128 {
    if address.is_ipv4() { 1 << 8 } else { 1 << 64 }
}

/// The nearest addresses from which peers may be learned, and how far they are.
fn outside(case: &Case<'_>, endpoint: EndpointId, packet: &Outer) -> Option<(u128, Near)> {
    let here = case.tables.learners.iter().filter(|row| row.endpoint == endpoint && row.carrier == packet.carrier);
    let apart = |row: &Learner| distance(row.first, packet.src).min(distance(row.last, packet.src));
    let (apart, row) = here.filter_map(|row| Some((apart(row)?, row))).min_by_key(|(apart, _)| *apart)?;
    let size = distance(row.first, row.last)?;
    if apart >= neighbourhood(packet.src).max(size) {
        return None;
    }
    let name = case.names.peer(row.peer);
    let group = name.split_once('/').map_or(&*name, |(group, _)| group);
    let text = format!(
        "{} is not in `learn_from` of group {group}, which ranges from {} to {}: widen it, or add the address to the \
         group's `members`",
        packet.src, row.first, row.last
    );
    Some((apart, Near::new(text, case.line(Noun::Learner(*row)))))
}

/// The sender at this endpoint with the nearest address, if it is near at all, and how far that is.
fn nearest(case: &Case<'_>, endpoint: EndpointId, packet: &Outer) -> Option<(u128, Near)> {
    let here = case.tables.senders.iter().filter(|(sender, _)| sender.endpoint == endpoint);
    let by_distance = here.filter_map(|(sender, &peer)| Some((distance(sender.address, packet.src)?, sender, peer)));
    let (apart, sender, peer) = by_distance
        .filter(|(apart, ..)| *apart > 0)
        .min_by_key(|(apart, sender, peer)| (*apart, sender.carrier != packet.carrier, *peer))?;
    let name = case.names.peer(peer);
    let help = match name.split_once('/') {
        Some((group, _)) => format!("add it to the `members` of group {group}"),
        None => format!("if it is the same one, add it to `accept_from` of {}", case.peer(peer)),
    };
    if apart >= neighbourhood(packet.src) {
        return None;
    }
    let text = format!("{} is no peer's address, but {} is {}: {help}", packet.src, sender.address, case.peer(peer));
    Some((apart, Near::new(text, case.line(Noun::Sender(*sender)))))
}

/// How far two addresses of one family are apart.
pub(super) fn distance(a: IpAddr, b: IpAddr) -> Option<u128> {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => Some(u128::from(a.to_bits().abs_diff(b.to_bits()))),
        (IpAddr::V6(a), IpAddr::V6(b)) => Some(a.to_bits().abs_diff(b.to_bits())),
        _ => None,
    }
}
