//! Addresses of peers that may be DNS names, and what the names resolve to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::addresses::Address;
use super::values::{Text, texts};

texts! {
    PeerAddress, "^[0-9a-zA-Z_.:-]+$";
}

/// Most letters of a name, and of a part of it (RFC 1035 §2.3.4).
const MOST_LETTERS: usize = 253;
const MOST_OF_A_LABEL: usize = 63;

/// The address of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerAddress {
    /// As it is.
    Address(IpAddr),
    /// The one that a DNS name resolves to, in small letters.
    Name(String),
}

impl Text for PeerAddress {
    const EXPECTED: &'static str = "an IP address or a DNS name";

    fn read(text: &str) -> Result<Self, String> {
        match Address::read(text) {
            Ok(Address(address)) => Ok(Self::Address(address)),
            Err(_) if is_host_name(text) => Ok(Self::Name(text.to_ascii_lowercase())),
            Err(why) if looks_like_an_address(text) => Err(why),
            Err(_) => {
                let help = match text.rsplit_once(':') {
                    Some((name, _)) if is_host_name(name) => format!("write the name without a port: {name}"),
                    _ => "write one such as 192.0.2.13 or leaf-3.example.net".to_owned(),
                };
                Err(format!("`{text}` is neither an IP address nor a DNS name\n{help}"))
            }
        }
    }
}

/// Whether a text was to be an address, maybe with a prefix length or a zone.
fn looks_like_an_address(text: &str) -> bool {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    address.chars().all(|c| c.is_ascii_hexdigit() || ".:/-".contains(c))
}

/// Whether a text can be a DNS name, and is not an address with a typing error.
fn is_host_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let labels: Vec<_> = name.split('.').collect();
    let is_label = |label: &&str| {
        (1..=MOST_OF_A_LABEL).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = |label: &&str| label.chars().all(|c| c.is_ascii_digit());
    let Some((last, others)) = labels.split_last() else { return false };
    let is_mistyped = is_number(last) || others.len() >= 2 && others.iter().all(is_number);
    name.len() <= MOST_LETTERS && labels.iter().all(is_label) && !is_mistyped
}

/// What the names of peers resolve to, as far as somebody has asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// By name: the addresses, or why there are none.
    pub found: BTreeMap<String, Result<BTreeSet<IpAddr>, String>>,
    /// By peer and its name: the address that it has had so far.
    pub kept: BTreeMap<(String, String), IpAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_address_with_a_typing_error() {
        for name in ["leaf-3.example.net", "leaf", "Leaf_3.Example.NET.", "10.example.net", "a", "3com.example"] {
            assert_eq!(PeerAddress::read(name), Ok(PeerAddress::Name(name.to_ascii_lowercase())));
        }
        let long = "a".repeat(64);
        for wrong in
            ["192.0.2.256", "192.0.2", "192.0.2.x", "192.0.2.9/32", "-a.net", "a-.net", "a..net", "", ".", "a b", &long]
        {
            assert!(PeerAddress::read(wrong).is_err(), "{wrong}");
        }
    }
}
