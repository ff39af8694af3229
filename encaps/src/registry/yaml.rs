//! How the choice of an encapsulation is written: a word, or a map of one key with its options.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Kind, Spec};

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EncapVisitor;

        fn kind_of<E: de::Error>(tag: &str) -> Result<Kind, E> {
            Kind::from_tag(tag).ok_or_else(|| {
                let known: Vec<_> =
                    Kind::ALL.iter().filter(|kind| kind.has_peers()).map(|kind| kind.info().tag).collect();
                E::custom(format!("unknown encapsulation `{tag}`; write one of {}", known.join(", ")))
            })
        }

        impl<'de> Visitor<'de> for EncapVisitor {
            type Value = Spec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an encapsulation: a word such as `vxlan`, or a one-key map such as `{ vxlan: { .. } }`")
            }

            fn visit_str<E: de::Error>(self, tag: &str) -> Result<Spec, E> {
                kind_of(tag).map(Spec::default_of)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Spec, A::Error> {
                let tag: String = map.next_key()?.ok_or_else(|| de::Error::custom("the map names no encapsulation"))?;
                let spec = Spec::read_options(kind_of(&tag)?, &mut map)?;
                match map.next_key::<String>()? {
                    None => Ok(spec),
                    Some(other) => Err(de::Error::custom(format!(
                        "a peer speaks one encapsulation; `{tag}` is already given, remove `{other}`"
                    ))),
                }
            }
        }

        deserializer.deserialize_any(EncapVisitor)
    }
}

impl Serialize for Spec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        self.write_options(&mut map)?;
        map.end()
    }
}

impl JsonSchema for Spec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Encapsulation".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let choices = Kind::ALL.iter().filter(|kind| kind.has_peers());
        let tags: Vec<_> = choices.clone().map(|kind| kind.info().tag).collect();
        let mut any_of = vec![json_schema!({ "type": "string", "enum": tags })];
        for &kind in choices {
            let options = Self::options_schema(kind, generator);
            let tag = kind.info().tag;
            any_of.push(json_schema!({
                "type": "object", "properties": { tag: options }, "required": [tag], "additionalProperties": false
            }));
        }
        json_schema!({ "anyOf": any_of })
    }
}
