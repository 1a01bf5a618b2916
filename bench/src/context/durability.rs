//! What an acknowledgement of a broker is worth: derived from which broker it is and how it is
//! configured, and `unknown` where that does not say.
//!
//! It is what the broker promises. Whether it does so is a question to the device's counter of
//! flushes, which reports show beside it.

use serde::Serialize;

use super::configuration::Settings;
use super::software::Kind;

/// Ringmain flushes what `write.caching` left no later than this, whatever `flush.ms` says.
const WRITE_CACHING_FLUSH_MS_MAX: u64 = 1000;

/// What an acknowledged record has gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Promise {
    /// Flushed to the device.
    Flushed,
    /// Written to the device past the page cache, not flushed.
    Written,
    /// In the page cache, or in the broker's memory.
    Memory,
    /// Nothing: there is no acknowledgement.
    None,
    /// Nothing is produced in this run.
    NotAsked,
    /// It cannot be told.
    Unknown,
}

/// The promise of one broker in one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Durability {
    pub(crate) promise: Promise,
    /// The promise and what it means, in a sentence.
    pub(crate) sentence: String,
    /// What it was derived from.
    pub(crate) grounds: String,
}

impl Durability {
    /// Derives it; `acks` is that of the producers (-1 is all), `None` if there are none.
    pub(crate) fn derive(kind: Kind, acks: Option<i16>, topic: Option<&Settings>) -> Self {
        let Some(acks) = acks else {
            return Self::new(Promise::NotAsked, "nothing is produced", "the scenario only reads");
        };
        if acks == 0 {
            let sentence = "not acknowledged: nobody learns whether a record was stored";
            return Self::new(Promise::None, sentence, "acks=0");
        }
        let Some(topic) = topic else {
            let sentence = "unknown: the broker did not tell the topic's configuration";
            return Self::new(Promise::Unknown, sentence, "DescribeConfigs was not answered");
        };
        match kind {
            Kind::Kafka => of_kafka(topic),
            Kind::Ringmain => of_ringmain(acks, topic),
            Kind::Redpanda => of_redpanda(acks, topic),
            Kind::Unknown => Self::new(
                Promise::Unknown,
                "unknown: it is not known what this broker does before it acknowledges",
                &grounds("unknown software", acks, topic, &["flush.messages", "flush.ms", "write.caching"]),
            ),
        }
    }

    fn new(promise: Promise, sentence: &str, grounds: &str) -> Self {
        Self { promise, sentence: sentence.to_owned(), grounds: grounds.to_owned() }
    }
}

/// Kafka flushes inside the append once `flush.messages` records wait for it, before it answers; by
/// default it leaves that to the kernel. `acks` only says how many replicas have it.
fn of_kafka(topic: &Settings) -> Durability {
    let interval = topic.value("flush.messages").and_then(|value| value.parse::<u64>().ok());
    let (promise, sentence) = match interval {
        Some(1) => (Promise::Flushed, "acknowledged after it was flushed to the device".to_owned()),
        Some(interval) => {
            (Promise::Memory, format!("acknowledged from the page cache: {}", kafka_loss(interval, topic)))
        }
        None => (Promise::Unknown, "unknown: the broker did not tell flush.messages".to_owned()),
    };
    Durability::new(promise, &sentence, &grounds("Apache Kafka", -1, topic, &["flush.messages", "flush.ms"]))
}

/// What a power cut takes from a Kafka that does not flush each append.
fn kafka_loss(interval: u64, topic: &Settings) -> String {
    // Both settings are off at the greatest number that their type holds.
    let is_set = |value: u64| value < u64::MAX >> 1;
    let time = topic.value("flush.ms").and_then(|value| value.parse::<u64>().ok()).filter(|ms| is_set(*ms));
    let mut bounds = Vec::new();
    if is_set(interval) {
        bounds.push(format!("up to {} records of each partition", interval - 1));
    }
    if let Some(ms) = time {
        bounds.push(format!("what came in the last {ms} ms"));
    }
    match &bounds[..] {
        [] => "a power cut loses it, a killed process does not".to_owned(),
        [bound] => format!("a power cut loses {bound}"),
        bounds => format!("a power cut loses {} (whichever is less)", bounds.join(" or ")),
    }
}

/// Ringmain answers acks=all after the flush unless `write.caching` is on; acks=1 once the leader has
/// written.
fn of_ringmain(acks: i16, topic: &Settings) -> Durability {
    let grounds = grounds("Ringmain", acks, topic, &["write.caching", "flush.ms"]);
    let ms = topic.value("flush.ms").and_then(|value| value.parse::<u64>().ok());
    let ms = ms.unwrap_or(u64::MAX).min(WRITE_CACHING_FLUSH_MS_MAX);
    let written = |when: &str| {
        format!(
            "acknowledged after it was written to the device by direct I/O, not flushed: a killed process \
             loses nothing, a power cut what the device's own cache held{when}"
        )
    };
    match (acks, topic.value("write.caching")) {
        (_, Some("true")) => {
            Durability::new(Promise::Written, &written(&format!("; flushed within {ms} ms")), &grounds)
        }
        (-1, Some("false")) => {
            Durability::new(Promise::Flushed, "acknowledged after it was flushed to the device", &grounds)
        }
        (_, Some("false")) => Durability::new(Promise::Written, &written(""), &grounds),
        _ => Durability::new(Promise::Unknown, "unknown: the broker did not tell write.caching", &grounds),
    }
}

/// Redpanda flushes before it answers acks=all unless `write.caching` is on; acks=1 it answers from memory.
fn of_redpanda(acks: i16, topic: &Settings) -> Durability {
    let grounds = grounds("Redpanda", acks, topic, &["write.caching", "flush.ms"]);
    let memory = "acknowledged from memory: a power cut or a killed process loses it";
    match (acks, topic.value("write.caching")) {
        (-1, Some("false")) => {
            Durability::new(Promise::Flushed, "acknowledged after it was flushed to the device", &grounds)
        }
        (-1, None) => {
            Durability::new(Promise::Unknown, "unknown: the broker did not tell write.caching", &grounds)
        }
        _ => Durability::new(Promise::Memory, memory, &grounds),
    }
}

/// `Apache Kafka, flush.messages=1`.
fn grounds(software: &str, acks: i16, topic: &Settings, names: &[&str]) -> String {
    let acks = if acks == -1 { "acks=all".to_owned() } else { format!("acks={acks}") };
    let values = names.iter().filter_map(|name| Some(format!("{name}={}", topic.value(name)?)));
    let mut parts = vec![software.to_owned()];
    if software != "Apache Kafka" {
        parts.push(acks);
    }
    parts.extend(values);
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::configuration::Source;
    use super::super::configuration::tests::told;
    use super::*;

    fn derive(kind: Kind, acks: i16, configs: &[(&str, &str)]) -> Durability {
        let settings = configs.iter().map(|(name, value)| told(name, Some(value), Source::Default));
        Durability::derive(kind, Some(acks), Some(&Settings::new(settings.collect())))
    }

    #[test]
    fn kafka_flushes_only_if_told_to() {
        let never = [("flush.messages", "9223372036854775807"), ("flush.ms", "9223372036854775807")];
        let found = derive(Kind::Kafka, -1, &never);
        assert_eq!(found.promise, Promise::Memory);
        assert_eq!(
            found.sentence,
            "acknowledged from the page cache: a power cut loses it, a killed process does not"
        );
        assert_eq!(
            found.grounds,
            "Apache Kafka, flush.messages=9223372036854775807, flush.ms=9223372036854775807"
        );
        assert_eq!(derive(Kind::Kafka, 1, &[("flush.messages", "1")]).promise, Promise::Flushed);
        assert_eq!(
            derive(Kind::Kafka, -1, &[("flush.messages", "100")]).sentence,
            "acknowledged from the page cache: a power cut loses up to 99 records of each partition"
        );
        assert!(
            derive(Kind::Kafka, -1, &[("flush.messages", "100"), ("flush.ms", "50")])
                .sentence
                .ends_with("partition or what came in the last 50 ms (whichever is less)")
        );
        assert_eq!(derive(Kind::Kafka, -1, &[]).promise, Promise::Unknown);
    }

    #[test]
    fn ringmain_flushes_for_acks_all_without_write_caching() {
        let off = [("write.caching", "false")];
        assert_eq!(derive(Kind::Ringmain, -1, &off).promise, Promise::Flushed);
        assert_eq!(derive(Kind::Ringmain, 1, &off).promise, Promise::Written);
        let on =
            derive(Kind::Ringmain, -1, &[("write.caching", "true"), ("flush.ms", "9223372036854775807")]);
        assert_eq!(on.promise, Promise::Written);
        assert!(on.sentence.ends_with("flushed within 1000 ms"), "{}", on.sentence);
        assert_eq!(derive(Kind::Ringmain, -1, &[]).promise, Promise::Unknown);
    }

    #[test]
    fn redpanda_flushes_for_acks_all_without_write_caching() {
        assert_eq!(derive(Kind::Redpanda, -1, &[("write.caching", "false")]).promise, Promise::Flushed);
        assert_eq!(derive(Kind::Redpanda, -1, &[("write.caching", "true")]).promise, Promise::Memory);
        assert_eq!(derive(Kind::Redpanda, 1, &[("write.caching", "false")]).promise, Promise::Memory);
    }

    #[test]
    fn what_cannot_be_told_is_unknown() {
        assert_eq!(derive(Kind::Unknown, -1, &[("flush.messages", "1")]).promise, Promise::Unknown);
        assert_eq!(Durability::derive(Kind::Kafka, Some(-1), None).promise, Promise::Unknown);
        assert_eq!(Durability::derive(Kind::Kafka, Some(0), None).promise, Promise::None);
        assert_eq!(Durability::derive(Kind::Kafka, None, None).promise, Promise::NotAsked);
    }
}
