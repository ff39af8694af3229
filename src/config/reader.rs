//! Makes typed values of the [`tree`](super::tree), reporting every mistake and going on where it can.
//!
//! It goes on at two places: a field that a struct does not know is reported and skipped, and a value that somebody
//! wants [`At`](super::at::At) its place is reported and left empty. So one pass over the file finds all of it.

mod access;
mod error;
mod scalar;
mod unknown;

use std::cell::RefCell;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::at::AT;
use super::directions::{self, DIRECTIONS};
use super::problem::Problem;
use super::source::{SourceText, Span};
use super::tree::{NOTHING, Node, Value};
use access::{ListItems, MapEntries, PlacedParts, Variant};
use error::ReadError;
pub(super) use scalar::parse as parse_number;

/// Reads a whole tree as `T`; what is wrong goes to `problems`.
pub(super) fn read<'a, T: Deserialize<'a>>(
    root: &'a Node,
    source: &SourceText,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let log = Log { source, problems: RefCell::new(std::mem::take(problems)) };
    let read = T::deserialize(NodeReader { node: root, key: None, log: &log });
    let value = read.map_err(|error| log.report(error.at(root.span))).ok();
    *problems = log.problems.into_inner();
    value
}

/// The mistakes so far.
struct Log<'a> {
    source: &'a SourceText,
    problems: RefCell<Vec<Problem>>,
}

impl Log<'_> {
    fn report(&self, error: ReadError) {
        if error.is_told {
            return;
        }
        let span = error.span.unwrap_or_default();
        let mut problem = Problem::error(self.source, span, error.message);
        problem.help = error.help;
        self.problems.borrow_mut().push(problem);
    }
}

/// A value of the tree, as serde wants to be given it.
#[derive(Clone, Copy)]
struct NodeReader<'a, 'log> {
    node: &'a Node,
    /// The key it stands behind, if it is no item of a list.
    key: Option<&'a Node>,
    log: &'log Log<'log>,
}

impl<'a, 'log> NodeReader<'a, 'log> {
    fn expected(self, what: &str) -> ReadError {
        let message = match self.node.value {
            Value::Null => format!("expected {what}, but nothing is written here"),
            ref value => format!("expected {what}, found {}", value.describe()),
        };
        ReadError::new(message)
    }

    /// The place to show: the value, or its key where the value has no line of its own.
    fn place(self) -> Span {
        match (&self.node.value, self.key) {
            (Value::Null | Value::Map(_) | Value::List(_), Some(key)) => key.span,
            _ => self.node.span,
        }
    }

    /// Fills in what an error about this value does not know yet.
    fn complete<T>(self, read: Result<T, ReadError>) -> Result<T, ReadError> {
        read.map_err(|error| error.of(self.key.map(Node::text)).at(self.place()))
    }

    /// A value that should be one in a list: what to write, if it can be one.
    fn no_list<V: Visitor<'a>>(self, visitor: V) -> ReadError {
        let trial = Log { source: self.log.source, problems: RefCell::default() };
        let read = visitor.visit_seq(ListItems::new(std::slice::from_ref(self.node), &trial)).map(drop);
        let told = trial.problems.into_inner().into_iter().next();
        let error = self.expected("a list");
        match (read, told) {
            (Ok(()), None) => error.help(format!("write `[{}]`", self.node.text())),
            (Err(ReadError { instead: Some(instead), .. }), _) => error.help(format!("write `[{instead}]`")),
            (Err(ReadError { message, help, .. }), _) | (_, Some(Problem { message, help, .. })) => {
                let help = help.map_or_else(String::new, |help| format!("{help}; "));
                ReadError::new(message).help(format!("{help}and put it in a list, between [ and ]"))
            }
        }
    }

    fn fields(self, known: Option<&'static [&'static str]>) -> Result<MapEntries<'a, 'log>, ReadError> {
        match &self.node.value {
            Value::Map(entries) => Ok(MapEntries::new(entries, known, self.log)),
            // A section whose entries are all commented out.
            Value::Null => Ok(MapEntries::new(&[], known, self.log)),
            _ => Err(self.expected("a map").help("write `{ name: value }`, or `name: value` on indented lines")),
        }
    }
}

macro_rules! whole_numbers {
    ($($method:ident: $type:ty => $visit:ident;)*) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
            let number = scalar::whole_number(self)?;
            match <$type>::try_from(number) {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(ReadError::new(format!("{number} is too large; the largest value is {}", <$type>::MAX))),
            }
        }
    )*};
}

impl<'a> Deserializer<'a> for NodeReader<'a, '_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Plain(text) => match scalar::parse(text) {
                Some(_) => visitor.visit_u64(scalar::whole_number(self)?),
                None => visitor.visit_borrowed_str(text),
            },
            Value::Quoted(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(ListItems::new(items, self.log)),
            Value::Map(entries) => visitor.visit_map(MapEntries::new(entries, None, self.log)),
        }
    }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_bool(scalar::boolean(self)?)
    }

    whole_numbers! {
        deserialize_u8: u8 => visit_u8;
        deserialize_u16: u16 => visit_u16;
        deserialize_u32: u32 => visit_u32;
        deserialize_u64: u64 => visit_u64;
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.value {
            Value::Plain(text) | Value::Quoted(text) => visitor.visit_borrowed_str(text),
            Value::Null => Err(ReadError::invalid_type(Unexpected::Unit, &visitor)),
            Value::List(_) => Err(ReadError::invalid_type(Unexpected::Seq, &visitor)),
            Value::Map(_) => Err(ReadError::invalid_type(Unexpected::Map, &visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        // A field with nothing behind it was probably forgotten, so it is not an absent one.
        if std::ptr::eq(self.node, &raw const NOTHING) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(self, name: &'static str, visitor: V) -> Result<V::Value, ReadError> {
        match self.node.value {
            Value::Map(_) if name == DIRECTIONS => visitor.visit_map(self.fields(Some(directions::FIELDS))?),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        if name == AT { visitor.visit_seq(PlacedParts::new(self)) } else { self.deserialize_seq(visitor) }
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(ListItems::new(items, self.log)),
            Value::Plain(_) | Value::Quoted(_) => Err(self.no_list(visitor)),
            _ => Err(self.expected("a list").help("write `[first, second]`, or `- first` on indented lines")),
        }
    }

    fn deserialize_tuple<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_map(self.fields(None)?)
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_map(self.fields(Some(fields))?).map_err(|error: ReadError| match &self.node.value {
            Value::Map(entries) => error.among(entries.iter().map(|(key, _)| key.text()), fields),
            _ => error,
        })
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_enum(Variant::new(self, variants)?)
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        <V: Visitor<'a>>
        i8 i16 i32 i64 i128 u128 f32 f64 char bytes byte_buf unit unit_struct
    }
}
