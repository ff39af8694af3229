//! A number that may be another one in each direction: `10`, or `{ receive: 10, send: 20 }`.

use std::fmt;
use std::marker::PhantomData;

use schemars::{Schema, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::at::At;

/// The name by which [`Directions`] asks the reader for a map of its [`FIELDS`], where one is written.
pub(super) const DIRECTIONS: &str = "$transload::Directions";
/// The fields of that map.
pub(super) const FIELDS: &[&str] = &["receive", "send"];

/// A number for both directions, or one for each.
#[derive(Debug, Clone)]
pub enum Directions<V> {
    /// One for both.
    Same(V),
    /// One for each.
    Apart {
        /// That of what is received.
        receive: At<V>,
        /// That of what is sent.
        send: At<V>,
    },
}

impl<V> Directions<V> {
    /// The same with other numbers.
    pub(super) fn map<U>(self, read: impl Fn(V) -> U) -> Directions<U> {
        match self {
            Self::Same(number) => Directions::Same(read(number)),
            Self::Apart { receive, send } => Directions::Apart { receive: receive.map(&read), send: send.map(&read) },
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnePerDirection<V> {
    receive: At<V>,
    send: At<V>,
}

/// The schema of the map, of numbers with this schema.
pub(super) fn schema(number: &Schema) -> Schema {
    json_schema!({
        "type": "object",
        "description": "the ID in what is received, and another one in what is sent (RFC 8365 §5.1.2)",
        "properties": { "receive": number, "send": number },
        "required": FIELDS,
        "additionalProperties": false,
    })
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Directions<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DirectionsVisitor<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for DirectionsVisitor<V> {
            type Value = Directions<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or `{ receive: NUMBER, send: NUMBER }`")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Directions<V>, D::Error> {
                V::deserialize(deserializer).map(Directions::Same)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Directions<V>, A::Error> {
                let OnePerDirection { receive, send } = OnePerDirection::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Directions::Apart { receive, send })
            }
        }

        deserializer.deserialize_newtype_struct(DIRECTIONS, DirectionsVisitor(PhantomData))
    }
}
