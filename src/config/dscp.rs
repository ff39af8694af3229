//! Where the DSCP of an outer header comes from: `pipe`, `{ pipe: 46 }` or `uniform`.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::numbers::DscpValue;

/// Where the DSCP of the outer header comes from (RFC 2983).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dscp {
    /// A value of its own, whatever the tenant marks; `pipe` alone is 0.
    Pipe(DscpValue),
    /// The tenant's.
    Uniform,
}

const WORDS: &[&str] = &["pipe", "uniform"];

impl<'de> Deserialize<'de> for Dscp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DscpVisitor;

        impl<'de> Visitor<'de> for DscpVisitor {
            type Value = Dscp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`pipe`, `uniform`, or a value such as `{ pipe: 46 }`")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Dscp, E> {
                match word {
                    "pipe" => Ok(Dscp::Pipe(DscpValue::default())),
                    "uniform" => Ok(Dscp::Uniform),
                    _ => Err(E::unknown_variant(word, WORDS)),
                }
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Dscp, E> {
                let message = format!("{value} does not say what happens to the DSCP of the tenant's packets");
                let value = if value <= 63 { value.to_string() } else { "46".to_owned() };
                Err(E::custom(format!(
                    "{message}\nwrite `{{ pipe: {value} }}`, with a DSCP from 0 to 63, or `uniform`"
                )))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Dscp, A::Error> {
                match map.next_key::<String>()?.as_deref() {
                    Some("pipe") => map.next_value().map(Dscp::Pipe),
                    Some(word) => Err(A::Error::unknown_field(word, &["pipe"])),
                    None => Err(A::Error::missing_field("pipe")),
                }
            }
        }

        deserializer.deserialize_any(DscpVisitor)
    }
}

impl JsonSchema for Dscp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dscp".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<DscpValue>();
        json_schema!({ "anyOf": [
            { "enum": WORDS },
            { "type": "object", "properties": { "pipe": value }, "required": ["pipe"], "additionalProperties": false },
        ]})
    }
}
