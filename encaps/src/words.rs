//! Words for people: what an encapsulation says about its own headers, beyond carrying frames in them.
//!
//! An encapsulation names the fields of its header, explains its own drops and finds what else a tenant ID could have
//! meant. `explain`, `replay` and the readers of captures ask for it; no frame waits for it, so it may allocate.

use std::borrow::Cow;
use std::ops::Range;

use crate::encap::{Carrier, Segment};
use crate::ethernet::{self, Mac};
use crate::registry::Kind;

/// One field of a header, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderField {
    /// Its name, as the standard or the configuration writes it.
    pub name: &'static str,
    /// Its bytes, counted from the first one of the header.
    pub at: Range<usize>,
    /// Its value, as text.
    pub value: String,
    /// What the value means, where a number does not say it.
    pub remark: Option<Cow<'static, str>>,
    /// Whether it is reserved and zero, as it should be: it is left out for people.
    pub is_blank: bool,
}

impl HeaderField {
    /// A field with this value.
    pub fn new(name: &'static str, at: Range<usize>, value: impl Into<String>) -> Self {
        Self { name, at, value: value.into(), remark: None, is_blank: false }
    }

    /// Bytes of a packet that the standard reserves, at most eight.
    #[must_use]
    pub fn reserved(name: &'static str, at: Range<usize>, packet: &[u8]) -> Self {
        let bytes = packet.get(at.clone()).unwrap_or_default();
        let value = bytes.iter().fold(0, |value: u64, byte| value << 8 | u64::from(*byte));
        let hex = format!("{value:#0width$x}", width = 2 + 2 * bytes.len());
        Self { is_blank: value == 0, ..Self::new(name, at, hex) }
    }

    /// The same field with what its value means.
    #[must_use]
    pub fn with_remark(self, remark: Option<impl Into<Cow<'static, str>>>) -> Self {
        Self { remark: remark.map(Into::into), ..self }
    }

    /// The value and what it means: `0x6558 (Ethernet)`.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.remark {
            Some(remark) => format!("{} ({remark})", self.value),
            None => self.value.clone(),
        }
    }
}

/// The readings of the tenant ID of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Readings {
    /// The ID as it stands in the packet: `VNI 39 (0x000027)`. `None` where the configuration's way to write it says
    /// as much.
    pub found: Option<String>,
    /// What else may have been meant, the likeliest first.
    pub others: Vec<Reading>,
}

/// Another tenant ID that may have been meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The other ID.
    pub segment: Segment,
    /// The same in words: `VNI 10100`.
    pub words: String,
    /// What is wrong if it was meant, and what to do: `the peer writes the VNI in the wrong byte order`.
    pub why: Cow<'static, str>,
    /// What the configuration would have to change, if not the peer.
    pub fix: Fix,
}

/// The part of a configuration that a [`Reading`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fix {
    /// The tenant ID of the attachment.
    Id,
    /// The choice of the encapsulation, or its options.
    Options,
}

impl Reading {
    /// A tenant ID of the configuration that may have been meant.
    pub fn new(segment: u64, words: impl Into<String>, why: impl Into<Cow<'static, str>>) -> Self {
        Self { segment: Segment(segment), words: words.into(), why: why.into(), fix: Fix::Id }
    }

    /// The same, if the encapsulation or its options are what is wrong.
    #[must_use]
    pub fn in_options(self) -> Self {
        Self { fix: Fix::Options, ..self }
    }
}

/// What a 24-bit tenant ID of this name may have been meant to be: its bytes the other way round, shifted by a byte,
/// or a number of the other base.
pub(crate) fn readings_of_24_bits(name: &str, id: u64) -> Vec<Reading> {
    let [low, middle, high, _] = (id as u32).to_le_bytes();
    let swapped = u64::from(u32::from_be_bytes([0, low, middle, high]));
    let of = |other: u64, why: String| Reading::new(other, format!("{name} {other}"), why);
    let mut all = vec![
        of(swapped, format!("the peer writes the {name} in the wrong byte order")),
        of(id >> 8, format!("the peer writes the {name} shifted by 8")),
        of(id << 8, format!("one side shifts the {name} by 8")),
    ];
    all.extend(readings_of_other_base(name, id));
    all
}

/// 10100 for 0x10100, and 0x10100 for 10100.
pub(crate) fn readings_of_other_base(name: &str, id: u64) -> impl Iterator<Item = Reading> {
    let bases = [u64::from_str_radix(&id.to_string(), 16).ok(), format!("{id:x}").parse().ok()];
    bases.into_iter().flatten().filter(move |other| *other != id).map(move |other| {
        let why = "one side reads the number as decimal, the other as hexadecimal";
        Reading::new(other, format!("{name} {other} ({other:#x})"), why)
    })
}

/// The name of what an Ethernet type stands for, if it is a usual one.
#[must_use]
pub const fn type_name(ether_type: u16) -> Option<&'static str> {
    Some(match ether_type {
        ethernet::IPV4 => "IPv4",
        ethernet::IPV6 => "IPv6",
        ethernet::ARP => "ARP",
        ethernet::BRIDGING => "Ethernet",
        ethernet::LLDP => "LLDP",
        0x8847 | 0x8848 => "MPLS",
        0x8863 => "PPPoE discovery",
        0x8864 => "PPPoE",
        0x888e => "802.1X",
        0x88e5 => "MACsec",
        0x88f7 => "PTP",
        0x8902 => "802.1ag",
        0x9000 => "loopback",
        0..0x600 => "length",
        _ => return None,
    })
}

/// Whether bytes read as an Ethernet frame that a host sends: from one station, with a usual type whose header begins as
/// it should.
pub(crate) fn is_likely_frame(bytes: &[u8]) -> bool {
    let source = bytes.get(6..).and_then(|rest| rest.first_chunk()).copied().map(Mac);
    let is_station = |source: Mac| !source.is_group() && source != Mac([0; 6]);
    let Some((ether_type, at)) = ethernet::payload(bytes).filter(|_| source.is_some_and(is_station)) else {
        return false;
    };
    let rest = bytes.get(at..).unwrap_or_default();
    let first = rest.first().copied().unwrap_or_default();
    match ether_type {
        ethernet::IPV4 => first >> 4 == 4 && first & 15 >= 5,
        ethernet::IPV6 => first >> 4 == 6,
        0..0x600 => usize::from(ether_type) <= rest.len(),
        _ => type_name(ether_type).is_some(),
    }
}

impl Carrier {
    /// The carrier and what usually rides on it: `UDP port 4789 (VXLAN)`.
    #[must_use]
    pub fn in_words(self) -> String {
        match self.usual().or_else(|| self.other().map(|other| Cow::Borrowed(other.name))) {
            Some(what) => format!("{self} ({what})"),
            None => self.to_string(),
        }
    }

    /// The registered encapsulations that ride on it.
    fn usual(self) -> Option<Cow<'static, str>> {
        let own = Kind::ALL.iter().map(|kind| kind.info()).filter(|info| info.carrier == self);
        let titles: Vec<_> = own.map(|info| info.title).collect();
        if !titles.is_empty() {
            return Some(titles.join(" or ").into());
        }
        let mut also = Kind::ALL.iter().flat_map(|kind| kind.info().also_on);
        also.find(|(carrier, _)| *carrier == self).map(|(_, what)| Cow::Borrowed(*what))
    }
}
