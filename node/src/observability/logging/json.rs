//! Diagnostics as JSON, an object a line, for collectors.
//!
//! `timestamp` (RFC 3339, UTC), `level`, `message`, the values by their names, `node_id`, `target` (the module). A value
//! that has one of these names is `value_` and its name.

use std::io::{self, Write};

use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::Context;

use super::line::Line;

/// Names that are taken.
const RESERVED: [&str; 5] = ["timestamp", "level", "message", "node_id", "target"];

/// Writes to standard error.
pub(super) struct Json {
    pub(super) node_id: i32,
}

impl<S: Subscriber> Layer<S> for Json {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let text = self.as_text(now(), Line::of(event));
        // Whoever read the diagnostics may be gone; there is nobody else to tell.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}

impl Json {
    fn as_text(&self, timestamp: String, line: Line) -> String {
        let mut object = Map::new();
        object.insert("timestamp".to_owned(), timestamp.into());
        object.insert("level".to_owned(), line.level.as_str().into());
        object.insert("message".to_owned(), line.message.into());
        for (name, value) in line.values {
            let name = if RESERVED.contains(&name) { format!("value_{name}") } else { name.to_owned() };
            object.insert(name, value);
        }
        object.insert("node_id".to_owned(), self.node_id.into());
        object.insert("target".to_owned(), line.target.into());
        format!("{}\n", Value::Object(object))
    }
}

fn now() -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn numbers_are_numbers_and_names_are_not_taken_twice() {
        let line = Line {
            level: Level::WARN,
            target: "ringmain::shard",
            file: None,
            line: None,
            message: "a \"line\"\n".to_owned(),
            values: vec![("partition", 3.into()), ("level", "low".into())],
        };
        let text = Json { node_id: 7 }.as_text("now".to_owned(), line);
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&value["partition"], &value["level"]), (&3.into(), &"WARN".into()));
        assert_eq!((&value["value_level"], &value["node_id"]), (&"low".into(), &7.into()));
        assert!(now().ends_with('Z'), "{}", now());
    }
}
