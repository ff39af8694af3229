//! VXLAN: an Ethernet frame in UDP, under a 24-bit VNI (RFC 7348).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |R|R|R|R|I|R|R|R|            Reserved                           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                VXLAN Network Identifier (VNI) |   Reserved    |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Reserved;
use crate::drops::{DropReason, drop_reasons};
use crate::encap::{Carrier, Decap, Encap, IdField, IdForm, Ids, Segment, SpecError};
use crate::ethernet;
use crate::frame::Frame;
use crate::words::{HeaderField, Reading, Readings, is_likely_frame, readings_of_24_bits};

const HEADER_LEN: usize = 8;
const FLAG_VNI: u8 = 0x08;
/// The same in the whole header, and the place of the VNI there.
const VNI_FLAG: u64 = (FLAG_VNI as u64) << 56;
const VNI_AT: u32 = 8;
/// VXLAN-GBP: the header carries a group policy ID.
const FLAG_GROUP_POLICY: u8 = 0x80;
/// VXLAN-GPE: the header names the protocol of what it carries.
const FLAG_NEXT_PROTOCOL: u8 = 0x04;
/// IANA's port (RFC 7348 §5).
const UDP_PORT: u16 = 4789;
/// What Linux and flannel sent to before there was one.
const OLD_UDP_PORT: u16 = 8472;

drop_reasons! {
    /// The drop reasons that only VXLAN has.
    pub enum Drop for Vxlan {
        [Decap]
        VniFlagClear, "vxlan_vni_flag_clear", Peer, "A VXLAN header without the I bit carries no VNI.";
        ReservedBits, "vxlan_reserved_bits", Peer, "Reserved bits of the VXLAN header are set: the peer may speak GPE or GBP.";
    }
}

/// How a VXLAN peer is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "VxlanOptions")]
pub struct Spec {
    /// The UDP port the peer listens on and sends to.
    pub udp_port: u16,
    /// What to do about reserved bits that are set on receive.
    pub reserved: Reserved,
}

impl Default for Spec {
    fn default() -> Self {
        Self { udp_port: UDP_PORT, reserved: Reserved::default() }
    }
}

/// A compiled VXLAN peer.
#[derive(Debug, Clone)]
pub struct Vxlan {
    udp_port: u16,
    reserved: Reserved,
}

impl Encap for Vxlan {
    const TAG: &'static str = "vxlan";
    const TITLE: &'static str = "VXLAN";
    const STANDARD: &'static str = "RFC 7348";
    const CARRIER: Carrier = Carrier::Udp(UDP_PORT);
    const ALSO_ON: &'static [(Carrier, &'static str)] = &[(Carrier::Udp(OLD_UDP_PORT), "Linux's old VXLAN port")];
    const OVERHEAD: usize = HEADER_LEN;
    const IDS: &'static [IdField] = &[IdField {
        name: "vni",
        form: IdForm::Number { max: 0xff_ffff },
        reserved: &[],
        takes_ranges: false,
        about: "VXLAN network identifier, 0 to 16777215",
    }];
    // RFC 7348 §4.1.1: a zero checksum MUST be accepted; the exact match of the peer is the guard RFC 6936 wants.
    const UDP6_ZERO_CHECKSUM: bool = true;

    type Spec = Spec;
    type Drop = Drop;
    type State = ();

    fn compile(spec: &Spec) -> Result<Self, SpecError> {
        if spec.udp_port == 0 {
            return Err(SpecError::new(
                "udp_port",
                "port 0 cannot be sent to; write 4789, or 8472 for old Linux peers",
            ));
        }
        Ok(Self { udp_port: spec.udp_port, reserved: spec.reserved })
    }

    fn carrier(&self) -> Carrier {
        Carrier::Udp(self.udp_port)
    }

    fn overhead(&self, _: Segment) -> usize {
        HEADER_LEN
    }

    fn segment(ids: &Ids) -> Result<Segment, SpecError> {
        ids.get("vni")
            .map(Segment)
            .ok_or(SpecError::new("vni", "a VXLAN attachment needs its VNI, such as `vni: 10100`"))
    }

    fn ids(segment: Segment) -> Ids {
        Ids::of(&[("vni", segment.0)])
    }

    #[inline]
    fn decap(&self, (): &(), frame: &mut Frame<'_>) -> Result<Decap, DropReason> {
        let header = u64::from_be_bytes(frame.pull::<HEADER_LEN>()?);

        // RFC 7348 §5: without the I flag there is no VNI to read.
        if header & VNI_FLAG == 0 {
            return Err(Drop::VniFlagClear.into());
        }
        let mut found = Decap::ethernet(Segment(header >> VNI_AT & 0xff_ffff));

        // RFC 7348 §5: reserved bits are ignored on receipt. Linux, OVS and VPP drop such frames; peers do send
        // them (GBP, the B bit of GPE).
        if header & !(VNI_FLAG | 0xff_ffff << VNI_AT) != 0 {
            found.tolerated = Some(self.reserved.check(Drop::ReservedBits)?);
        }
        Ok(found)
    }

    #[inline]
    fn encap(&self, (): &(), frame: &mut Frame<'_>, segment: Segment, _: u32) -> Result<(), DropReason> {
        let [.., v1, v2, v3] = segment.0.to_be_bytes();
        frame.prepend(&[FLAG_VNI, 0, 0, 0, v1, v2, v3, 0])
    }

    fn fields(packet: &[u8]) -> Vec<HeaderField> {
        let Some(&[flags, _, _, _, v1, v2, v3, _]) = packet.first_chunk::<HEADER_LEN>() else { return Vec::new() };
        let remark =
            (flags & FLAG_VNI == 0).then_some("the I flag is clear: RFC 7348 section 5, the VNI does not count");
        vec![
            HeaderField::new("flags", 0..1, format!("{flags:#04x}")).with_remark(remark),
            HeaderField::reserved("reserved", 1..4, packet),
            HeaderField::new("vni", 4..7, u32::from_be_bytes([0, v1, v2, v3]).to_string()),
            HeaderField::reserved("reserved 2", 7..8, packet),
        ]
    }

    fn why(&self, reason: Drop, packet: &[u8], who: &str) -> Option<String> {
        let header = packet.first_chunk()?;
        match reason {
            Drop::VniFlagClear => Some(vni_flag_clear(*header, who)),
            Drop::ReservedBits => Some(format!("{}{}", reserved_bits(*header, who), self.reserved.words())),
        }
    }

    fn readings(&self, packet: &[u8], _: &[Segment]) -> Readings {
        let Some(&[_, _, _, _, v1, v2, v3, r4]) = packet.first_chunk::<HEADER_LEN>() else {
            return Readings::default();
        };
        let vni = u32::from_be_bytes([0, v1, v2, v3]);
        let low = u32::from_be_bytes([0, v2, v3, r4]);
        let why = "the peer writes the VNI eight bits too low, into the reserved byte";
        let mut others = vec![Reading::new(low.into(), format!("VNI {low}"), why)];
        others.extend(readings_of_24_bits("VNI", vni.into()));
        Readings { found: Some(format!("VNI {vni} ({vni:#08x})")), others }
    }

    fn elsewhere(&self, sent: Carrier, packet: &[u8]) -> Option<String> {
        let Carrier::Udp(port) = sent else { return None };
        is_likely(packet).then(|| {
            format!(
                "it sends to {}, the configuration says {}: write `encap: {{ vxlan: {{ udp_port: {port} }} }}`",
                sent.in_words(),
                self.carrier().in_words()
            )
        })
    }
}

/// Whether a packet reads as VXLAN: no other bits than those of RFC 7348 and of GBP, and a host's frame behind them.
fn is_likely(packet: &[u8]) -> bool {
    let Some((&[flags, r1, r2, r3, _, _, _, r4], inner)) = packet.split_first_chunk::<HEADER_LEN>() else {
        return false;
    };
    let is_plain = flags == FLAG_VNI && [r1, r2, r3] == [0; 3];
    (is_plain || flags == FLAG_VNI | FLAG_GROUP_POLICY) && r4 == 0 && is_likely_frame(inner)
}

/// A header without the I flag, and whose it may be.
fn vni_flag_clear([flags, _, r2, r3, v1, v2, v3, _]: [u8; HEADER_LEN], who: &str) -> String {
    if [r2, r3] == ethernet::BRIDGING.to_be_bytes() {
        return format!("the header from {who} is Geneve's, sent to VXLAN's port: let it speak VXLAN");
    }
    if r3 == FLAG_VNI && flags == 0 {
        return format!(
            "the I flag of the header from {who} is in the fourth byte: the sender writes its flags in the wrong byte \
             order"
        );
    }
    let vni = u32::from_be_bytes([0, v1, v2, v3]);
    format!(
        "the I flag (0x08) of the header from {who} is not set (flags {flags:#04x}), so its VNI {vni} does not count"
    )
}

/// What reserved bits of the header are used for elsewhere.
fn reserved_bits([flags, r1, r2, r3, _, _, _, r4]: [u8; HEADER_LEN], who: &str) -> String {
    if flags & FLAG_GROUP_POLICY != 0 {
        let policy = u16::from_be_bytes([r2, r3]);
        return format!("the header from {who} has the G bit of VXLAN-GBP, with group policy {policy}");
    }
    if flags & FLAG_NEXT_PROTOCOL != 0 {
        let next = match r3 {
            1 => "IPv4",
            2 => "IPv6",
            3 => "Ethernet",
            4 => "NSH",
            _ => "an unknown protocol",
        };
        return format!("the header from {who} has the P bit of VXLAN-GPE, with next protocol {r3} ({next})");
    }
    format!(
        "the header from {who} has reserved bits set (flags {flags:#04x}, reserved {r1:02x}{r2:02x}{r3:02x} and \
         {r4:02x})"
    )
}
