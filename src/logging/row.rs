//! An event as it is written: as a line of text, as JSON, and by `docs/EVENTS.md`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::Level;

use super::LogEvent;
use super::wall::now;

/// What is the same in all events of a kind.
#[derive(Debug)]
pub struct EventKind {
    /// Its name, which never changes.
    pub name: &'static str,
    /// The word for it in `RUST_LOG`.
    pub target: &'static str,
    /// How serious it is.
    pub level: EventLevel,
    /// What it means.
    pub about: &'static str,
    /// What to do about it.
    pub advice: &'static str,
    /// The names of its fields.
    pub fields: &'static [&'static str],
}

/// How serious an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventLevel {
    /// Something does not work, and somebody has to do something.
    Error,
    /// Something is not as it should be.
    Warn,
    /// Something happened.
    Info,
    /// What is only worth knowing while one looks for a fault.
    Debug,
}

impl From<EventLevel> for Level {
    fn from(level: EventLevel) -> Self {
        match level {
            EventLevel::Error => Self::ERROR,
            EventLevel::Warn => Self::WARN,
            EventLevel::Info => Self::INFO,
            EventLevel::Debug => Self::DEBUG,
        }
    }
}

impl From<Level> for EventLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warn,
            Level::INFO => Self::Info,
            _ => Self::Debug,
        }
    }
}

impl fmt::Display for EventLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        })
    }
}

/// An event: a line of the log, and of `transload events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventRow {
    /// When it was told, as RFC 3339 has it, in UTC.
    pub time: String,
    /// How serious it is: `error`, `warn`, `info` or `debug`.
    pub level: EventLevel,
    /// Its name, which never changes; `docs/EVENTS.md` lists them.
    pub event: Cow<'static, str>,
    /// The words of the log.
    pub message: String,
    /// The fields of its kind.
    #[serde(flatten)]
    pub fields: BTreeMap<String, Value>,
}

impl EventRow {
    /// An event that happens now.
    #[must_use]
    pub fn of(event: &LogEvent<'_>) -> Self {
        let kind = event.kind();
        let (message, fields) = (event.to_string(), event.fields());
        Self { time: now(), level: kind.level, event: kind.name.into(), message, fields }
    }

    /// The line of text; in colour for a terminal. What would do something to a terminal is not in it: names and reasons
    /// come from elsewhere.
    #[must_use]
    pub fn line(&self, in_colour: bool) -> String {
        let Self { time, level, message, .. } = self;
        let message = printable(message);
        if !in_colour {
            return format!("{time} {level:>5} {message}");
        }
        let colour = match level {
            EventLevel::Error => 31,
            EventLevel::Warn => 33,
            EventLevel::Info => 32,
            EventLevel::Debug => 34,
        };
        format!("\x1b[2m{time}\x1b[0m \x1b[{colour}m{level:>5}\x1b[0m {message}")
    }

    /// One JSON object, without a line's end.
    #[must_use]
    pub fn json(&self) -> String {
        // Texts, numbers and lists of them, all of which JSON has.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether its words have more bytes.
    pub(super) fn is_longer_than(&self, bytes: usize) -> bool {
        self.message.len() > bytes
    }

    /// The same with its texts cut to so many bytes.
    pub(super) fn cut(&self, bytes: usize) -> Self {
        let mut row = self.clone();
        cut(&mut row.message, bytes);
        for value in row.fields.values_mut() {
            if let Value::String(text) = value {
                cut(text, bytes);
            }
        }
        row
    }

    /// The text of a field; of a field that is none, nothing.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.as_str()
    }
}

/// Cuts a text that has more bytes.
pub(super) fn cut(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes));
        text.push_str(" [...]");
    }
}

/// Lines and tabs stay, other control characters are written out.
fn printable(text: &str) -> Cow<'_, str> {
    let is_control = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(is_control) {
        return text.into();
    }
    let written = |c: char| if is_control(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(written).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::super::{FIELDS, KINDS};
    use super::*;

    #[test]
    fn an_event_is_one_line_of_text_and_one_of_json() {
        let (tenant, mac) = ("blue", "02:00:00:00:00:01".parse().expect("an address"));
        let row = EventRow::of(&LogEvent::MacReleased { tenant, mac });
        let text = row.line(false);
        assert!(text.ends_with("Z  INFO blue: 02:00:00:00:00:01 may move again"), "{text}");
        let read: Value = serde_json::from_str(&row.json()).expect("it is JSON");
        assert_eq!(
            (read["event"].as_str(), read["level"].as_str(), read["tenant"].as_str(), read["mac"].as_str()),
            (Some("mac_released"), Some("info"), Some("blue"), Some("02:00:00:00:00:01"))
        );
        assert_eq!(serde_json::from_str::<EventRow>(&row.json()).expect("a row"), row);
    }

    #[test]
    fn what_would_do_something_to_a_terminal_is_written_out() {
        let row = EventRow::of(&LogEvent::PeerLearned { peer: "a\x1b[2Jb" });
        assert!(!row.line(false).contains('\x1b') && row.line(false).contains("u{1b}"), "{}", row.line(false));
    }

    #[test]
    fn every_event_has_a_name_of_its_own_and_only_fields_that_are_explained() {
        for (at, kind) in KINDS.iter().enumerate() {
            let is_plain = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(!kind.name.is_empty() && kind.name.chars().all(is_plain), "{}", kind.name);
            assert!(KINDS[..at].iter().all(|other| other.name != kind.name), "{} is there twice", kind.name);
            for field in kind.fields {
                assert!(FIELDS.iter().any(|(name, _)| name == field), "{field} of {} is not explained", kind.name);
                assert!(!["time", "level", "event", "message"].contains(field), "{field} of {}", kind.name);
            }
        }
        for (field, _) in FIELDS {
            assert!(KINDS.iter().any(|kind| kind.fields.contains(field)), "no event has a field {field}");
        }
        assert!(FIELDS.is_sorted(), "fields are listed by name");
    }
}
