//! The lists, maps, choices and places of the tree, as serde walks them.

use std::slice;

use serde::de::value::{BorrowedStrDeserializer, UsizeDeserializer};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess};
use serde::de::{VariantAccess, Visitor};

use super::error::ReadError;
use super::unknown::unknown_field;
use super::{Log, NodeReader};
use crate::config::source::Span;
use crate::config::tree::{NOTHING, Node, Value};

/// The items of a list.
pub(super) struct ListItems<'a, 'log> {
    items: slice::Iter<'a, Node>,
    log: &'log Log<'log>,
}

impl<'a, 'log> ListItems<'a, 'log> {
    pub(super) fn new(items: &'a [Node], log: &'log Log<'log>) -> Self {
        Self { items: items.iter(), log }
    }
}

impl<'a> SeqAccess<'a> for ListItems<'a, '_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let Some(node) = self.items.next() else { return Ok(None) };
        let reader = NodeReader { node, key: None, log: self.log };
        reader.complete(seed.deserialize(reader)).map(Some)
    }
}

/// The entries of a map. Where the fields are known, others are reported and skipped.
pub(super) struct MapEntries<'a, 'log> {
    all: &'a [(Node, Node)],
    entries: slice::Iter<'a, (Node, Node)>,
    known: Option<&'static [&'static str]>,
    current: Option<&'a (Node, Node)>,
    log: &'log Log<'log>,
}

impl<'a, 'log> MapEntries<'a, 'log> {
    pub(super) fn new(
        entries: &'a [(Node, Node)],
        known: Option<&'static [&'static str]>,
        log: &'log Log<'log>,
    ) -> Self {
        Self { all: entries, entries: entries.iter(), known, current: None, log }
    }

    fn is_known(&self, key: &Node) -> bool {
        let Some(known) = self.known else { return true };
        let found = known.contains(&key.text());
        if !found {
            self.log.report(unknown_field(key.text(), known, self.all).at(key.span));
        }
        found
    }
}

impl<'a> MapAccess<'a> for MapEntries<'a, '_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        while let Some(entry) = self.entries.next() {
            let (key, _) = entry;
            if self.is_known(key) {
                self.current = Some(entry);
                let reader = NodeReader { node: key, key: None, log: self.log };
                return reader.complete(seed.deserialize(reader)).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let Some((key, node)) = self.current.take() else { return Err(ReadError::new("a value without a key")) };
        let reader = NodeReader { node, key: Some(key), log: self.log };
        reader.complete(seed.deserialize(reader))
    }
}

/// A choice: a word, or a one-key map with its options.
pub(super) struct Variant<'a, 'log> {
    word: &'a str,
    options: NodeReader<'a, 'log>,
}

impl<'a, 'log> Variant<'a, 'log> {
    pub(super) fn new(reader: NodeReader<'a, 'log>, known: &[&str]) -> Result<Self, ReadError> {
        match &reader.node.value {
            Value::Plain(word) | Value::Quoted(word) => {
                Ok(Self { word, options: NodeReader { node: &NOTHING, key: Some(reader.node), log: reader.log } })
            }
            Value::Map(entries) => match entries.as_slice() {
                [(key, node)] => {
                    Ok(Self { word: key.text(), options: NodeReader { node, key: Some(key), log: reader.log } })
                }
                _ => Err(reader.expected("a word or a map with one key")),
            },
            _ => {
                let words: Vec<_> = known.iter().map(|word| format!("`{word}`")).collect();
                Err(reader.expected(&format!("one of {}", words.join(", "))))
            }
        }
    }
}

impl<'a, 'log> EnumAccess<'a> for Variant<'a, 'log> {
    type Error = ReadError;
    type Variant = NodeReader<'a, 'log>;

    fn variant_seed<T: DeserializeSeed<'a>>(self, seed: T) -> Result<(T::Value, NodeReader<'a, 'log>), ReadError> {
        Ok((seed.deserialize(BorrowedStrDeserializer::new(self.word))?, self.options))
    }
}

impl<'a> VariantAccess<'a> for NodeReader<'a, '_> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        match (&self.node.value, self.key) {
            (Value::Null, _) => Ok(()),
            (_, Some(key)) => {
                let error = ReadError::new(format!("`{}` takes no options", key.text()));
                self.complete(Err(error.help(format!("write the word alone: {}", key.text()))))
            }
            (_, None) => Err(self.expected("a word")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'a>>(self, seed: T) -> Result<T::Value, ReadError> {
        self.complete(seed.deserialize(self))
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.complete(self.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.complete(self.deserialize_struct("", fields, visitor))
    }
}

/// A value with its place: start, end, and the value itself, whose error is reported here.
pub(super) struct PlacedParts<'a, 'log> {
    reader: NodeReader<'a, 'log>,
    part: u8,
}

impl<'a, 'log> PlacedParts<'a, 'log> {
    pub(super) const fn new(reader: NodeReader<'a, 'log>) -> Self {
        Self { reader, part: 0 }
    }

    fn span(&self) -> Span {
        let span = self.reader.node.span;
        if span.start == span.end { self.reader.place() } else { span }
    }
}

impl<'a> SeqAccess<'a> for PlacedParts<'a, '_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        self.part += 1;
        let number = |at: usize| -> UsizeDeserializer<ReadError> { at.into_deserializer() };
        match self.part {
            1 => seed.deserialize(number(self.span().start)).map(Some),
            2 => seed.deserialize(number(self.span().end)).map(Some),
            _ => {
                let read = self.reader.complete(seed.deserialize(self.reader));
                read.map(Some).inspect_err(|error| self.reader.log.report(error.clone()))
            }
        }
    }
}
