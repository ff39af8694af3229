//! NVGRE: an Ethernet frame in GRE, under a 24-bit VSID with eight bits of flow entropy (RFC 7637).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |0| |1|0|   Reserved0     | Ver |   Protocol Type 0x6558        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |               Virtual Subnet ID (VSID)        |    FlowID     |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! Byte for byte this is GRE with a key; only the configuration can tell the two apart.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Reserved;
use crate::drops::{Common, DropReason, drop_reasons};
use crate::encap::{Carrier, Decap, Encap, IdField, IdForm, Ids, InnerTags, Segment, SpecError};
use crate::ethernet;
use crate::frame::Frame;
use crate::gre::{self, Gre};
use crate::wire_ids::WireIds;
use crate::words::{HeaderField, Reading, Readings, readings_of_24_bits};

const HEADER_LEN: usize = 8;

drop_reasons! {
    /// The drop reasons that only NVGRE has.
    pub enum Drop for Nvgre {
        [Decap]
        BadFlags, "nvgre_bad_flags", Peer, "An NVGRE header must have a key, no checksum, no sequence number and version 0; the peer may speak plain GRE.";
        ReservedBits, "nvgre_reserved_bits", Peer, "Reserved bits of the NVGRE header are set.";
        InnerTag, "nvgre_inner_tag", Peer, "RFC 7637 section 3.2 forbids a VLAN tag inside NVGRE; the peer sent one.";
    }
}

/// What to write into the `FlowID` on transmit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlowId {
    /// Eight bits of the inner flow's hash, so that the underlay can spread flows.
    #[default]
    Flow,
    /// Zero: for peers that compare the whole 32-bit key, such as Linux `gretap key`.
    Zero,
}

/// How an NVGRE peer is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "NvgreOptions")]
pub struct Spec {
    /// What to write into the `FlowID` on transmit. On receive it never matters.
    pub flow_id: FlowId,
    /// What to do about reserved bits that are set on receive.
    pub reserved: Reserved,
}

/// A compiled NVGRE peer.
#[derive(Debug, Clone)]
pub struct Nvgre {
    flow_mask: u8,
    reserved: Reserved,
}

impl Encap for Nvgre {
    const TAG: &'static str = "nvgre";
    const TITLE: &'static str = "NVGRE";
    const STANDARD: &'static str = "RFC 7637";
    const CARRIER: Carrier = Carrier::Ip(gre::PROTOCOL);
    const OVERHEAD: usize = HEADER_LEN;
    const IDS: &'static [IdField] = &[IdField {
        name: "vsid",
        form: IdForm::Number { max: 0xff_ffff },
        // RFC 7637 §3.3.
        reserved: &[
            (0..=0xfff, "reserved by RFC 7637 section 3.3; VSIDs start at 4096"),
            (0xff_ffff..=0xff_ffff, "reserved by RFC 7637 section 3.3 for messages between NVEs"),
        ],
        takes_ranges: false,
        about: "NVGRE virtual subnet identifier, 4096 to 16777214",
    }];
    // RFC 7637 §3.2: no 802.1Q tag inside.
    const INNER_TAGS: InnerTags = InnerTags::Drop;
    const CAN_KEEP_TAGS: bool = false;
    const ID_BITS: &'static str = gre::KEY_BITS;

    type Spec = Spec;
    type Drop = Drop;
    type State = ();

    fn compile(spec: &Spec) -> Result<Self, SpecError> {
        let flow_mask = match spec.flow_id {
            FlowId::Flow => 0xff,
            FlowId::Zero => 0,
        };
        Ok(Self { flow_mask, reserved: spec.reserved })
    }

    fn overhead(&self, _: Segment) -> usize {
        HEADER_LEN
    }

    fn segment(ids: &Ids) -> Result<Segment, SpecError> {
        ids.get("vsid")
            .map(Segment)
            .ok_or(SpecError::new("vsid", "an NVGRE attachment needs its VSID, such as `vsid: 5100`"))
    }

    fn ids(segment: Segment) -> Ids {
        Ids::of(&[("vsid", segment.0)])
    }

    fn rx_ids(&self, segment: Segment) -> WireIds {
        // The key with any FlowID.
        WireIds::range(segment.0 << 8, segment.0 << 8 | 0xff)
    }

    #[inline]
    fn decap(&self, (): &(), frame: &mut Frame<'_>) -> Result<Decap, DropReason> {
        // RFC 7637 §3.2: FlowID never selects the segment.
        let header = u64::from_be_bytes(frame.pull::<HEADER_LEN>()?);
        let flags = (header >> 48) as u16;

        if !is_nvgre(flags) {
            return Err(Drop::BadFlags.into());
        }
        if (header >> 32) as u16 != ethernet::BRIDGING {
            return Err(Common::UnknownPayload.into());
        }
        let mut found = Decap::ethernet(Segment(header >> 8 & 0xff_ffff));
        if flags & gre::IGNORED_BITS != 0 {
            found.tolerated = Some(self.reserved.check(Drop::ReservedBits)?);
        }

        // RFC 7637 §3.2: the receiver drops an inner frame that carries a tag.
        if ethernet::be16(frame.bytes(), ethernet::ADDRESSES_LEN).is_some_and(ethernet::is_tag) {
            return Err(Drop::InnerTag.into());
        }
        Ok(found)
    }

    #[inline]
    fn encap(&self, (): &(), frame: &mut Frame<'_>, segment: Segment, entropy: u32) -> Result<(), DropReason> {
        let flow_id = u64::from(entropy as u8 & self.flow_mask);
        let header = u64::from(gre::KEYED_BRIDGING) << 32 | (segment.0 & 0xff_ffff) << 8 | flow_id;
        frame.prepend(&header.to_be_bytes())
    }

    fn fields(packet: &[u8]) -> Vec<HeaderField> {
        let Some(&[f1, f2, t1, t2, v1, v2, v3, flow_id]) = packet.first_chunk::<HEADER_LEN>() else {
            return Vec::new();
        };
        let (flags, carried) = (u16::from_be_bytes([f1, f2]), u16::from_be_bytes([t1, t2]));
        if !is_nvgre(flags) {
            return Gre::fields(packet);
        }
        let vsid = u32::from_be_bytes([0, v1, v2, v3]);
        let reserved = Self::IDS.iter().flat_map(|field| field.reserved);
        let remark = reserved.into_iter().find(|(range, _)| range.contains(&vsid.into())).map(|(_, why)| *why);
        vec![
            HeaderField::new("flags", 0..2, format!("{flags:#06x}")).with_remark(gre::flags_remark(flags)),
            HeaderField::new("type", 2..4, format!("{carried:#06x}")).with_remark(gre::carried_name(carried)),
            HeaderField::new("vsid", 4..7, vsid.to_string()).with_remark(remark),
            HeaderField::new("flow id", 7..8, format!("{flow_id:#04x}")),
        ]
    }

    fn inner_at(packet: &[u8]) -> Option<usize> {
        Gre::inner_at(packet)
    }

    fn why(&self, reason: Drop, packet: &[u8], who: &str) -> Option<String> {
        let flags = ethernet::be16(packet, 0)?;
        Some(match reason {
            Drop::BadFlags if flags & gre::VERSION != 0 => gre::version(packet, who)?,
            Drop::BadFlags => format!(
                "the header from {who} has {}, which NVGRE does not allow: the peer speaks GRE, the configuration says \
                 nvgre",
                not_allowed(flags)
            ),
            Drop::ReservedBits => gre::reserved_bits(flags, self.reserved, who),
            Drop::InnerTag => {
                let tag = ethernet::be16(packet, HEADER_LEN + ethernet::HEADER_LEN)?;
                format!(
                    "the tenant's frame from {who} carries VLAN {} inside NVGRE, which RFC 7637 forbids: give that \
                     VLAN a VSID of its own at the peer",
                    tag & 0x0fff
                )
            }
        })
    }

    fn other_payload(packet: &[u8], who: &str) -> Option<String> {
        Gre::other_payload(packet, who)
    }

    fn readings(&self, packet: &[u8], _: &[Segment]) -> Readings {
        let Some(&[_, _, _, _, v1, v2, v3, flow_id]) = packet.first_chunk::<HEADER_LEN>() else {
            return Readings::default();
        };
        let (vsid, key) = (u32::from_be_bytes([0, v1, v2, v3]), u32::from_be_bytes([v1, v2, v3, flow_id]));
        let why = "the peer speaks GRE, the configuration says nvgre";
        let mut others = vec![Reading::new(key.into(), format!("the whole key {key} ({key:#010x})"), why).in_options()];
        others.extend(readings_of_24_bits("VSID", vsid.into()));
        Readings { found: Some(format!("VSID {vsid} ({vsid:#08x}) with FlowID {flow_id:#04x}")), others }
    }
}

/// Whether a header with these flags is NVGRE's. RFC 7637 §3.2: C and S zero, K one. The bits RFC 2784 §2.3 makes
/// fatal are fatal here too.
#[inline]
const fn is_nvgre(flags: u16) -> bool {
    flags & !gre::IGNORED_BITS == gre::KEY
}

/// What flags say that are not NVGRE's: `a checksum (C is set) and routing bits`.
fn not_allowed(flags: u16) -> String {
    let all = [
        (flags & gre::KEY == 0, "no key (K is clear)"),
        (flags & gre::CHECKSUM != 0, "a checksum (C is set)"),
        (flags & gre::SEQUENCE != 0, "a sequence number (S is set)"),
        (flags & gre::FATAL_BITS != 0, "routing bits"),
    ];
    let wrong: Vec<_> = all.iter().filter(|(is, _)| *is).map(|(_, what)| *what).collect();
    wrong.join(" and ")
}
