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
use crate::frame::Frame;

const HEADER_LEN: usize = 8;
const FLAG_VNI: u8 = 0x08;
/// IANA's port (RFC 7348 §5). Linux's and flannel's old default was 8472.
const UDP_PORT: u16 = 4789;

drop_reasons! {
    /// The ways to die that only VXLAN has.
    pub enum Drop for Vxlan {
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
    const OVERHEAD: usize = HEADER_LEN;
    const IDS: &'static [IdField] = &[IdField {
        name: "vni",
        form: IdForm::Number { max: 0xff_ffff },
        reserved: &[],
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
        let [flags, r1, r2, r3, v1, v2, v3, r4] = frame.pull::<HEADER_LEN>()?;

        // RFC 7348 §5: without the I flag there is no VNI to read.
        if flags & FLAG_VNI == 0 {
            return Err(Drop::VniFlagClear.into());
        }
        let mut found = Decap::ethernet(Segment(u64::from(u32::from_be_bytes([0, v1, v2, v3]))));

        // RFC 7348 §5: reserved bits are ignored on receipt. Linux, OVS and VPP drop such frames; peers do send
        // them (GBP, the B bit of GPE).
        if (flags ^ FLAG_VNI) | r1 | r2 | r3 | r4 != 0 {
            found.tolerated = Some(self.reserved.judge(Drop::ReservedBits)?);
        }
        Ok(found)
    }

    #[inline]
    fn encap(&self, (): &(), frame: &mut Frame<'_>, segment: Segment, _: u32) -> Result<(), DropReason> {
        let [.., v1, v2, v3] = segment.0.to_be_bytes();
        frame.prepend(&[FLAG_VNI, 0, 0, 0, v1, v2, v3, 0])
    }
}
