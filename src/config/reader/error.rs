//! Why a value could not be read, in words for people who write YAML.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::config::meant;
use crate::config::nearest::{nearest, suggestion};
use crate::config::source::Span;

/// What is wrong, where, and what to write instead.
#[derive(Debug, Clone)]
pub(in crate::config) struct ReadError {
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// The value as it should have been written, if it is a number in another notation.
    pub(super) instead: Option<String>,
    /// Missing until something on the way up knows the place.
    pub(super) span: Option<Span>,
    /// A required field that is not there: its parent's name completes the message.
    missing: Option<&'static str>,
    /// Reported already, in other words.
    pub(super) is_told: bool,
}

impl ReadError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, instead: None, span: None, missing: None, is_told: false }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The same, saying how the value should have been written.
    pub(super) fn instead(self, value: &str) -> Self {
        Self { instead: Some(value.to_owned()), ..self.help(format!("write {value}")) }
    }

    /// The same, in this place unless a closer one is known.
    pub(super) fn at(self, span: Span) -> Self {
        Self { span: self.span.or(Some(span)), ..self }
    }

    /// The same, naming the thing it is about.
    pub(super) fn of(self, name: Option<&str>) -> Self {
        match (self.missing, name) {
            // A name that is as far in as the things it should describe.
            (Some(field), Some(name)) if field == name => Self {
                message: format!("`{name}` is read as a name here"),
                help: Some("indent it, and what belongs to it, more than the name above it".to_owned()),
                missing: None,
                ..self
            },
            (Some(field), Some(name)) => Self { message: format!("`{name}` has no `{field}`"), missing: None, ..self },
            _ => self,
        }
    }

    /// The same; a field that is missing because it is misspelt was reported where it stands.
    pub(super) fn among<'a>(mut self, mut fields: impl Iterator<Item = &'a str>, known: &[&str]) -> Self {
        let is_meant = |field: &str| {
            meant::field(field, known.iter().copied()).or_else(|| nearest(field, known.iter().copied())) == self.missing
        };
        let is_it = |field: &str| !known.contains(&field) && is_meant(field);
        self.is_told |= self.missing.is_some() && fields.any(is_it);
        self
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    /// The text behind a line break is what to write instead.
    fn custom<T: fmt::Display>(message: T) -> Self {
        let text = message.to_string();
        match text.split_once('\n') {
            Some((message, help)) => Self::new(message).help(help),
            None => Self::new(text),
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Unit => return Self::new(format!("expected {expected}, but nothing is written here")),
            Unexpected::Unsigned(number) => format!("`{number}`"),
            Unexpected::Bool(value) => format!("`{value}`"),
            Unexpected::Str(text) => format!("`{text}`"),
            Unexpected::Seq => "a list".into(),
            Unexpected::Map | Unexpected::NewtypeVariant => "a map".into(),
            other => other.to_string(),
        };
        let expected = expected.to_string();
        let error = |expected| Self::new(format!("expected {expected}, found {found}"));
        // What serde calls `PathBuf`.
        if expected == "path string" {
            error("a path").help("write it as it is, such as `/run/transload/NAME`")
        } else {
            error(&expected)
        }
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        let all: Vec<_> = known.iter().map(|word| format!("`{word}`")).collect();
        let error = Self::new(format!("`{variant}` is not one of {}", all.join(", ")));
        match suggestion(variant, known.iter().copied()) {
            Some(help) if help.starts_with("did") => error.help(help),
            _ => error,
        }
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        super::unknown::unknown_field(field, known, &[])
    }

    fn missing_field(field: &'static str) -> Self {
        let error = Self { missing: Some(field), ..Self::new(format!("`{field}` is missing")) };
        match example(field) {
            Some(example) => error.help(format!("add {example}")),
            None => error,
        }
    }
}

/// An example of a required field.
fn example(field: &str) -> Option<&'static str> {
    Some(match field {
        "address" => "`address: 192.0.2.1`",
        "encap" => "`encap: vxlan`",
        "members" => "`members: [192.0.2.11-192.0.2.50]`",
        "ports" => "`ports: [up1]`, the ports its tunnel packets arrive at and leave by",
        "attachments" => "`attachments:` with at least two attachments",
        "mac" => "`mac: \"02:00:00:00:00:07\"`",
        "via" => "`via: NAME`, the attachment that the address is behind",
        "local" => "`local: PATH`, the socket to bind",
        _ => return None,
    })
}
