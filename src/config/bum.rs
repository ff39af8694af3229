//! Limits of broadcast, unknown-unicast and multicast frames: one rate for each class, or one for every class.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::at::At;
use super::numbers::Rate;

/// Limits of the frames that go to everyone.
#[derive(Debug, Clone)]
pub enum Bum {
    /// The same for every class.
    Each(Rate),
    /// By class.
    Classes(BumRates),
}

/// Copies per second for each class of frames that go to everyone, by each attachment that they come in by.
#[derive(Debug, Clone, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BumRates {
    /// Copies of broadcasts; 100000 if left out. ARP and ND have as many again for themselves.
    pub broadcast: Option<At<Rate>>,
    /// Copies of multicasts; 100000 if left out.
    pub multicast: Option<At<Rate>>,
    /// Copies of unicast frames to unknown addresses; 100000 if left out.
    pub unknown_unicast: Option<At<Rate>>,
}

impl<'de> Deserialize<'de> for Bum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BumVisitor;

        impl<'de> Visitor<'de> for BumVisitor {
            type Value = Bum;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "copies per second, `unlimited`, or a map of `broadcast`, `multicast` and `unknown_unicast`",
                )
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Bum, E> {
                Rate::of(number).map(Bum::Each).map_err(E::custom)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Bum, E> {
                Rate::read(text).map(Bum::Each).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Bum, A::Error> {
                BumRates::deserialize(MapAccessDeserializer::new(map)).map(Bum::Classes)
            }
        }

        deserializer.deserialize_any(BumVisitor)
    }
}

impl JsonSchema for Bum {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bum".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (rate, classes) = (generator.subschema_for::<Rate>(), generator.subschema_for::<BumRates>());
        json_schema!({ "anyOf": [rate, classes] })
    }
}
