//! Attachments: a peer, a group or a port, and the tenant ID there.
//!
//! The ID fields are not listed here: every encapsulation of the registry brings its own.

use std::fmt;
use std::marker::PhantomData;
use std::sync::LazyLock;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use transload_encaps::{IdField, IdForm, Kind};

use super::at::At;
use super::directions::{self, Directions};
use super::id_numbers::IdNumbers;
use super::source::Span;

/// One way in and out of a tenant's bridge domain, whose ID fields are written as `V`: in a tenant, as numbers.
#[derive(Debug, Clone)]
pub struct Attachment<V = IdNumbers<u64>> {
    /// The peer behind it.
    pub peer: Option<At<String>>,
    /// The group of peers behind it.
    pub group: Option<At<String>>,
    /// The port whose tags it takes.
    pub port: Option<At<String>>,
    /// What happens to VLAN tags inside the tenant's frames.
    pub inner_tags: Option<At<InnerTags>>,
    /// What happens to link-local control frames of bridges.
    pub l2cp: Option<At<L2cp>>,
    /// Attachments of a tenant with the same name here never feed each other.
    pub split_horizon: Option<At<String>>,
    /// The ID fields that are given.
    pub ids: Vec<Id<V>>,
}

/// An ID field that is given.
#[derive(Debug, Clone)]
pub struct Id<V = IdNumbers<u64>> {
    /// Its name in the registry.
    pub name: &'static str,
    /// Where the name stands.
    pub span: Span,
    /// The value; `true` counts as 1.
    pub value: At<V>,
    /// The value in what is sent, where `value` is only that of what is received.
    pub sent: Option<At<V>>,
}

/// The form in which the number of an ID field is written.
pub trait IdValue<'de>: Deserialize<'de> + From<u64> {
    /// The schema's name of an attachment with such numbers.
    const ATTACHMENT: &'static str;
    /// Whether it is an ID of a tenant's attachment, not of a mapping's side.
    const OF_TENANT: bool = true;

    /// The schema of a field with numbers up to `max`.
    fn schema(field: &IdField, max: u64) -> Schema;

    /// Reads the value of a field, or one for each direction, which is the next one of the map.
    ///
    /// # Errors
    /// When the map ends.
    fn read_next<A: MapAccess<'de>>(field: &IdField, map: &mut A) -> Result<At<Directions<Self>>, A::Error> {
        let _ = field;
        map.next_value()
    }
}

impl IdValue<'_> for u64 {
    const ATTACHMENT: &'static str = "Attachment";

    fn schema(_: &IdField, max: u64) -> Schema {
        json_schema!({ "type": "integer", "minimum": 0, "maximum": max })
    }
}

/// What happens to VLAN tags inside a tenant's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InnerTags {
    /// They are payload.
    Keep,
    /// They are taken off.
    Strip,
    /// A frame that has one is dropped; as it leaves, one that only carries a priority (VLAN ID 0) is taken off.
    Drop,
}

/// What happens to the control frames of bridges, to 01:80:c2:00:00:00 up to :0f: STP, LACP, LLDP,
/// 802.1X and the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum L2cp {
    /// All of them end here.
    Drop,
    /// All of them pass, as multicast, to and from others where they pass.
    Tunnel,
}

const FIELDS: [(&str, &str); 6] = [
    ("peer", "the peer behind it"),
    ("group", "the group of peers behind it"),
    ("port", "the port whose tags it takes"),
    ("inner_tags", "what happens to VLAN tags inside the tenant's frames; the encapsulation decides if left out"),
    (
        "l2cp",
        "what happens to bridges' control frames (01:80:c2:00:00:0x). If left out, an `s_vid` as a whole, and the tunnels of \
         its tenant, pass those of customers' bridges, spanning tree among them (IEEE 802.1Q table 8-2), and others \
         `drop` all of them (table 8-1)",
    ),
    ("split_horizon", "attachments of the tenant with the same name here never feed each other"),
];

/// Every ID field of every encapsulation, once.
fn id_fields() -> impl Iterator<Item = &'static IdField> {
    let all = Kind::ALL.iter().flat_map(|kind| kind.info().ids);
    all.clone()
        .enumerate()
        .filter(move |(n, field)| !all.clone().take(*n).any(|other| other.name == field.name))
        .map(|(_, field)| field)
}

/// Whether it is a field of an encapsulation that has peers, to which an ID may be written otherwise than from them.
fn is_of_peers(field: &IdField) -> bool {
    let mut with_peers = Kind::ALL.iter().filter(|kind| kind.has_peers());
    with_peers.any(|kind| kind.info().ids.iter().any(|other| other.name == field.name))
}

static FIELD_NAMES: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| FIELDS.iter().map(|(name, _)| *name).chain(id_fields().map(|field| field.name)).collect());

impl<V> Default for Attachment<V> {
    fn default() -> Self {
        Self { peer: None, group: None, port: None, inner_tags: None, l2cp: None, split_horizon: None, ids: Vec::new() }
    }
}

impl<'de, V: IdValue<'de>> Deserialize<'de> for Attachment<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AttachmentVisitor<V>(PhantomData<V>);

        impl<'de, V: IdValue<'de>> Visitor<'de> for AttachmentVisitor<V> {
            type Value = Attachment<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an attachment")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attachment<V>, A::Error> {
                let mut attachment = Attachment::default();
                while let Some(field) = map.next_key::<At<String>>()? {
                    match field.get().map_or("", String::as_str) {
                        "peer" => attachment.peer = map.next_value()?,
                        "group" => attachment.group = map.next_value()?,
                        "port" => attachment.port = map.next_value()?,
                        "inner_tags" => attachment.inner_tags = map.next_value()?,
                        "l2cp" => attachment.l2cp = map.next_value()?,
                        "split_horizon" => attachment.split_horizon = map.next_value()?,
                        name => attachment.read_id(name, field.span, &mut map)?,
                    }
                }
                Ok(attachment)
            }
        }

        deserializer.deserialize_struct("Attachment", &FIELD_NAMES, AttachmentVisitor(PhantomData))
    }
}

impl<V> Attachment<V> {
    fn read_id<'de, A: MapAccess<'de>>(&mut self, name: &str, span: Span, map: &mut A) -> Result<(), A::Error>
    where
        V: IdValue<'de>,
    {
        let Some(field) = id_fields().find(|field| field.name == name) else {
            return map.next_value::<IgnoredAny>().map(|_| ());
        };
        let mut sent = None;
        let value = match field.form {
            IdForm::Number { .. } => {
                let stated = V::read_next(field, map)?;
                let at = stated.span;
                stated.open(|stated| match stated {
                    Directions::Same(value) => At::new(at, value),
                    Directions::Apart { receive, send } => {
                        sent = Some(send);
                        receive
                    }
                })
            }
            IdForm::Flag => map.next_value::<At<bool>>()?.map(|flag| V::from(flag.into())),
        };
        self.ids.push(Id { name: field.name, span, value, sent });
        Ok(())
    }
}

impl<V: for<'de> IdValue<'de>> JsonSchema for Attachment<V> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        V::ATTACHMENT.into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut properties = serde_json::Map::new();
        for (name, about) in FIELDS {
            let mut schema = match name {
                "inner_tags" => generator.subschema_for::<InnerTags>(),
                "l2cp" => generator.subschema_for::<L2cp>(),
                _ => json_schema!({ "type": "string" }),
            };
            schema.insert("description".into(), about.into());
            properties.insert(name.into(), schema.into());
        }
        for field in id_fields() {
            let schema = match field.form {
                IdForm::Number { max } => {
                    let (mut schema, mut about) = (V::schema(field, max), field.about.to_owned());
                    if V::OF_TENANT && field.takes_ranges {
                        about.push_str("; of a range or a list, `7-9` or `[7-9, 20]`, the tag stays in the frame");
                    }
                    if V::OF_TENANT && is_of_peers(field) {
                        schema = json_schema!({ "anyOf": [schema, directions::schema(&V::schema(field, max))] });
                        about.push_str("; `{ receive: NUMBER, send: NUMBER }` where the two differ");
                    }
                    schema.insert("description".into(), about.into());
                    schema
                }
                IdForm::Flag => json_schema!({ "type": "boolean", "description": field.about }),
            };
            properties.insert(field.name.into(), schema.into());
        }
        json_schema!({
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
            "oneOf": [{ "required": ["peer"] }, { "required": ["group"] }, { "required": ["port"] }],
        })
    }
}
