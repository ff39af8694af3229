//! Mappings: stateless cross-connects of many IDs at once.

use schemars::{JsonSchema, Schema, json_schema};
use serde::Deserialize;
use transload_encaps::IdField;

use super::at::At;
use super::attachment::{Attachment, IdValue};
use super::bits::Bits;
use super::range::Range;

/// A stateless cross-connect: every ID of one side has its counterpart on the other, in both directions. Nothing is
/// learned or flooded; for isolation, each ID is a tenant of its own.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The side whose IDs are given, as ranges. With two fields, the first one is the upper part of the ID.
    pub from: At<Attachment<Range>>,
    /// The side whose IDs are made of bits of the others.
    pub to: At<Attachment<Bits>>,
}

impl From<u64> for Range {
    fn from(number: u64) -> Self {
        Self { first: number, last: number }
    }
}

impl IdValue<'_> for Range {
    const ATTACHMENT: &'static str = "MappingFrom";
    const OF_TENANT: bool = false;

    fn schema(field: &IdField, max: u64) -> Schema {
        json_schema!({ "anyOf": [u64::schema(field, max), { "type": "string", "description": "a range such as 0x1000-0x1fff" }] })
    }
}
