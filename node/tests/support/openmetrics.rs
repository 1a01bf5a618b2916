//! A strict reader of the OpenMetrics text format, as far as the server uses it: what it accepts, a collector accepts.
//!
//! What must hold of a text: families are announced before their samples and stand together; samples have the suffixes of
//! their type; no sample comes twice; buckets of a histogram rise, and the unbounded one is the count.

use std::collections::{BTreeMap, BTreeSet};

/// Labels of a sample, by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// Everything between two announcements.
#[derive(Debug, Default)]
pub(crate) struct Family {
    pub(crate) kind: String,
    pub(crate) unit: String,
    pub(crate) help: String,
    /// Suffix of the name, labels, value.
    pub(crate) samples: Vec<(String, Labels, f64)>,
}

/// Families by name.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, Family>, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("the text does not end with # EOF")?;
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in body.lines() {
        let problem = |what: &str| format!("{what}: {line}");
        if let Some(announcement) = line.strip_prefix("# ") {
            let mut words = announcement.splitn(3, ' ');
            let mut word = || words.next().ok_or_else(|| problem("an announcement has three parts"));
            let (about, name, what) = (word()?, word()?, word()?);
            if name != current {
                let before = families.insert(name.to_owned(), Family::default());
                if before.is_some() {
                    return Err(problem("the family was there before"));
                }
                name.clone_into(&mut current);
            }
            let family = families.get_mut(name).expect("made above");
            let place = match about {
                "TYPE" => &mut family.kind,
                "UNIT" => &mut family.unit,
                "HELP" => &mut family.help,
                _ => return Err(problem("an unknown announcement")),
            };
            if !place.is_empty() || !family.samples.is_empty() {
                return Err(problem("announced twice or too late"));
            }
            what.clone_into(place);
            continue;
        }
        let family = families.get_mut(&current).ok_or_else(|| problem("a sample before any family"))?;
        let (series, value) = line.rsplit_once(' ').ok_or_else(|| problem("no value"))?;
        let value = value.parse().map_err(|_| problem("the value is no number"))?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => {
                (name, labels.strip_suffix('}').ok_or_else(|| problem("labels do not end"))?)
            }
            None => (series, ""),
        };
        let suffix = name.strip_prefix(&current).ok_or_else(|| problem("a sample of another family"))?;
        family.samples.push((
            suffix.to_owned(),
            parse_labels(labels).ok_or_else(|| problem("labels"))?,
            value,
        ));
    }
    families
        .iter()
        .try_for_each(|(name, family)| family.check().map_err(|what| format!("{name}: {what}")))?;
    Ok(families)
}

fn parse_labels(text: &str) -> Option<Labels> {
    let mut labels = Labels::new();
    for label in text.split_terminator(',') {
        let (name, value) = label.split_once('=')?;
        let value = value.strip_prefix('"')?.strip_suffix('"')?;
        labels.insert(name.to_owned(), value.to_owned()).is_none().then_some(())?;
    }
    Some(labels)
}

impl Family {
    /// The sum of the samples with this suffix and these labels.
    pub(crate) fn sum(&self, suffix: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |found: &Labels| {
            labels.iter().all(|(name, value)| found.get(*name).is_some_and(|it| it == value))
        };
        let samples = self.samples.iter().filter(|(its, found, _)| its == suffix && has(found));
        samples.map(|(_, _, value)| value).sum()
    }

    fn check(&self) -> Result<(), String> {
        let suffixes: &[&str] = match self.kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_count", "_sum"],
            "info" => &["_info"],
            other => return Err(format!("the type {other:?}")),
        };
        if self.help.is_empty() {
            return Err("no help".into());
        }
        let mut seen = BTreeSet::new();
        for (suffix, labels, value) in &self.samples {
            if !suffixes.contains(&suffix.as_str()) || !value.is_finite() || *value < 0.0 {
                return Err(format!("a {} has no sample {suffix:?} {labels:?} {value}", self.kind));
            }
            if !seen.insert((suffix, labels)) {
                return Err(format!("twice: {suffix:?} {labels:?}"));
            }
        }
        if self.kind == "histogram" { self.check_buckets() } else { Ok(()) }
    }

    fn check_buckets(&self) -> Result<(), String> {
        let mut series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
        for (_, labels, count) in self.samples.iter().filter(|(suffix, ..)| suffix == "_bucket") {
            let mut labels = labels.clone();
            let bound = labels.remove("le").ok_or("a bucket without a bound")?;
            let bound = bound.parse().map_err(|_| format!("the bound {bound:?}"))?;
            series.entry(labels).or_default().push((bound, *count));
        }
        for (labels, buckets) in series {
            if !buckets.is_sorted_by(|before, after| before.0 < after.0 && before.1 <= after.1) {
                return Err(format!("buckets of {labels:?} do not rise: {buckets:?}"));
            }
            let labels: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let last = buckets.last().copied();
            if last != Some((f64::INFINITY, self.sum("_count", &labels))) {
                return Err(format!("the count of {labels:?} is not {last:?}"));
            }
        }
        Ok(())
    }
}

#[test]
fn what_a_collector_would_refuse_is_refused() {
    let fine = "# TYPE a counter\n# HELP a Things.\na_total{shard=\"0\"} 1\n# EOF\n";
    assert_eq!(parse(fine).expect("the text is fine")["a"].sum("_total", &[("shard", "0")]), 1.0);
    let histogram = "# TYPE h histogram\n# UNIT h seconds\n# HELP h Time.\nh_bucket{le=\"0.1\"} 1\n\
                     h_bucket{le=\"+Inf\"} 2\nh_count{s=\"0\"} 2\nh_sum{s=\"0\"} 1.5\n# EOF\n";
    let histogram = histogram.replace("{le", "{s=\"0\",le");
    parse(&histogram).expect("the text is fine");
    let broken = [
        fine.replace("# EOF\n", ""),
        fine.replace("_total", ""),
        fine.replace(" 1\n", " one\n"),
        fine.replace("# EOF", "a_total{shard=\"0\"} 2\n# EOF"),
        fine.replace("# EOF", "# TYPE a counter\n# EOF"),
        fine.replace("counter", "count"),
        histogram.replace("0.1", "nothing"),
        histogram.replace("+Inf", "0.05"),
        histogram.replace("h_count{s=\"0\"} 2", "h_count{s=\"0\"} 3"),
        histogram.replace("le=\"0.1\"} 1", "le=\"0.1\"} 3"),
    ];
    for text in broken {
        assert!(parse(&text).is_err(), "{text}");
    }
}
