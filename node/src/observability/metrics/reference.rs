//! The reference of every metric, written from the table.
//!
//! `docs/metrics.md` holds this text between two marks, and a test compares them: what the page says is what the node shows.

use std::fmt::Write;

use super::{
    families::SECTIONS,
    family::{Family, Kind},
};

/// The reference as Markdown.
pub fn reference() -> String {
    let mut text = String::new();
    for section in SECTIONS {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "\n### {}\n", section.title);
        let _ = writeln!(
            text,
            "| metric | kind | labels | what it says | look at it when |\n|---|---|---|---|---|"
        );
        for family in section.families {
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} | {} |",
                family.sample_name(),
                kind(family),
                labels(family),
                family.help,
                family.look
            );
        }
    }
    text
}

fn kind(family: &Family) -> String {
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
        Kind::Info => "info",
    };
    family.unit().map_or_else(|| kind.to_owned(), |unit| format!("{kind}, {unit}"))
}

fn labels(family: &Family) -> String {
    let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
    if labels.is_empty() { "none".to_owned() } else { labels.join(", ") }
}
