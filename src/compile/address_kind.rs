//! Kinds of tunnel addresses: only addresses of one kind talk to each other.

use std::fmt::Display;
use std::net::IpAddr;

/// Kinds of tunnel addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressKind {
    V4,
    V6,
    /// IPv6 of one link, which no router forwards (RFC 4291 §2.5.6), and which another host may have on another link.
    LinkLocal,
}

impl AddressKind {
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(address) if address.is_unicast_link_local() => Self::LinkLocal,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// "an IPv4", "a link-local"
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::V4 => "an IPv4",
            Self::V6 => "an IPv6",
            Self::LinkLocal => "a link-local IPv6",
        }
    }
}

/// Why addresses of a peer or a group, as `what` says, do not go together, if they do not: a message and what to do. `shown`
/// is what `one` is written as.
pub(super) fn mismatch(shown: impl Display, one: IpAddr, other: IpAddr, what: &str) -> Option<(String, String)> {
    if AddressKind::of(one) == AddressKind::of(other) {
        return None;
    }
    if one.is_ipv4() != other.is_ipv4() {
        let help = format!("a {what} has one address family; add another {what} for the other");
        return Some((format!("{shown} and {other} are of different address families"), help));
    }
    let message = format!("of {shown} and {other} one is of a single link (fe80::/10) and one is not");
    Some((message, format!("add another {what} for one of them")))
}
