//! The settings of a load as a scenario uses them: complete, and checked.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::driver::wire::batch::{Batch, RecordSettings};
use crate::driver::wire::client::other;
use crate::driver::wire::producers::ProducerSettings;
use crate::driver::wire::reader::ReaderSettings;
use crate::scenario::Kind;
use crate::scenario::options::{Acks, Codec, Driver, LoadOptions, ReadFrom, Size};

/// Partitions in one topic that Kafka creates in reasonable time.
const PARTITIONS_MAX: u32 = 10_000;
/// Connections to one address are limited by its ports.
const CONNECTIONS_MAX: usize = 28_000;
/// Share of random bytes in compressed records: logs carry ids and numbers that do not shrink.
const RANDOM_SHARE_COMPRESSED: f64 = 0.3;

/// All settings; a scenario uses those that its kind names.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Settings {
    pub(crate) record_size: usize,
    pub(crate) batch_size: usize,
    pub(crate) records_per_request: Option<u32>,
    pub(crate) codec: Codec,
    pub(crate) random_share: f64,
    pub(crate) acks: Acks,
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    pub(crate) partitions: u32,
    pub(crate) replication_factor: i16,
    pub(crate) rate: Option<f64>,
    #[serde(serialize_with = "as_seconds")]
    pub(crate) seconds: Duration,
    #[serde(serialize_with = "as_seconds")]
    pub(crate) warm_up: Duration,
    pub(crate) from: ReadFrom,
    pub(crate) bytes: u64,
    pub(crate) passes: u32,
    pub(crate) readers: usize,
    pub(crate) consumers: usize,
    pub(crate) partition_max_bytes: i32,
    pub(crate) max_bytes: i32,
    pub(crate) verify_checksums: bool,
    pub(crate) idle_connections: usize,
    pub(crate) driver: Driver,
    pub(crate) topic: Option<String>,
    /// Configs of the topic.
    #[serde(skip)]
    pub(crate) configs: Vec<(String, String)>,
}

impl Settings {
    /// What was given, completed with what is usual for the scenario.
    pub(crate) fn resolve(
        kind: Kind,
        options: &LoadOptions,
        configs: Vec<(String, String)>,
    ) -> Result<Self, String> {
        let given = options.given().map_err(|error| error.to_string())?;
        let used = kind.options();
        if let Some(name) = given.keys().find(|name| !used.contains(&name.as_str())) {
            return Err(format!("{} does not use {name}", kind.name()));
        }
        if options.batch_size.is_some() && options.records_per_request.is_some() {
            return Err("a batch has either a batch-size or records-per-request".into());
        }
        let usual = Usual::of(kind);
        let bytes = |name, size: Option<Size>, usual| match size {
            None => Ok(usual),
            Some(Size(bytes)) => {
                i32::try_from(bytes).ok().filter(|bytes| *bytes > 0).ok_or_else(|| out_of_range(name))
            }
        };
        let codec = options.codec.unwrap_or(Codec::None);
        let random_usual = if codec == Codec::None { 1.0 } else { RANDOM_SHARE_COMPRESSED };
        // A scenario of single records has them unless a batch size is asked for.
        let single = usual.records_per_request.filter(|_| options.batch_size.is_none());
        let settings = Self {
            record_size: bytes("record-size", options.record_size, 1024)? as usize,
            batch_size: bytes("batch-size", options.batch_size, 64 << 10)? as usize,
            records_per_request: options.records_per_request.or(single),
            codec,
            random_share: within("random-share", options.random_share.unwrap_or(random_usual), 0.0, 1.0)?,
            acks: options.acks.unwrap_or(Acks::All),
            connections: count("connections", options.connections, 1, CONNECTIONS_MAX)?,
            in_flight: count("in-flight", options.in_flight, 5, 10_000)?,
            partitions: options.partitions.unwrap_or(usual.partitions),
            replication_factor: options.replication_factor.unwrap_or(usual.replication_factor),
            rate: options.rate.map(|rate| within("rate", rate, 1e-3, 1e9)).transpose()?.or(usual.rate),
            seconds: seconds("seconds", options.seconds.unwrap_or(usual.seconds))?,
            warm_up: seconds("warm-up", options.warm_up.unwrap_or(2.0))?,
            from: options.from.unwrap_or(ReadFrom::Warm),
            bytes: options.bytes.map_or(1 << 30, |size| size.0),
            passes: options.passes.unwrap_or(1),
            readers: count("readers", options.readers, 1, CONNECTIONS_MAX)?,
            consumers: count("consumers", options.consumers, usual.consumers, CONNECTIONS_MAX)?,
            partition_max_bytes: bytes("partition-max-bytes", options.partition_max_bytes, 1 << 20)?,
            max_bytes: bytes("max-bytes", options.max_bytes, 50 << 20)?,
            verify_checksums: options.verify_checksums.unwrap_or(false),
            idle_connections: count("idle-connections", options.idle_connections, 1000, CONNECTIONS_MAX)?,
            driver: options.driver.unwrap_or(Driver::Wire),
            topic: options.topic.clone(),
            configs,
        };
        settings.check(kind)
    }

    fn check(self, kind: Kind) -> Result<Self, String> {
        if !(1..=PARTITIONS_MAX).contains(&self.partitions) {
            return Err(out_of_range("partitions"));
        }
        if self.seconds.is_zero() || self.passes == 0 || self.bytes == 0 {
            return Err("seconds, passes and bytes are above zero".into());
        }
        let follows = match kind {
            Kind::EndToEnd | Kind::FanOut | Kind::Soak => true,
            Kind::Consume => self.from == ReadFrom::Tail,
            _ => false,
        };
        if follows && self.acks == Acks::None {
            return Err(format!("{} needs acknowledgements", kind.name()));
        }
        // The offset of a record tells when it was due only if each partition has one connection.
        if follows && self.rate.is_some() && !(self.partitions as usize).is_multiple_of(self.connections) {
            return Err(
                "partitions must be a multiple of connections, so that each has one connection".into()
            );
        }
        Ok(self)
    }

    /// The options that the scenario uses, as a workload file has them.
    pub(crate) fn to_table(&self, kind: Kind) -> Result<toml::Table, toml::ser::Error> {
        let mut table = toml::Table::try_from(self)?;
        let used = kind.options();
        table.retain(|name, _| used.contains(&name));
        if self.records_per_request.is_some() {
            table.remove("batch-size");
        }
        Ok(table)
    }

    /// The batch that all requests carry.
    pub(crate) fn encode_batch(&self) -> std::io::Result<Batch> {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_err(std::io::Error::other)?;
        let now_ms = i64::try_from(now.as_millis()).map_err(std::io::Error::other)?;
        let records = RecordSettings {
            record_size_bytes: self.record_size,
            random_share: self.random_share,
            compression: self.codec.compression(),
        };
        let batch = match self.records_per_request {
            Some(count) => Batch::of_count(count, records, now_ms),
            None => Batch::of_size(self.batch_size, records, now_ms),
        };
        batch.map_err(|error| other(error.to_string()))
    }

    /// How producers send.
    pub(crate) fn producers(&self) -> ProducerSettings {
        ProducerSettings {
            acks: self.acks.on_wire(),
            connections: self.connections,
            in_flight: self.in_flight,
            partitions: self.partitions,
            rate: self.rate,
        }
    }

    /// How readers ask.
    pub(crate) fn reading(&self) -> ReaderSettings {
        ReaderSettings {
            partition_max_bytes: self.partition_max_bytes,
            max_bytes: self.max_bytes,
            verify_checksums: self.verify_checksums,
        }
    }
}

/// What is usual where nothing was given, as far as it differs between scenarios.
struct Usual {
    records_per_request: Option<u32>,
    partitions: u32,
    replication_factor: i16,
    rate: Option<f64>,
    seconds: f64,
    consumers: usize,
}

impl Usual {
    fn of(kind: Kind) -> Self {
        let usual = Self {
            records_per_request: None,
            partitions: 1,
            replication_factor: 1,
            rate: None,
            seconds: 10.0,
            consumers: 1,
        };
        match kind {
            Kind::Replicated => Self { replication_factor: 3, ..usual },
            Kind::Produce | Kind::Consume => usual,
            // Single records, at a rate that leaves every broker idle most of the time.
            Kind::EndToEnd | Kind::Connections => {
                Self { records_per_request: Some(1), rate: Some(1000.0), ..usual }
            }
            Kind::Soak => Self { rate: Some(1000.0), seconds: 600.0, ..usual },
            Kind::Mixed => Self { rate: Some(500.0), ..usual },
            Kind::FanOut => Self { rate: Some(1000.0), consumers: 5, ..usual },
            Kind::ManyPartitions => Self { partitions: 1000, ..usual },
        }
    }
}

fn count(name: &str, given: Option<usize>, usual: usize, most: usize) -> Result<usize, String> {
    let count = given.unwrap_or(usual);
    if (1..=most).contains(&count) { Ok(count) } else { Err(out_of_range(name)) }
}

fn within(name: &str, number: f64, least: f64, most: f64) -> Result<f64, String> {
    if (least..=most).contains(&number) { Ok(number) } else { Err(out_of_range(name)) }
}

fn seconds(name: &str, number: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(number).map_err(|_| out_of_range(name))
}

fn out_of_range(name: &str) -> String {
    format!("{name} is out of range")
}

fn as_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(kind: Kind, options: LoadOptions) -> Result<Settings, String> {
        Settings::resolve(kind, &options, Vec::new())
    }

    #[test]
    fn defaults_are_the_published_ones() {
        let settings = resolve(Kind::Produce, LoadOptions::default()).expect("complete");
        assert_eq!((settings.record_size, settings.batch_size), (1024, 65_536));
        assert_eq!((settings.acks, settings.in_flight, settings.connections), (Acks::All, 5, 1));
        let settings = resolve(Kind::EndToEnd, LoadOptions::default()).expect("complete");
        assert_eq!((settings.records_per_request, settings.rate), (Some(1), Some(1000.0)));
    }

    #[test]
    fn what_a_scenario_does_not_use_is_refused_by_name() {
        let options = LoadOptions { passes: Some(2), ..LoadOptions::default() };
        let error = resolve(Kind::Produce, options).expect_err("produce does not read");
        assert_eq!(error, "produce does not use passes");
    }

    #[test]
    fn nonsense_is_refused() {
        let none = LoadOptions::default;
        for options in [
            LoadOptions { rate: Some(0.0), ..none() },
            LoadOptions { rate: Some(f64::NAN), ..none() },
            LoadOptions { connections: Some(0), ..none() },
            LoadOptions { partitions: Some(0), ..none() },
            LoadOptions { seconds: Some(-1.0), ..none() },
            LoadOptions { seconds: Some(0.0), ..none() },
            LoadOptions { random_share: Some(1.5), ..none() },
            LoadOptions { record_size: Some(Size(0)), ..none() },
            LoadOptions { batch_size: Some(Size(5 << 30)), ..none() },
            LoadOptions { batch_size: Some(Size(5)), records_per_request: Some(1), ..none() },
        ] {
            assert!(resolve(Kind::Produce, options.clone()).is_err(), "{options:?}");
        }
        let options = LoadOptions { partitions: Some(3), connections: Some(2), ..none() };
        assert!(resolve(Kind::EndToEnd, options.clone()).is_err(), "a partition would have two connections");
        assert!(resolve(Kind::Produce, options).is_ok());
    }

    #[test]
    fn settings_are_a_workload_again() {
        let settings = resolve(Kind::Consume, LoadOptions::default()).expect("complete");
        let table = settings.to_table(Kind::Consume).expect("serializes");
        let options: LoadOptions = table.try_into().expect("these are options");
        assert!(resolve(Kind::Consume, options).is_ok());
    }
}
