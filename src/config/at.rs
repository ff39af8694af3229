//! A value of the configuration with its place, and maps whose keys are names.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::problem::Problem;
use super::source::{SourceText, Span};

/// The name by which [`At`] asks the reader for a value's place.
pub(super) const AT: &str = "$transload::At";

/// A value and its place in the file.
///
/// A value that could not be read leaves its place behind, so that what refers to it is not called unknown as well:
/// the reader has already reported it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// Where it stands.
    pub span: Span,
    value: Option<T>,
}

impl<T> At<T> {
    /// A value in a place.
    pub const fn new(span: Span, value: T) -> Self {
        Self { span, value: Some(value) }
    }

    /// The value, unless it is broken.
    #[must_use]
    pub const fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// Another reading of the value, in the same place.
    pub fn map<U>(self, read: impl FnOnce(T) -> U) -> At<U> {
        At { span: self.span, value: self.value.map(read) }
    }

    /// What the value holds, in a place of its own; a broken one stays where it is.
    pub(super) fn open<U>(self, read: impl FnOnce(T) -> At<U>) -> At<U> {
        self.value.map_or(At { span: self.span, value: None }, read)
    }
}

impl<T: Copy> At<T> {
    /// The value, unless it is broken.
    #[must_use]
    pub const fn value(&self) -> Option<T> {
        self.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PlacedVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for PlacedVisitor<T> {
            type Value = At<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value of the configuration")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<At<T>, A::Error> {
                let start = parts.next_element()?.unwrap_or_default();
                let end = parts.next_element()?.unwrap_or_default();
                // The reader keeps the error; the value stays empty.
                let value = parts.next_element().ok().flatten();
                Ok(At { span: Span { start, end }, value })
            }
        }

        deserializer.deserialize_tuple_struct(AT, 3, PlacedVisitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// Reads a section. A broken one is reported and taken for an empty one, so that the rest is looked at as well.
pub(super) fn section<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    At::deserialize(deserializer).map(|at: At<T>| at.value.unwrap_or_default())
}

/// A map from names to things, in the order of the file.
#[derive(Debug, Clone)]
pub struct Named<T>(Vec<(At<String>, At<T>)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Named<T> {
    /// Every name with its place, and the thing, unless it is broken.
    pub fn iter(&self) -> impl Iterator<Item = (Name<'_>, Option<&T>)> {
        self.0.iter().filter_map(|(name, thing)| {
            let text = name.get()?;
            Some((Name { text, span: name.span, extent: thing.span }, thing.get()))
        })
    }

    /// Adds the things of other files. A name that is taken is reported.
    pub(super) fn append(
        &mut self,
        more: impl Iterator<Item = Self>,
        kind: &str,
        source: &SourceText,
        problems: &mut Vec<Problem>,
    ) {
        self.0.extend(more.flat_map(|named| named.0));
        let (mut taken, mut repeated) = (HashMap::new(), HashSet::new());
        for (text, span) in self.0.iter().filter_map(|(name, _)| Some((name.get()?, name.span))) {
            let Some(first) = taken.insert(text.as_str(), span) else { continue };
            let message = format!("{kind} `{text}` is already on {}", source.line(first, span));
            let problem = Problem::error(source, span, message).also(first, "first here");
            problems.push(
                problem.help("a name may occur only once in all files together; remove or rename one of the two"),
            );
            repeated.insert(span);
        }
        self.0.retain(|(name, _)| !repeated.contains(&name.span));
    }

    /// Number of names.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A name in its place.
#[derive(Debug, Clone, Copy)]
pub struct Name<'c> {
    /// The name.
    pub text: &'c str,
    /// Where it stands.
    pub span: Span,
    /// The place of the thing with this name.
    pub extent: Span,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NamedVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for NamedVisitor<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from names to what they stand for")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Named(entries))
            }
        }

        deserializer.deserialize_map(NamedVisitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("NamesOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let thing = generator.subschema_for::<T>();
        schemars::json_schema!({ "type": ["object", "null"], "additionalProperties": thing })
    }
}
