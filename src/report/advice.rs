//! What to do about a trouble, in a line each: what an operator can check or write, on this machine, in the file or at the
//! peer.

use std::net::IpAddr;

use transload_encaps::{Carrier, Common, DropReason};

use super::rows::DropSampleRow;
use crate::rib::facts::Unreachable;

/// The ends of a tunnel, as far as they are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends<'a> {
    /// The name of the peer.
    pub(super) peer: &'a str,
    /// Its address; of a peer whose DNS name has none yet, the name.
    pub(super) remote: &'a str,
    /// The address of our endpoint.
    pub(super) local: Option<&'a str>,
    /// What its packets ride on.
    pub(super) carrier: Carrier,
}

/// About a peer that says, or a router that says of it, that packets do not arrive.
pub(super) fn unreachable(why: Unreachable, from: IpAddr, ends: Ends<'_>) -> String {
    let Ends { remote, carrier, .. } = ends;
    let is_peer = from.to_string() == remote;
    match why {
        Unreachable::Port if is_peer => format!(
            "nobody listens on {carrier} there, or a firewall of its own rejects: start its tunnel, or say by `udp_port` \
             in the peer's `encap` which port it listens on (Linux takes 8472 unless `dstport` says otherwise)"
        ),
        Unreachable::Protocol if is_peer => format!(
            "it has no tunnel on {carrier} for this tenant ID: set one up there, with the same ID (a key is one) and the same \
             encapsulation"
        ),
        Unreachable::Port | Unreachable::Protocol | Unreachable::Prohibited => {
            format!("a firewall on {from} rejects the packets: let {carrier} to {remote} through there")
        }
        Unreachable::Host => {
            format!(
                "router {from} cannot reach the host: is {remote} up, is the address right, is its link to the router?"
            )
        }
        Unreachable::Network => format!("router {from} has no route to {remote}: add one there"),
        Unreachable::Expired => {
            format!("the packets go in circles, or `ttl` is too small: `traceroute {remote}` shows the way")
        }
    }
}

/// About a peer to which no path is known.
pub(super) fn unresolved(ends: Ends<'_>) -> String {
    match ends.remote.parse::<IpAddr>() {
        Ok(address) => format!(
            "is its host up? Does a route lead there by a device of the endpoint's ports? `ip route get {address}` and `ip \
             neighbour show` tell what this machine knows of the way there"
        ),
        Err(_) => format!("let the name {} have an address in DNS, or write one at the peer", ends.remote),
    }
}

/// About a peer that sends nothing though packets are sent to it. Tunnel packets of a stranger may be its own, if they ride
/// on the same.
pub(super) fn silent(ends: Ends<'_>, stranger: Option<&DropSampleRow>) -> String {
    let Ends { peer, remote, carrier, local } = ends;
    let ours = local.unwrap_or("this gateway");
    let stranger = stranger.filter(|sample| sample.carrier.as_deref() == Some(&*carrier.to_string()));
    let strangers = stranger.and_then(|sample| sample.source.as_deref()).map_or_else(String::new, |source| {
        format!(
            "; packets of an unknown sender, {source}, arrive: if it is this peer, name it in the peer's `accept_from`"
        )
    });
    format!(
        "is {carrier} let through between {ours} and {remote}, both ways, and does the tunnel there send to {ours}? \
         `transload probe {peer}` asks its host{strangers}"
    )
}

/// About packets of a peer that are to an endpoint, and not in its VLAN.
pub(super) fn astray(last: &DropSampleRow, vlan: Option<u16>) -> String {
    let (peer, to) = (last.via.as_deref().unwrap_or("a peer"), last.destination.as_deref().unwrap_or("an endpoint"));
    let wrong = match vlan {
        Some(vlan) => format!(
            "peer {peer} sends to endpoint {to}, but not in VLAN {vlan}, the endpoint's: have the underlay deliver its packets \
             there, or write the endpoint's `vlan` as they arrive"
        ),
        None => format!(
            "peer {peer} sends to endpoint {to}, but its packets arrive with a VLAN tag: write it as the endpoint's `vlan`, or \
             have the underlay take it off"
        ),
    };
    format!("{wrong}; `transload capture --reason not_for_us --count 1` shows their tag")
}

/// About frames that are dropped for this reason, and go on being dropped; of the last one its headers, if it was seen.
pub(super) fn dropped(reason: DropReason, last: Option<&DropSampleRow>) -> String {
    let is = |common: Common| reason == common.into();
    let via = last.and_then(|last| last.via.as_deref());
    if is(Common::UnknownSegment) {
        let id = last.and_then(|last| last.id.as_deref()).unwrap_or("a tenant ID");
        let who = via.map_or_else(|| "a peer".to_owned(), |via| format!("peer {via}"));
        format!(
            "{who} sends {id}, which no attachment to it has: add an attachment with it, or let the peer send one that the \
             file has"
        )
    } else if is(Common::UnknownPeer) {
        let source = last.and_then(|last| last.source.as_deref()).unwrap_or("an address");
        format!(
            "tunnel packets come from {source}, which no peer has: add a peer with it, or, if it is another address of a \
             peer, name it in the peer's `accept_from`"
        )
    } else if is(Common::UnclaimedTags) {
        let tag =
            last.and_then(|last| last.vlan).map_or_else(String::new, |vlan| format!(", the first one VLAN {vlan}"));
        let port = via.unwrap_or("the port");
        format!(
            "no attachment of {port} has these VLAN tags{tag}: add one, or let the sender use tags that the file has"
        )
    } else {
        reason.info().meaning.into()
    }
}
