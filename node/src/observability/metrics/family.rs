//! A metric as the table has it: its name, what it means, and how its samples come out of a snapshot.

use super::{super::snapshot::NodeSnapshot, text::Samples};

/// What kind of number it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows, and begins at zero with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations in buckets.
    Histogram,
    /// Always 1; its labels say something.
    Info,
}

/// Metrics that belong together.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) families: &'static [Family],
}

/// One metric.
#[derive(Debug)]
pub(super) struct Family {
    /// Whole, with its unit, without the suffix that its kind has.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [&'static str],
    /// One sentence.
    pub(super) help: &'static str,
    /// When an operator looks at it, for the reference. Empty where the sentence says it all.
    pub(super) look: &'static str,
    /// Writes its samples.
    pub(super) write: fn(&NodeSnapshot, &mut Samples<'_>),
}

impl Family {
    /// The unit that the name ends with, if it has one.
    pub(super) fn unit(&self) -> Option<&'static str> {
        ["seconds", "bytes"].into_iter().find(|unit| self.name.ends_with(unit))
    }

    /// The name of its samples; of a histogram what its samples' names begin with.
    pub(super) fn sample_name(&self) -> String {
        let suffix = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        format!("{}{suffix}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{super::families::SECTIONS, *};

    fn all() -> impl Iterator<Item = &'static Family> {
        SECTIONS.iter().flat_map(|section| section.families)
    }

    #[test]
    fn names_are_as_collectors_want_them() {
        let mut seen = BTreeSet::new();
        for family in all() {
            let name = family.name;
            assert!(seen.insert(name), "{name} is there twice");
            let is_ours = name.starts_with("ringmain_");
            assert!(is_ours || name.starts_with("process_"), "{name}");
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit())
            );
            for suffix in ["_total", "_count", "_sum", "_bucket", "_info", "milliseconds", "_ms"] {
                assert!(!name.ends_with(suffix), "{name}: the kind gives the suffix, units are base units");
            }
            let begins = |first: char| first.is_uppercase() || first.is_ascii_digit();
            let is_sentence = family.help.ends_with('.') && family.help.starts_with(begins);
            assert!(is_sentence && !family.help.contains(['\n', '\\', '|']), "{name}: {}", family.help);
            assert!(!family.look.contains(['\n', '|']), "{name}");
            assert!(family.kind != Kind::Histogram || family.unit() == Some("seconds"), "{name}");
        }
        assert!(seen.len() > 100, "the table is there");
    }
}
