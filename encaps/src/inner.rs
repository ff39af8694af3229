//! The one reader of a tenant's frame: what it carries behind its VLAN tags.
//!
//! ```text
//! | MAC addresses | VLAN tags | type | IPv4 or IPv6, options or extension headers | TCP, UDP ...
//!                                    | MPLS label stack          | IP, or a pseudowire's payload
//!                                    | PPPoE session, PPP        | IP, or PPP's own business
//! ^ 0                                ^ Inner::at                                   ^ IpPacket::l4
//! ```
//!
//! [`Inner::of`] walks the tags and nothing else; what is behind them is read when it is asked for.
//! [`packet`](Inner::packet) is the IP packet right behind the tags, which stages may mark, answer, clamp and cut.
//! [`label_stack`](Inner::label_stack) and [`session`](Inner::session) serve the [`flow`](crate::flow) hash alone: what
//! is behind them belongs to another network, and nothing but the choice of a path may come of it.
//!
//! Nothing here is checked that a reader need not rely on: a frame may be cut, padded, or of false lengths. Every
//! offset is one of the frame's.

mod labels;
mod pppoe;

use std::net::IpAddr;

use crate::ethernet;
use crate::ip::{self, DF, FRAGMENT_OFFSET, IPV4_LEN, IPV6_LEN, MORE_FRAGMENTS};

pub use labels::LabelStack;
pub use pppoe::Session;

/// More extension headers than this are not walked; RFC 8200 §4.1 has a packet use seven at most.
const MOST_EXTENSIONS: usize = 8;

/// What a tenant's frame carries behind its VLAN tags.
#[derive(Debug, Clone, Copy)]
pub struct Inner<'f> {
    frame: &'f [u8],
    /// The first type that is no VLAN tag.
    pub ether_type: u16,
    /// Where what this type describes begins in the frame.
    pub at: usize,
}

impl<'f> Inner<'f> {
    /// What this frame carries; `None` when it ends inside its addresses or tags.
    #[must_use]
    #[inline]
    pub fn of(frame: &'f [u8]) -> Option<Self> {
        let (ether_type, at) = ethernet::payload(frame)?;
        Some(Self { frame, ether_type, at })
    }

    /// The whole frame.
    #[must_use]
    #[inline]
    pub const fn frame(&self) -> &'f [u8] {
        self.frame
    }

    /// The traffic class of the IP packet right behind the tags, of which no more than the first two bytes are read.
    #[must_use]
    #[inline]
    pub fn traffic_class(&self) -> Option<u8> {
        let [first, second] = *self.frame.get(self.at..)?.first_chunk()?;
        match (self.ether_type, first >> 4) {
            (ethernet::IPV4, 4) => Some(second),
            (ethernet::IPV6, 6) => Some(first << 4 | second >> 4),
            _ => None,
        }
    }

    /// The IP packet right behind the tags.
    #[must_use]
    #[inline]
    pub fn packet(&self) -> Option<IpPacket> {
        match self.ether_type {
            ethernet::IPV4 => IpPacket::v4(self.frame, self.at),
            ethernet::IPV6 => IpPacket::v6(self.frame, self.at),
            _ => None,
        }
    }

    /// The MPLS label stack right behind the tags.
    #[must_use]
    pub fn label_stack(&self) -> Option<LabelStack<'f>> {
        let is_mpls = matches!(self.ether_type, ethernet::MPLS | ethernet::MPLS_UPSTREAM);
        is_mpls.then(|| LabelStack::at(self.frame, self.at))
    }

    /// The `PPPoE` session whose packet is right behind the tags.
    #[must_use]
    pub fn session(&self) -> Option<Session> {
        if self.ether_type == ethernet::PPPOE_SESSION { Session::at(self.frame, self.at) } else { None }
    }
}

/// An IP packet inside a frame. Its header is whole; what is behind may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpPacket {
    /// Where the IP header begins in the frame.
    pub at: usize,
    /// Where behind options and extension headers the header of `protocol` begins in the frame. `None` where there is
    /// none: in a later fragment, or behind headers that are cut short or too many.
    pub l4: Option<usize>,
    /// Where the packet ends in the frame; what follows is padding.
    pub end: usize,
    /// The source of `end`: a length field, or the frame itself.
    pub ending: Ending,
    /// What the packet carries behind its extension headers; the type of the one that could not be passed, if so.
    pub protocol: u8,
    /// The source address.
    pub src: IpAddr,
    /// The destination address.
    pub dst: IpAddr,
    /// Whether routers may not fragment it: IPv4's DF; in IPv6 it is always so.
    pub dont_fragment: bool,
    /// Which part of a datagram it is; `None` for one that is whole.
    pub fragment: Option<Fragment>,
    /// What kinds of extension headers it has.
    pub extensions: Extensions,
}

/// The source of the place where a packet ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The header says so.
    Stated,
    /// The header states no length, as that of a jumbogram (RFC 2675) and of super-frames of more than 64 KB (Linux
    /// "BIG TCP"): the packet fills the frame.
    Open,
    /// By its header the packet is longer than the frame: it fills the frame, and the rest is lost.
    Cut,
}

impl Ending {
    /// Where a packet ends, and how that is known, if from `from` on it has `len` bytes.
    #[inline]
    const fn of(frame: &[u8], from: usize, len: u16) -> (usize, Self) {
        let end = from + len as usize;
        match len {
            0 => (frame.len(), Self::Open),
            _ if end > frame.len() => (frame.len(), Self::Cut),
            _ => (end, Self::Stated),
        }
    }
}

/// Which part of a datagram a fragment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragment {
    /// The first, which has the transport's header; or one that is first and last (RFC 6946).
    First,
    /// Any later fragment.
    Later,
}

/// The extension headers of a packet, by what they mean to one who would change what is behind them. IPv4 has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extensions {
    /// No extension headers, or only hop-by-hop and destination options.
    Options,
    /// A routing header too: the destination of the IP header need not be the one that checksums cover.
    Routing,
    /// Others too: what is behind them is authenticated, is only a part, or is between other addresses.
    Other,
}

impl Extensions {
    const fn of(protocol: u8) -> Self {
        match protocol {
            ip::HOP_BY_HOP | ip::DESTINATION => Self::Options,
            ip::ROUTING => Self::Routing,
            _ => Self::Other,
        }
    }
}

impl IpPacket {
    /// The packet of whichever version that begins here.
    fn of(frame: &[u8], at: usize) -> Option<Self> {
        match frame.get(at)? >> 4 {
            4 => Self::v4(frame, at),
            6 => Self::v6(frame, at),
            _ => None,
        }
    }

    #[inline]
    fn v4(frame: &[u8], at: usize) -> Option<Self> {
        let header: &[u8; IPV4_LEN] = frame.get(at..)?.first_chunk()?;
        let [first, _, l1, l2, _, _, f1, f2, _, protocol, _, _, s1, s2, s3, s4, d1, d2, d3, d4] = *header;
        let header_len = usize::from(first & 0x0f) * 4;
        if first >> 4 != 4 || header_len < IPV4_LEN {
            return None;
        }
        let flags = u16::from_be_bytes([f1, f2]);
        let fragment = match (flags & FRAGMENT_OFFSET, flags & MORE_FRAGMENTS) {
            (0, 0) => None,
            (0, _) => Some(Fragment::First),
            _ => Some(Fragment::Later),
        };
        let l4 = at + header_len;
        let (end, ending) = Ending::of(frame, at, u16::from_be_bytes([l1, l2]));
        Some(Self {
            at,
            l4: (l4 <= frame.len() && fragment != Some(Fragment::Later)).then_some(l4),
            end,
            ending,
            protocol,
            src: IpAddr::from([s1, s2, s3, s4]),
            dst: IpAddr::from([d1, d2, d3, d4]),
            dont_fragment: flags & DF != 0,
            fragment,
            extensions: Extensions::Options,
        })
    }

    #[inline]
    fn v6(frame: &[u8], at: usize) -> Option<Self> {
        let header: &[u8; IPV6_LEN] = frame.get(at..)?.first_chunk()?;
        if header[0] >> 4 != 6 {
            return None;
        }
        let l4 = at + IPV6_LEN;
        let (end, ending) = Ending::of(frame, l4, u16::from_be_bytes([header[4], header[5]]));
        let Chain { protocol, l4, fragment, extensions } = Chain::of(frame, header[6], l4);
        let (src, dst): (&[u8; 16], &[u8; 16]) = (header.get(8..)?.first_chunk()?, header.last_chunk()?);
        Some(Self {
            at,
            l4,
            end,
            ending,
            protocol,
            src: IpAddr::from(*src),
            dst: IpAddr::from(*dst),
            dont_fragment: true,
            fragment,
            extensions,
        })
    }
}

/// What follows an IPv6 header, up to what the packet carries: the fields of [`IpPacket`] that depend on it.
#[derive(Clone, Copy)]
struct Chain {
    protocol: u8,
    l4: Option<usize>,
    fragment: Option<Fragment>,
    extensions: Extensions,
}

impl Chain {
    /// That which begins at `at` with a header of this type.
    #[inline]
    fn of(frame: &[u8], protocol: u8, at: usize) -> Self {
        let none = Self { protocol, l4: Some(at), fragment: None, extensions: Extensions::Options };
        if ip::is_extension(protocol) { none.behind_extensions(frame, at) } else { none }
    }

    #[cold]
    fn behind_extensions(mut self, frame: &[u8], at: usize) -> Self {
        self.l4 = self.pass_extensions(frame, at);
        self
    }

    /// Reads the extension headers from `at` on; returns where what they precede begins.
    fn pass_extensions(&mut self, frame: &[u8], mut at: usize) -> Option<usize> {
        for _ in 0..MOST_EXTENSIONS {
            let header = frame.get(at..)?;
            let [next, units] = *header.first_chunk()?;
            let len = ip::extension_len(self.protocol, units);
            if len > header.len() {
                return None;
            }
            if self.protocol == ip::FRAGMENT {
                // RFC 8200 §4.5: the upper 13 bits are the offset.
                let is_first = ethernet::be16(header, 2)? >> 3 == 0;
                self.fragment = Some(if is_first { Fragment::First } else { Fragment::Later });
            }
            self.extensions = self.extensions.max(Extensions::of(self.protocol));
            (self.protocol, at) = (next, at + len);
            if self.fragment == Some(Fragment::Later) {
                return None;
            }
            if !ip::is_extension(next) {
                return Some(at);
            }
        }
        None
    }
}
