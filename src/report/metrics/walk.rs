//! One pass of serde over a row, by which its fields become samples.

use std::fmt;

use serde::Serialize;
use serde::ser::{Impossible, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

use super::catalogue::{FieldShape, RowShape};
use super::samples::{LabelsId, RowSamples};

/// A value on the way: a row, or a field of one.
pub(super) struct RowWalk<'w> {
    pub(super) at: Walked,
    /// The labels of the row that it is in.
    pub(super) labels: Option<LabelsId>,
    pub(super) into: &'w mut RowSamples,
}

/// What is walked over.
#[derive(Clone, Copy)]
pub(super) enum Walked {
    /// A row, or some.
    Row(&'static RowShape),
    /// A field with its key.
    Field(NamedField),
    /// The key of a field of such a row.
    Key(&'static RowShape),
}

/// A field with its key.
pub(super) type NamedField = (&'static str, &'static FieldShape);

impl<'w> RowWalk<'w> {
    fn number(self, number: u64) {
        let (Walked::Field((key, field)), Some(labels)) = (self.at, self.labels) else { return };
        match field {
            FieldShape::Label => self.into.label(labels, key, &number.to_string()),
            FieldShape::Sample(shape) => self.into.sample(labels, shape, number),
            FieldShape::Absence(shape) => self.into.sample(labels, shape, 0),
            FieldShape::Info(_) | FieldShape::States(_) | FieldShape::Rows(_) => {}
        }
    }

    fn text(self, text: &str) {
        if let Walked::Key(shape) = self.at {
            self.into.field = find(shape, text);
        }
        let (Walked::Field((key, field)), Some(labels)) = (self.at, self.labels) else { return };
        match field {
            FieldShape::Label => self.into.label(labels, key, text),
            FieldShape::Absence(shape) => self.into.sample(labels, shape, 0),
            FieldShape::Info(family) => self.into.info(labels, *family, key, text),
            FieldShape::States(words) => {
                for (word, shape) in words {
                    self.into.sample(labels, shape, u64::from(word == text));
                }
            }
            FieldShape::Sample(_) | FieldShape::Rows(_) => {}
        }
    }

    fn nothing(self) {
        if let (Walked::Field((_, FieldShape::Absence(shape))), Some(labels)) = (self.at, self.labels) {
            self.into.sample(labels, shape, 1);
        }
    }

    fn fields(self) -> RowFields<'w> {
        let row = match self.at {
            Walked::Row(shape) | Walked::Field((_, FieldShape::Rows(shape))) => {
                Some((shape, self.into.labels_below(self.labels)))
            }
            Walked::Field(_) | Walked::Key(_) => None,
        };
        RowFields { row, into: self.into }
    }
}

fn find(shape: &'static RowShape, key: &str) -> Option<NamedField> {
    shape.get_key_value(key).map(|(key, field)| (key.as_str(), field))
}

/// The fields of a row.
pub(super) struct RowFields<'w> {
    /// None of something that has fields and is no row.
    row: Option<(&'static RowShape, LabelsId)>,
    into: &'w mut RowSamples,
}

impl RowFields<'_> {
    fn walk<T: Serialize + ?Sized>(&mut self, field: Option<NamedField>, value: &T) -> fmt::Result {
        let (Some((_, labels)), Some(field)) = (self.row, field) else { return Ok(()) };
        value.serialize(RowWalk { at: Walked::Field(field), labels: Some(labels), into: self.into })
    }
}

impl SerializeStruct for RowFields<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> fmt::Result {
        self.walk(self.row.and_then(|(shape, _)| find(shape, key)), value)
    }

    fn end(self) -> fmt::Result {
        Ok(())
    }
}

/// A row with another flattened into it comes as a map.
impl SerializeMap for RowFields<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> fmt::Result {
        let Some((shape, labels)) = self.row else { return Ok(()) };
        key.serialize(RowWalk { at: Walked::Key(shape), labels: Some(labels), into: self.into })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> fmt::Result {
        let field = self.into.field.take();
        self.walk(field, value)
    }

    fn end(self) -> fmt::Result {
        Ok(())
    }
}

/// The rows of a list.
pub(super) struct RowList<'w>(RowWalk<'w>);

impl SerializeSeq for RowList<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> fmt::Result {
        value.serialize(RowWalk { at: self.0.at, labels: self.0.labels, into: self.0.into })
    }

    fn end(self) -> fmt::Result {
        Ok(())
    }
}

/// How values of these types are walked over.
macro_rules! values {
    ($($function:ident($($Type:ty),*): $how:expr;)*) => {$(
        values! { @one $function($($Type),*): $how }
    )*};
    (@one $function:ident($Type:ty): $how:expr) => {
        fn $function(self, value: $Type) -> fmt::Result {
            $how(self, value);
            Ok(())
        }
    };
    (@one $function:ident(): $how:expr) => {
        fn $function(self) -> fmt::Result {
            $how(self);
            Ok(())
        }
    };
}

impl<'w> Serializer for RowWalk<'w> {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = RowList<'w>;
    type SerializeTuple = Impossible<(), fmt::Error>;
    type SerializeTupleStruct = Impossible<(), fmt::Error>;
    type SerializeTupleVariant = Impossible<(), fmt::Error>;
    type SerializeMap = RowFields<'w>;
    type SerializeStruct = RowFields<'w>;
    type SerializeStructVariant = Impossible<(), fmt::Error>;

    values! {
        serialize_bool(bool): |walk: Self, value| walk.number(u64::from(value));
        serialize_u8(u8): |walk: Self, value| walk.number(u64::from(value));
        serialize_u16(u16): |walk: Self, value| walk.number(u64::from(value));
        serialize_u32(u32): |walk: Self, value| walk.number(u64::from(value));
        serialize_u64(u64): |walk: Self, value| walk.number(value);
        serialize_str(&str): |walk: Self, value| walk.text(value);
        serialize_none(): |walk: Self| walk.nothing();
        serialize_unit(): |walk: Self| walk.nothing();
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> fmt::Result {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> fmt::Result {
        self.text(variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> fmt::Result {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<RowList<'w>, fmt::Error> {
        Ok(RowList(self))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<RowFields<'w>, fmt::Error> {
        Ok(self.fields())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<RowFields<'w>, fmt::Error> {
        Ok(self.fields())
    }

    // What no field of a row is.

    fn serialize_i8(self, _: i8) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_i16(self, _: i16) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_i32(self, _: i32) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_i64(self, _: i64) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_f32(self, _: f32) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_f64(self, _: f64) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_char(self, _: char) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_bytes(self, _: &[u8]) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_unit_struct(self, _: &'static str) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTuple, fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTuple, fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, fmt::Error> {
        Err(fmt::Error)
    }
}
