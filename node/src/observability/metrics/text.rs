//! Samples of one metric as text.
//!
//! What must hold: a sample has exactly the labels that the table names; what comes from outside (names of topics and groups)
//! is escaped; a metric without samples is not mentioned.

use std::fmt::{Display, Write};

use super::{
    super::{histogram::HistogramValues, snapshot::NodeSnapshot},
    Format,
    family::{Family, Kind},
};
use crate::shard::ShardSnapshot;

/// Takes the samples of one metric.
pub(super) struct Samples<'t> {
    family: &'t Family,
    format: Format,
    text: &'t mut String,
    is_announced: bool,
}

/// Writing to a string does not fail.
macro_rules! put {
    ($text:expr, $($argument:tt)*) => {
        write!($text, $($argument)*).unwrap_or_else(|std::fmt::Error| unreachable!("a string takes everything"))
    };
}

impl<'t> Samples<'t> {
    pub(super) fn new(family: &'t Family, format: Format, text: &'t mut String) -> Self {
        Self { family, format, text, is_announced: false }
    }

    /// One sample; the values of its labels in the order of the table.
    pub(super) fn put(&mut self, labels: &[&dyn Display], value: f64) {
        let suffix = match self.family.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge => "",
            Kind::Histogram => unreachable!("{} has more than one sample", self.family.name),
        };
        self.line(suffix, labels, None, value);
    }

    /// One sample of a number that counts things.
    pub(super) fn count(&mut self, labels: &[&dyn Display], value: u64) {
        self.put(labels, value as f64);
    }

    /// One sample for each shard.
    pub(super) fn shards(&mut self, snapshot: &NodeSnapshot, value: fn(&ShardSnapshot) -> u64) {
        for shard in &snapshot.shards {
            self.count(&[&shard.shard], value(shard));
        }
    }

    /// The samples of one histogram.
    pub(super) fn histogram(&mut self, labels: &[&dyn Display], values: &HistogramValues) {
        for (bound, count) in values.cumulative() {
            self.line("_bucket", labels, Some(bound), count as f64);
        }
        let count = values.count() as f64;
        self.line("_bucket", labels, Some(f64::INFINITY), count);
        self.line("_count", labels, None, count);
        self.line("_sum", labels, None, values.sum_seconds());
    }

    fn line(&mut self, suffix: &str, labels: &[&dyn Display], bound: Option<f64>, value: f64) {
        self.announce();
        let names = self.family.labels;
        assert_eq!(names.len(), labels.len(), "{} has the labels {names:?}", self.family.name);
        put!(self.text, "{}{suffix}", self.family.name);
        let mut open = '{';
        for (name, value) in names.iter().zip(labels) {
            put!(self.text, "{open}{name}=\"");
            escape(&value.to_string(), self.text);
            self.text.push('"');
            open = ',';
        }
        match bound {
            Some(f64::INFINITY) => put!(self.text, "{open}le=\"+Inf\"}}"),
            Some(bound) => put!(self.text, "{open}le=\"{bound}\"}}"),
            None if open == ',' => self.text.push('}'),
            None => {}
        }
        put!(self.text, " {value}\n");
    }

    fn announce(&mut self) {
        if std::mem::replace(&mut self.is_announced, true) {
            return;
        }
        let Family { name, kind, help, .. } = self.family;
        let (kind, suffix) = match (kind, self.format) {
            (Kind::Counter, Format::OpenMetrics) => ("counter", ""),
            (Kind::Counter, Format::Classic) => ("counter", "_total"),
            (Kind::Gauge, _) => ("gauge", ""),
            (Kind::Histogram, _) => ("histogram", ""),
            (Kind::Info, Format::OpenMetrics) => ("info", ""),
            (Kind::Info, Format::Classic) => ("gauge", "_info"),
        };
        put!(self.text, "# TYPE {name}{suffix} {kind}\n");
        if let Some(unit) = self.family.unit() {
            put!(self.text, "# UNIT {name}{suffix} {unit}\n");
        }
        put!(self.text, "# HELP {name}{suffix} {help}\n");
    }
}

/// As both formats want the value of a label.
fn escape(value: &str, text: &mut String) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            character => text.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(name: &'static str, kind: Kind, labels: &'static [&'static str]) -> Family {
        Family { name, kind, labels, help: "Things.", look: "", write: |_, _| {} }
    }

    #[test]
    fn names_from_outside_cannot_break_out() {
        let (family, mut text) = (family("ringmain_things", Kind::Gauge, &["topic"]), String::new());
        Samples::new(&family, Format::OpenMetrics, &mut text).put(&[&"a\"} 1\n\\"], 2.5);
        assert!(text.ends_with("ringmain_things{topic=\"a\\\"} 1\\n\\\\\"} 2.5\n"), "{text}");
    }

    #[test]
    fn a_counter_is_announced_as_each_format_wants_it() {
        let family = family("ringmain_sent_bytes", Kind::Counter, &[]);
        for (format, name) in
            [(Format::OpenMetrics, "ringmain_sent_bytes"), (Format::Classic, "ringmain_sent_bytes_total")]
        {
            let mut text = String::new();
            let mut samples = Samples::new(&family, format, &mut text);
            samples.count(&[], 7);
            assert_eq!(
                text,
                format!(
                    "# TYPE {name} counter\n# UNIT {name} bytes\n# HELP {name} Things.\nringmain_sent_bytes_total 7\n"
                )
            );
        }
    }

    #[test]
    fn what_has_no_samples_is_not_mentioned() {
        let (family, mut text) = (family("ringmain_things", Kind::Gauge, &[]), String::new());
        let _ = Samples::new(&family, Format::Classic, &mut text);
        assert_eq!(text, "");
    }
}
