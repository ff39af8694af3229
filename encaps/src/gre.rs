//! GRE carrying Ethernet: with or without key, checksum and sequence number (RFC 2784, RFC 2890; RFC 7676 for IPv6).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |C|R|K|S|s|      Reserved0      | Ver |   Protocol Type 0x6558  |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |      Checksum (if C)          |       Reserved1 (if C)        |
//! |                         Key (if K)                            |
//! |                  Sequence Number (if S)                       |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

mod words;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Reserved;
use crate::checksum;
use crate::drops::{Common, DropReason, drop_reasons};
use crate::encap::{Carrier, Decap, Encap, IdField, IdForm, Ids, Segment, SpecError};
use crate::ethernet;
use crate::frame::{Checksum, Frame};
use crate::words::{HeaderField, Readings};
pub(crate) use words::{carried_name, flags_remark, reserved_bits, version};

/// GRE's IP protocol number.
pub(crate) const PROTOCOL: u8 = 47;
/// What a key and a VSID with its `FlowID` are both read from.
pub(crate) const KEY_BITS: &str = "GRE key";
/// The C bit.
pub(crate) const CHECKSUM: u16 = 0x8000;
/// The K bit.
pub(crate) const KEY: u16 = 0x2000;
/// The S bit.
pub(crate) const SEQUENCE: u16 = 0x1000;
/// RFC 2784 §2.3: bits 6 to 12 are sent as zero and ignored on receipt.
pub(crate) const IGNORED_BITS: u16 = 0x03f8;
/// Zero in the GRE that carries Ethernet.
pub(crate) const VERSION: u16 = 0x0007;
/// RFC 2784 §2.3: a receiver that does not speak RFC 1701 discards a packet with any of these bits (R, s, Recur).
pub(crate) const FATAL_BITS: u16 = 0x4c00;

const BASE_LEN: usize = 4;
const OPTION_LEN: usize = 4;
/// The first four bytes, in network order, of a header with a key and nothing else that carries Ethernet. Most are such.
pub(crate) const KEYED_BRIDGING: u32 = (KEY as u32) << 16 | ethernet::BRIDGING as u32;

/// A segment without a key. Key 0 is another segment (RFC 2890 §2.1).
const KEYLESS: Segment = Segment(1 << 32);

drop_reasons! {
    /// The drop reasons that only GRE has.
    pub enum Drop for Gre {
        [Decap]
        Version, "gre_version", Peer, "A GRE version other than 0 (version 1 is PPTP and its relatives).";
        RoutingBits, "gre_routing_bits", Peer, "GRE flag bits of RFC 1701 source routing, which RFC 2784 tells receivers to discard.";
        ReservedBits, "gre_reserved_bits", Peer, "Reserved bits of the GRE header are set.";
        BadChecksum, "gre_checksum", Peer, "The GRE checksum is wrong: the underlay corrupts packets.";
        OutOfOrder, "gre_out_of_order", Peer, "An older sequence number than one already seen on this tunnel: the underlay reorders or duplicates.";
    }
}

/// How a GRE peer is spoken to. The key belongs to the attachment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "GreOptions")]
pub struct Spec {
    /// Send a checksum over header and payload. On receive it is verified whenever present.
    pub checksum: bool,
    /// Send sequence numbers, and drop what arrives out of order. Otherwise received numbers are skipped.
    pub sequence: bool,
    /// What to do about reserved bits that are set on receive.
    pub reserved: Reserved,
}

/// The sequence numbers of one tunnel (RFC 2890 §2.2).
#[derive(Debug, Default)]
struct Sequence {
    segment: u64,
    next_sent: AtomicU32,
    /// Lowest number still in order; above 32 bits while nothing has come.
    next_expected: AtomicU64,
}

const NOTHING_YET: u64 = u64::MAX;

/// Sequence numbers of every claimed segment, sorted by segment; empty unless the peer asked for them.
#[derive(Debug, Default)]
pub struct State {
    sequences: Vec<Sequence>,
}

impl State {
    #[inline]
    fn sequence(&self, segment: Segment) -> Option<&Sequence> {
        let at = self.sequences.binary_search_by_key(&segment.0, |sequence| sequence.segment).ok()?;
        self.sequences.get(at)
    }
}

impl Sequence {
    /// RFC 2890 §2.2: a number not above the last one is out of order. Zero is how a restarted sender begins.
    fn accepts(&self, sequence: u32) -> bool {
        let expected = self.next_expected.load(Ordering::Relaxed);
        let in_order = expected == NOTHING_YET || sequence == 0 || sequence.wrapping_sub(expected as u32) < 1 << 31;
        if in_order {
            self.next_expected.store(u64::from(sequence.wrapping_add(1)), Ordering::Relaxed);
        }
        in_order
    }
}

/// A compiled GRE peer.
#[derive(Debug, Clone)]
pub struct Gre {
    flags: u16,
    reserved: Reserved,
    /// The segments that need sequence numbers, in no order.
    claimed: Vec<u64>,
}

impl Encap for Gre {
    const TAG: &'static str = "gre";
    const TITLE: &'static str = "GRE";
    const STANDARD: &'static str = "RFC 2784, RFC 2890";
    const CARRIER: Carrier = Carrier::Ip(PROTOCOL);
    const OVERHEAD: usize = BASE_LEN + 3 * OPTION_LEN;
    const IDS: &'static [IdField] = &[IdField {
        name: "key",
        form: IdForm::Number { max: 0xffff_ffff },
        reserved: &[],
        takes_ranges: false,
        about: "GRE key, 0 to 4294967295; left out for a tunnel without one",
    }];
    const ID_BITS: &'static str = KEY_BITS;

    type Spec = Spec;
    type Drop = Drop;
    type State = State;

    fn compile(spec: &Spec) -> Result<Self, SpecError> {
        let mut flags = 0;
        if spec.checksum {
            flags |= CHECKSUM;
        }
        if spec.sequence {
            flags |= SEQUENCE;
        }
        Ok(Self { flags, reserved: spec.reserved, claimed: Vec::new() })
    }

    fn mappable(spec: &Spec) -> Result<(), SpecError> {
        if spec.sequence {
            return Err(SpecError::new(
                "sequence",
                "counts sequence numbers for every key, which a mapping cannot keep",
            ));
        }
        Ok(())
    }

    fn overhead(&self, segment: Segment) -> usize {
        header_len(self.flags_for(segment))
    }

    fn is_numbered(&self, segment: Segment) -> bool {
        self.flags_for(segment) & SEQUENCE != 0
    }

    fn segment(ids: &Ids) -> Result<Segment, SpecError> {
        Ok(ids.get("key").map_or(KEYLESS, Segment))
    }

    fn ids(segment: Segment) -> Ids {
        if segment == KEYLESS { Ids::default() } else { Ids::of(&[("key", segment.0)]) }
    }

    fn claim(&mut self, segment: Segment) -> Result<(), SpecError> {
        if self.flags & SEQUENCE != 0 {
            self.claimed.push(segment.0);
        }
        Ok(())
    }

    fn state(&self, previous: Option<&State>) -> State {
        let mut claimed = self.claimed.clone();
        claimed.sort_unstable();
        claimed.dedup();
        let sequences = claimed.into_iter().map(|segment| {
            let before = previous.and_then(|state| state.sequence(Segment(segment)));
            let (sent, expected) = before.map_or((0, NOTHING_YET), |sequence| {
                (sequence.next_sent.load(Ordering::Relaxed), sequence.next_expected.load(Ordering::Relaxed))
            });
            Sequence { segment, next_sent: sent.into(), next_expected: expected.into() }
        });
        State { sequences: sequences.collect() }
    }

    #[inline]
    fn decap(&self, state: &State, frame: &mut Frame<'_>) -> Result<Decap, DropReason> {
        // Most headers have a key and nothing else.
        if let Some(&[f1, f2, t1, t2, k1, k2, k3, k4]) = frame.bytes().first_chunk()
            && u32::from_be_bytes([f1, f2, t1, t2]) == KEYED_BRIDGING
        {
            frame.advance(BASE_LEN + OPTION_LEN)?;
            return Ok(Decap::ethernet(Segment(u32::from_be_bytes([k1, k2, k3, k4]).into())));
        }
        self.decap_any(state, frame)
    }

    #[inline]
    fn encap(&self, state: &State, frame: &mut Frame<'_>, segment: Segment, _: u32) -> Result<(), DropReason> {
        if self.flags_for(segment) == KEY {
            return frame.prepend(&(u64::from(KEYED_BRIDGING) << 32 | segment.0).to_be_bytes());
        }
        self.encap_any(state, frame, segment)
    }

    fn fields(packet: &[u8]) -> Vec<HeaderField> {
        let Some((flags, carried)) = ethernet::be16(packet, 0).zip(ethernet::be16(packet, 2)) else {
            return Vec::new();
        };
        let mut fields = vec![
            HeaderField::new("flags", 0..2, format!("{flags:#06x}")).with_remark(flags_remark(flags)),
            HeaderField::new("type", 2..4, format!("{carried:#06x}")).with_remark(carried_name(carried)),
        ];
        for bit in [CHECKSUM, KEY, SEQUENCE].into_iter().filter(|bit| flags & bit != 0) {
            let at = option_at(flags, bit);
            let Some(word) = word(packet, at) else { return Vec::new() };
            match bit {
                CHECKSUM => {
                    fields.push(HeaderField::new("checksum", at..at + 2, format!("{:#06x}", word >> 16)));
                    fields.push(HeaderField::reserved("reserved", at + 2..at + 4, packet));
                }
                KEY => fields.push(HeaderField::new("key", at..at + 4, format!("{word:#010x}"))),
                _ => fields.push(HeaderField::new("sequence", at..at + 4, word.to_string())),
            }
        }
        fields
    }

    fn inner_at(packet: &[u8]) -> Option<usize> {
        let (flags, carried) = (ethernet::be16(packet, 0)?, ethernet::be16(packet, 2)?);
        let at = header_len(flags);
        (carried == ethernet::BRIDGING && at <= packet.len()).then_some(at)
    }

    fn why(&self, reason: Drop, packet: &[u8], who: &str) -> Option<String> {
        let flags = ethernet::be16(packet, 0)?;
        Some(match reason {
            Drop::Version => words::version(packet, who)?,
            Drop::RoutingBits => words::routing_bits(flags, who),
            Drop::ReservedBits => reserved_bits(flags, self.reserved, who),
            Drop::BadChecksum => words::bad_checksum(packet, who)?,
            Drop::OutOfOrder => format!(
                "sequence number {} from {who} is not newer than one seen before: the underlay reorders or \
                 duplicates; without `sequence: true` numbers are not looked at",
                word(packet, option_at(flags, SEQUENCE))?
            ),
        })
    }

    fn other_payload(packet: &[u8], who: &str) -> Option<String> {
        let carried = ethernet::be16(packet, 2)?;
        Some(words::other_payload(carried, who))
    }

    fn readings(&self, packet: &[u8], configured: &[Segment]) -> Readings {
        let flags = ethernet::be16(packet, 0).unwrap_or_default();
        let key = if flags & KEY == 0 { None } else { word(packet, option_at(flags, KEY)) };
        words::readings(key, configured)
    }
}

impl Gre {
    /// Puts any header in front.
    #[inline(never)]
    fn encap_any(&self, state: &State, frame: &mut Frame<'_>, segment: Segment) -> Result<(), DropReason> {
        let flags = self.flags_for(segment);
        let header = frame.push(header_len(flags))?;

        let mut words = header.chunks_exact_mut(4);
        let mut write = |word: u32| {
            if let Some(place) = words.next() {
                place.copy_from_slice(&word.to_be_bytes());
            }
        };
        write(u32::from(flags) << 16 | u32::from(ethernet::BRIDGING));
        if flags & CHECKSUM != 0 {
            write(0);
        }
        if flags & KEY != 0 {
            write(segment.0 as u32);
        }
        if flags & SEQUENCE != 0 {
            // RFC 2890 §2.2: the first packet carries 0.
            write(state.sequence(segment).map_or(0, |sequence| sequence.next_sent.fetch_add(1, Ordering::Relaxed)));
        }

        if flags & CHECKSUM != 0 {
            // RFC 2784 §2.1: over the GRE header, with this field zero, and the payload.
            let sum = checksum::of(frame.bytes()).to_be_bytes();
            if let Some(field) = frame.bytes_mut().get_mut(4..6) {
                field.copy_from_slice(&sum);
            }
        }
        Ok(())
    }

    /// Strips any header.
    #[inline(never)]
    fn decap_any(&self, state: &State, frame: &mut Frame<'_>) -> Result<Decap, DropReason> {
        let head = frame.bytes();
        let flags = ethernet::be16(head, 0).ok_or(Common::Truncated)?;
        let protocol = ethernet::be16(head, 2).ok_or(Common::Truncated)?;

        if flags & VERSION != 0 {
            return Err(Drop::Version.into());
        }
        if flags & FATAL_BITS != 0 {
            return Err(Drop::RoutingBits.into());
        }
        let options = head.get(BASE_LEN..header_len(flags)).ok_or(Common::Truncated)?;
        if protocol != ethernet::BRIDGING {
            return Err(Common::UnknownPayload.into());
        }

        // RFC 2784 §2.1: a receiver must accept and process the checksum. One over bytes that an offloading sender
        // has not finished cannot be judged.
        if flags & CHECKSUM != 0 && frame.meta.checksum == Checksum::Unknown && checksum::of(head) != 0 {
            return Err(Drop::BadChecksum.into());
        }

        let mut words = options
            .chunks_exact(OPTION_LEN)
            .map(|word| word.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes)));
        if flags & CHECKSUM != 0 {
            words.next();
        }
        let segment = if flags & KEY == 0 { KEYLESS } else { Segment(u64::from(words.next().unwrap_or(0))) };

        let mut found = Decap::ethernet(segment);
        if flags & IGNORED_BITS != 0 {
            found.tolerated = Some(self.reserved.check(Drop::ReservedBits)?);
        }

        // RFC 2890 §2.2: a numbered packet that is not newer than the last is discarded. Last of all checks,
        // so that only a packet that is carried counts as seen.
        if flags & SEQUENCE != 0
            && let Some(sequence) = state.sequence(segment)
            && !sequence.accepts(words.next().unwrap_or(0))
        {
            return Err(Drop::OutOfOrder.into());
        }
        frame.advance(header_len(flags))?;
        Ok(found)
    }

    #[inline]
    const fn flags_for(&self, segment: Segment) -> u16 {
        if segment.0 == KEYLESS.0 { self.flags } else { self.flags | KEY }
    }
}

#[inline]
const fn header_len(flags: u16) -> usize {
    BASE_LEN + OPTION_LEN * (flags & (CHECKSUM | KEY | SEQUENCE)).count_ones() as usize
}

/// Where an option of a header begins: options stand in the order of their bits, the highest first.
const fn option_at(flags: u16, bit: u16) -> usize {
    header_len(flags & !(bit | (bit - 1)))
}

fn word(packet: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*packet.get(at..)?.first_chunk()?))
}
