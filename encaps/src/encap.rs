//! The contract: what an encapsulation is, in the three moments of a tunnel's life.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::drops::{DropReason, DropTable};
use crate::frame::Frame;
use crate::l2cp::ControlGroups;
use crate::wire_ids::WireIds;
use crate::words::{HeaderField, Readings};

/// What an encapsulation rides on. The classifier looks for it; the underlay writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Carrier {
    /// The tags of an Ethernet frame itself, on a port.
    Port,
    /// IP, under this protocol number.
    Ip(u8),
    /// UDP, to this destination port.
    Udp(u16),
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port => f.write_str("Ethernet"),
            Self::Ip(protocol) => write!(f, "IP protocol {protocol}"),
            Self::Udp(port) => write!(f, "UDP port {port}"),
        }
    }
}

/// The tenant ID as one encapsulation writes it, up to 64 bits.
///
/// Only the encapsulation that made it knows its layout; everyone else compares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Segment(pub u64);

/// What was inside. Ethernet today; L3 GRE will bring IP, which no bridge stage may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// An Ethernet frame without its FCS.
    Ethernet,
}

/// What a decapsulation found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decap {
    /// Which tenant ID the header carries.
    pub segment: Segment,
    /// What the frame now holds.
    pub payload: Payload,
    /// For what a stricter peer would have dropped the frame.
    pub tolerated: Option<DropReason>,
}

impl Decap {
    /// An Ethernet frame of this segment, with no deviation to tolerate.
    #[must_use]
    pub const fn ethernet(segment: Segment) -> Self {
        Self { segment, payload: Payload::Ethernet, tolerated: None }
    }
}

/// How an ID field is written in YAML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdForm {
    /// A number from 0 to this one.
    Number {
        /// The largest value the field can hold.
        max: u64,
    },
    /// `true`, which counts as 1.
    Flag,
}

/// One field of a tenant ID, under the name its standard gives it.
#[derive(Debug, Clone, Copy)]
pub struct IdField {
    /// The name in YAML: `vni`, `vsid`, `key`, `s_vid` ..
    pub name: &'static str,
    /// How it is written.
    pub form: IdForm,
    /// Values the wire could carry but the standard reserves, and for what.
    pub reserved: &'static [(RangeInclusive<u64>, &'static str)],
    /// Whether an attachment may take a range or a list of its values: `7-9`.
    pub takes_ranges: bool,
    /// One line for the schema and the documentation.
    pub about: &'static str,
}

/// The value of an ID field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdNumber {
    /// One number.
    Number(u64),
    /// All numbers from the first to the last one.
    Range(u64, u64),
}

impl fmt::Display for IdNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value) => value.fmt(f),
            Self::Range(first, last) => write!(f, "{first}-{last}"),
        }
    }
}

/// The values of an attachment's ID fields, by name. At most four.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ids {
    fields: [Option<(&'static str, IdNumber)>; 4],
}

impl Ids {
    /// The set of these fields.
    #[must_use]
    pub fn of(fields: &[(&'static str, u64)]) -> Self {
        let mut ids = Self::default();
        for &(name, value) in fields {
            ids.set(name, value);
        }
        ids
    }

    /// Gives a field a value. A fifth one is not kept.
    pub fn set(&mut self, name: &'static str, value: u64) {
        self.put(name, IdNumber::Number(value));
    }

    /// Gives a field a range of values. A fifth field is not kept.
    pub fn set_range(&mut self, name: &'static str, values: RangeInclusive<u64>) {
        self.put(name, IdNumber::Range(*values.start(), *values.end()));
    }

    fn put(&mut self, name: &'static str, value: IdNumber) {
        if let Some(slot) = self.fields.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some((name, value));
        }
    }

    /// The value of a field; of a range, the first.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        let (_, value) = self.iter().find(|(field, _)| *field == name)?;
        match value {
            IdNumber::Number(value) | IdNumber::Range(value, _) => Some(value),
        }
    }

    /// The range of values that a field has, if it is one.
    #[must_use]
    pub fn range(&self, name: &str) -> Option<RangeInclusive<u64>> {
        match self.iter().find(|(field, _)| *field == name)? {
            (_, IdNumber::Range(first, last)) => Some(first..=last),
            (_, IdNumber::Number(_)) => None,
        }
    }

    /// All fields, in the order they were given.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, IdNumber)> + '_ {
        self.fields.iter().flatten().copied()
    }
}

impl fmt::Display for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (name, value)) in self.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            match name {
                "untagged" => write!(f, "{comma}untagged")?,
                "key" => write!(f, "{comma}{name} {:#x}", self.get(name).unwrap_or_default())?,
                _ => write!(f, "{comma}{name} {value}")?,
            }
        }
        if self.iter().next().is_none() { f.write_str("no key") } else { Ok(()) }
    }
}

/// Why a specification or an ID cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// The YAML field at fault.
    pub field: &'static str,
    /// What is wrong and what to write instead.
    pub message: Cow<'static, str>,
}

impl SpecError {
    /// This field, for this reason.
    pub fn new(field: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { field, message: message.into() }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl std::error::Error for SpecError {}

/// What happens to VLAN tags inside a tenant's frame, where the attachment does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InnerTags {
    /// They are payload, in both directions.
    Keep,
    /// They are taken off, in both directions.
    Strip,
    /// A frame that has one is dropped, in both directions.
    Drop,
}

/// One overlay encapsulation, in the three moments of a tunnel's life, and in words.
///
/// An implementation owns the header between its carrier and the inner frame, and nothing else: no sockets, no
/// clocks, no tables, and after `compile` no heap. The value is the compiled peer: every header byte that will
/// never change.
///
/// The functions marked "In words" are for people: `explain` and the readers of captures call them, the data path
/// never does, and they may allocate. Their `packet` is everything from the first byte of the header to the end of
/// what the carrier carries, so a header may be of any length; of tags it is the whole frame.
pub trait Encap: Sized + Send + Sync + 'static {
    /// The YAML tag: `encap: vxlan`, or `encap: { vxlan: { .. } }`.
    const TAG: &'static str;
    /// The name people use.
    const TITLE: &'static str;
    /// Where it is written down.
    const STANDARD: &'static str;
    /// What it rides on, unless the peer moves it.
    const CARRIER: Carrier;
    /// Where some software sends it unless told otherwise, and what people call that.
    const ALSO_ON: &'static [(Carrier, &'static str)] = &[];
    /// Most bytes [`encap`](Self::encap) adds, carrier and underlay not counted. Ports reserve this headroom.
    const OVERHEAD: usize;
    /// The fields of its tenant ID.
    const IDS: &'static [IdField];
    /// What happens to VLAN tags of the tenant's frame by default.
    // RFC 7348 §6.1 leaves it to configuration; Linux and Open vSwitch keep them.
    const INNER_TAGS: InnerTags = InnerTags::Keep;
    /// Whether tags of the tenant's frame may be kept at all.
    const CAN_KEEP_TAGS: bool = true;
    /// Whether a UDP checksum of zero over IPv6 is accepted unless the peer says otherwise.
    const UDP6_ZERO_CHECKSUM: bool = false;
    /// The bits that [`rx_ids`](Self::rx_ids) and [`tx_ids`](Self::tx_ids) count in. Two encapsulations with the
    /// same name here read the same bits; those of others on one carrier cannot be told apart at all.
    const ID_BITS: &'static str = Self::TAG;

    /// The YAML block under the tag.
    type Spec: Clone + fmt::Debug + Default + PartialEq + Serialize + DeserializeOwned + JsonSchema;
    /// The drop reasons that only this encapsulation has.
    type Drop: DropTable;
    /// What changes from frame to frame and outlives a reload: sequence numbers. Most have none.
    type State: Default + fmt::Debug + Send + Sync;

    /// Control plane, once per peer: checks the spec and writes every header byte that will never change.
    ///
    /// # Errors
    /// When the spec asks for something the wire cannot say; the error names the field.
    fn compile(spec: &Self::Spec) -> Result<Self, SpecError>;

    /// The carrier of this peer, which may have moved to another UDP port.
    fn carrier(&self) -> Carrier {
        Self::CARRIER
    }

    /// Control plane: whether a mapping may lead to a peer of this spec. It may not where the peer keeps something for
    /// every segment, since a mapping has too many.
    ///
    /// # Errors
    /// Which option is in the way, and what it does.
    fn mappable(spec: &Self::Spec) -> Result<(), SpecError> {
        let _ = spec;
        Ok(())
    }

    /// How many bytes [`encap`](Self::encap) adds for this segment, carrier and underlay not counted.
    fn overhead(&self, segment: Segment) -> usize;

    /// The type that [`encap`](Self::encap) puts behind the MAC addresses for this segment, where it puts a tag there.
    fn outer_tag(&self, segment: Segment) -> Option<u16> {
        let _ = segment;
        None
    }

    /// Whether [`encap`](Self::encap) numbers the packets of this segment: it must then be called in the order that they
    /// leave in.
    fn is_numbered(&self, segment: Segment) -> bool {
        let _ = segment;
        false
    }

    /// Control plane: the segment that these ID fields name. Ranges and reserved values of [`IDS`](Self::IDS) are
    /// checked by the caller; what is left is how fields go together.
    ///
    /// # Errors
    /// When a field is missing or two exclude each other.
    fn segment(ids: &Ids) -> Result<Segment, SpecError>;

    /// The ID fields of a segment: the inverse of [`segment`](Self::segment).
    fn ids(segment: Segment) -> Ids;

    /// Control plane: an attachment will use this segment of the peer.
    ///
    /// # Errors
    /// When it cannot be told apart from one claimed before.
    fn claim(&mut self, segment: Segment) -> Result<(), SpecError> {
        let _ = segment;
        Ok(())
    }

    /// Control plane: the attachment that uses `first` will use this segment too.
    ///
    /// # Errors
    /// As of [`claim`](Self::claim).
    fn join(&mut self, segment: Segment, first: Segment) -> Result<(), SpecError> {
        let _ = first;
        self.claim(segment)
    }

    /// Control plane: a mapping will use segments whose first field is that of this one.
    ///
    /// # Errors
    /// As of [`claim`](Self::claim).
    fn claim_mapped(&mut self, segment: Segment) -> Result<(), SpecError> {
        self.claim(segment)
    }

    /// Control plane: the claimed segments that count before this one, where a packet fits both.
    fn longer(&self, segment: Segment) -> Vec<Segment> {
        let _ = segment;
        Vec::new()
    }

    /// Control plane: all segments of the attachment that uses this one.
    fn fellows(&self, segment: Segment) -> Vec<Segment> {
        vec![segment]
    }

    /// Control plane: the values of the ID bits that [`decap`](Self::decap) accepts for this segment, of which those of
    /// [`longer`](Self::longer) segments are other attachments'.
    fn rx_ids(&self, segment: Segment) -> WireIds {
        WireIds::one(segment.0)
    }

    /// Control plane: the values of the ID bits that [`encap`](Self::encap) writes for this segment.
    fn tx_ids(&self, segment: Segment) -> WireIds {
        self.rx_ids(segment)
    }

    /// Control plane: whether [`encap`](Self::encap) keeps every frame of another segment from leaving as this one,
    /// whatever the tenant's frame begins with.
    fn blocks_foreign_tags(&self, segment: Segment) -> bool {
        let _ = segment;
        true
    }

    /// Control plane: the state the claimed segments need; `previous` is that of the table before a reload.
    fn state(&self, previous: Option<&Self::State>) -> Self::State {
        let _ = previous;
        Self::State::default()
    }

    /// Data plane: strips the header. Returns the segment and what the payload is.
    ///
    /// # Errors
    /// Why the frame must be dropped. Its contents are then unspecified.
    fn decap(&self, state: &Self::State, frame: &mut Frame<'_>) -> Result<Decap, DropReason>;

    /// Data plane: puts the header in front. `entropy` is a hash of the inner flow.
    ///
    /// # Errors
    /// Why the frame must be dropped. It is then unchanged.
    fn encap(
        &self,
        state: &Self::State,
        frame: &mut Frame<'_>,
        segment: Segment,
        entropy: u32,
    ) -> Result<(), DropReason>;

    /// Which of bridges' control frames pass at a segment, unless the configuration says otherwise.
    #[must_use]
    fn relayed(segment: Segment) -> ControlGroups {
        let _ = segment;
        ControlGroups::NONE
    }

    /// In words: the fields of a header in the order of the wire, without a gap. Empty where the header is not whole,
    /// and for tags, which are Ethernet's.
    #[must_use]
    fn fields(packet: &[u8]) -> Vec<HeaderField> {
        let _ = packet;
        Vec::new()
    }

    /// In words: where the Ethernet frame begins in a packet, if it carries one: behind the last field.
    #[must_use]
    fn inner_at(packet: &[u8]) -> Option<usize> {
        Self::fields(packet).last().map(|field| field.at.end)
    }

    /// In words: what is wrong with a packet that was dropped, or tolerated, for one of the encapsulation's own
    /// reasons. `who` is its sender, such as `peer leaf-9`; of a frame that leaves, where it was to go.
    fn why(&self, reason: Self::Drop, packet: &[u8], who: &str) -> Option<String> {
        let _ = (reason, packet, who);
        None
    }

    /// In words: what a packet carries that carries no Ethernet frame.
    #[must_use]
    fn other_payload(packet: &[u8], who: &str) -> Option<String> {
        let _ = (packet, who);
        None
    }

    /// In words: how the tenant ID of a packet reads, and what else may have been meant. `configured` holds the
    /// segments that the peer has, in order.
    fn readings(&self, packet: &[u8], configured: &[Segment]) -> Readings {
        let _ = (packet, configured);
        Readings::default()
    }

    /// In words: what to do about a peer that sends on another carrier, if `packet`, what it sends there, reads as this
    /// encapsulation.
    fn elsewhere(&self, sent: Carrier, packet: &[u8]) -> Option<String> {
        let _ = (sent, packet);
        None
    }
}
