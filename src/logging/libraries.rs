//! What libraries say, by `tracing` or `log`, as events.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;

use super::rates::Sharing;
use super::row::{EventLevel, EventRow};
use super::{LogEvent, log};

/// Has what libraries say be told, as far as it is wanted.
pub(super) fn listen(wanted: Targets) {
    tracing_subscriber::registry().with(Libraries.with_filter(wanted)).init();
}

struct Libraries;

impl<S: Subscriber> Layer<S> for Libraries {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut said = Words::default();
        event.record(&mut said);
        let target = said.target.as_deref().unwrap_or(metadata.target());
        let told = LogEvent::Library { target, why: &said.message };
        let level = EventLevel::from(*metadata.level());
        let sharing = Sharing { kind: metadata.name(), level, ..Sharing::of(told.kind()) };
        log(sharing, &told, || EventRow { level, ..EventRow::of(&told) });
    }
}

/// The message of what a library says, and where the `log` crate has it from.
#[derive(Debug, Default)]
struct Words {
    message: String,
    target: Option<String>,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            "log.target" => self.target = Some(value.to_owned()),
            _ => {}
        }
    }
}
