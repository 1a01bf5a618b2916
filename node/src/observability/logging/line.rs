//! One event, taken apart: what lines of JSON and entries of the journal are made of.

use std::fmt::{Debug, Write};

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// An event.
pub(super) struct Line {
    pub(super) level: Level,
    /// The module.
    pub(super) target: &'static str,
    pub(super) file: Option<&'static str>,
    pub(super) line: Option<u32>,
    pub(super) message: String,
    /// In the order in which they were written.
    pub(super) values: Vec<(&'static str, Value)>,
}

impl Line {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let place = event.metadata();
        let mut line = Self {
            level: *place.level(),
            target: place.target(),
            file: place.file(),
            line: place.line(),
            message: String::new(),
            values: Vec::new(),
        };
        event.record(&mut line);
        line
    }

    /// The message with its values behind it, as a person reads it.
    pub(super) fn with_values(&self) -> String {
        let mut text = self.message.clone();
        for (name, value) in &self.values {
            let blank = if text.is_empty() { "" } else { " " };
            // Writing to a text cannot fail.
            let _ = write!(text, "{blank}{name}={}", plain(value));
        }
        text
    }

    fn record(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", value) => self.message = plain(&value),
            (name, value) => self.values.push((name, value)),
        }
    }
}

/// A value without the quotation marks that JSON puts around texts.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Visit for Line {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.record(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.record(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.record(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record(field, format!("{value:?}").into());
    }
}
