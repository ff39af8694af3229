//! MPLS label stacks (RFC 3032 §2.1).
//!
//! ```text
//! | label, 20 bits | traffic class, 3 | S | TTL, 8 |   ... and so on, until S is set: the bottom of the stack
//! ```

use super::{Ending, IpPacket};
use crate::checksum;

const ENTRY_LEN: usize = 4;
/// Deeper stacks are hashed as far as this.
const MOST_LABELS: usize = 16;
/// RFC 6790 §3: the label behind this one is an entropy label.
const ENTROPY_INDICATOR: u32 = 7;
/// RFC 7274 §3.1: the label behind this one is a special one too.
const EXTENSION: u32 = 15;
/// RFC 3032 §2.1: labels below this mean something of their own.
const FIRST_ORDINARY: u32 = 16;
/// Ethernet pads frames that are shorter; tags that came or went on the way included.
const PADDED: usize = 64;

/// The labels before a packet.
#[derive(Debug, Clone, Copy)]
pub struct LabelStack<'f> {
    frame: &'f [u8],
    entries: &'f [[u8; ENTRY_LEN]],
    /// Where in the frame what the labels carry begins; `None` if their bottom was not found.
    behind: Option<usize>,
}

const fn label([a, b, c, _]: [u8; ENTRY_LEN]) -> u32 {
    u32::from_be_bytes([0, a, b, c]) >> 4
}

const fn is_bottom([_, _, c, _]: [u8; ENTRY_LEN]) -> bool {
    c & 1 != 0
}

impl<'f> LabelStack<'f> {
    pub(super) fn at(frame: &'f [u8], at: usize) -> Self {
        let (all, _) = frame.get(at..).unwrap_or_default().as_chunks();
        let bottom = all.iter().copied().take(MOST_LABELS).position(is_bottom);
        let depth = bottom.map_or(MOST_LABELS.min(all.len()), |bottom| bottom + 1);
        let behind = bottom.map(|_| at + depth * ENTRY_LEN);
        Self { frame, entries: all.get(..depth).unwrap_or_default(), behind }
    }

    fn labels(&self) -> impl Iterator<Item = u32> + use<'f> {
        self.entries.iter().copied().map(label)
    }

    /// The topmost entropy label, which stands for the flow: RFC 6790 §4.3 lets a router balance by it alone.
    #[must_use]
    pub fn entropy_label(&self) -> Option<u32> {
        let mut labels = self.labels();
        labels.find(|&label| label == ENTROPY_INDICATOR)?;
        labels.next()
    }

    /// The labels that may tell flows apart, among them the flow label at the bottom of a pseudowire's stack (RFC 6391):
    /// all but special ones, which RFC 6790 §4.3 and RFC 7274 §3.1 keep out of load balancing.
    pub fn ordinary_labels(&self) -> impl Iterator<Item = u32> + use<'f> {
        let mut before = None;
        self.labels().filter(move |&label| {
            let is_extended = before.replace(label) == Some(EXTENSION);
            label >= FIRST_ORDINARY && !is_extended
        })
    }

    /// The IP packet that the labels carry, if it is one beyond doubt.
    ///
    /// RFC 4928 §2, RFC 9790: labels do not say what they carry. A first nibble of 4 or 6 is IP's, unless it begins the
    /// MAC address in a pseudowire without a control word; and what is taken for ports and addresses there differs
    /// from frame to frame of a flow. So lengths and IPv4's header checksum must be right as well.
    #[must_use]
    pub fn packet(&self) -> Option<IpPacket> {
        let packet = IpPacket::of(self.frame, self.behind?)?;
        let is_filled = packet.end == self.frame.len() || self.frame.len() <= PADDED;
        (packet.ending == Ending::Stated && is_filled && self.is_summed(&packet)).then_some(packet)
    }

    fn is_summed(&self, packet: &IpPacket) -> bool {
        let header = || self.frame.get(packet.at..)?.get(..usize::from(self.frame.get(packet.at)? & 0x0f) * 4);
        packet.src.is_ipv6() || header().is_some_and(|header| checksum::of(header) == 0)
    }
}
