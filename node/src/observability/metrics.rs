//! Everything that a node shows as metrics, as text for whoever collects it.
//!
//! One table (`families`) has what a metric is called, what it means and how its samples come out of a snapshot; the text, and
//! the reference in `docs/metrics.md`, are written from it. What must hold: a metric that is not in the table cannot be written;
//! the number of series is bounded by the node's size and configuration, never by what clients send.
//! Does not do: gathering (`snapshot`), HTTP (`admin`).

mod families;
mod family;
mod reference;
mod text;

pub use reference::reference;

use self::{families::SECTIONS, text::Samples};
use super::snapshot::{self, NodeSnapshot};
use crate::shard::NodeShared;

/// The text formats that collectors take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// The standard of its own, which Prometheus asks for first.
    OpenMetrics,
    /// The older format of Prometheus, which all tools read. Units and the end are comments there.
    Classic,
}

impl Format {
    /// The one that a client asks for by its `Accept` header; without a word about it the one that all tools read.
    fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Classic }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Looks at the node and writes what it shows, in a format that the client takes. Returns its content type, and the text.
pub(crate) fn answer(node: &NodeShared, accept: &str) -> (&'static str, String) {
    let format = Format::accepted(accept);
    (format.content_type(), write(&snapshot::take(node), format))
}

fn write(snapshot: &NodeSnapshot, format: Format) -> String {
    let mut text = String::new();
    for family in SECTIONS.iter().flat_map(|section| section.families) {
        (family.write)(snapshot, &mut Samples::new(family, format, &mut text));
    }
    text.push_str("# EOF\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_is_asked_for() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
        for plain in ["", "*/*", "text/plain", "text/html"] {
            assert_eq!(Format::accepted(plain), Format::Classic, "{plain}");
        }
    }
}
