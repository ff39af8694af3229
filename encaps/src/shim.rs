//! The shim: a made-up encapsulation that proves a new one is one file and one line. Only tests speak it.
//!
//! ```text
//!  0                   1                   2                   3
//! |                        Tenant tag (32)                        |
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::drops::{DropReason, drop_reasons};
use crate::encap::{Carrier, Decap, Encap, IdField, IdForm, Ids, Segment, SpecError};
use crate::frame::Frame;
use crate::words::{HeaderField, Reading, Readings};

const HEADER_LEN: usize = 4;

drop_reasons! {
    /// The drop reasons that only the shim has.
    pub enum Drop for Shim {
        [Decap]
        Zero, "shim_zero", Peer, "The shim's tenant tag is zero.";
    }
}

/// The shim has no options.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ShimOptions")]
pub struct Spec {}

/// A compiled shim peer.
#[derive(Debug, Clone)]
pub struct Shim;

impl Encap for Shim {
    const TAG: &'static str = "shim";
    const TITLE: &'static str = "Shim";
    const STANDARD: &'static str = "none";
    const CARRIER: Carrier = Carrier::Udp(6635);
    const OVERHEAD: usize = HEADER_LEN;
    const IDS: &'static [IdField] = &[IdField {
        name: "tenant_tag",
        form: IdForm::Number { max: 0xffff_ffff },
        reserved: &[(0..=0, "zero is how a broken shim says nothing")],
        takes_ranges: false,
        about: "shim tenant tag, 1 to 4294967295",
    }];

    type Spec = Spec;
    type Drop = Drop;
    type State = ();

    fn compile(_: &Spec) -> Result<Self, SpecError> {
        Ok(Self)
    }

    fn overhead(&self, _: Segment) -> usize {
        HEADER_LEN
    }

    fn segment(ids: &Ids) -> Result<Segment, SpecError> {
        ids.get("tenant_tag").map(Segment).ok_or(SpecError::new("tenant_tag", "a shim attachment needs its tenant_tag"))
    }

    fn ids(segment: Segment) -> Ids {
        Ids::of(&[("tenant_tag", segment.0)])
    }

    fn decap(&self, (): &(), frame: &mut Frame<'_>) -> Result<Decap, DropReason> {
        match u32::from_be_bytes(frame.pull::<HEADER_LEN>()?) {
            0 => Err(Drop::Zero.into()),
            tag => Ok(Decap::ethernet(Segment(u64::from(tag)))),
        }
    }

    fn encap(&self, (): &(), frame: &mut Frame<'_>, segment: Segment, _: u32) -> Result<(), DropReason> {
        frame.prepend(&(segment.0 as u32).to_be_bytes())
    }

    fn fields(packet: &[u8]) -> Vec<HeaderField> {
        let Some(tag) = tag(packet) else { return Vec::new() };
        vec![HeaderField::new("tenant_tag", 0..HEADER_LEN, format!("{tag:#x}"))]
    }

    fn why(&self, reason: Drop, _: &[u8], who: &str) -> Option<String> {
        match reason {
            Drop::Zero => Some(format!("the tenant tag from {who} is zero: give its tunnel a tag")),
        }
    }

    fn readings(&self, packet: &[u8], _: &[Segment]) -> Readings {
        let Some(tag) = tag(packet) else { return Readings::default() };
        let swapped = tag.swap_bytes();
        let why = "the peer writes the tag in the wrong byte order";
        let others = vec![Reading::new(swapped.into(), format!("tenant tag {swapped:#x}"), why)];
        Readings { found: Some(format!("tenant tag {tag:#x}")), others }
    }
}

fn tag(packet: &[u8]) -> Option<u32> {
    packet.first_chunk().map(|tag| u32::from_be_bytes(*tag))
}
