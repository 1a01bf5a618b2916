//! The settings of a load as a user gives them, on the command line or in a workload file: each may
//! be missing, and what a scenario does not use is refused rather than ignored.

use std::fmt;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use ringmain_protocol::records::Compression;
use serde::{Deserialize, Serialize};

use crate::scenario::Kind;

/// What may be given. The names here are those of the flags and of the keys under `[load]`.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct LoadOptions {
    /// Size of a record's value; 1 KiB by default.
    #[arg(long, value_name = "SIZE")]
    pub(crate) record_size: Option<Size>,
    /// Size of a batch before compression: as many records as fit; 64 KiB by default.
    #[arg(long, value_name = "SIZE")]
    pub(crate) batch_size: Option<Size>,
    /// Records in a batch, in place of a batch size.
    #[arg(long, conflicts_with = "batch_size", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) records_per_request: Option<u32>,
    /// How batches are compressed; not at all by default.
    #[arg(long, value_enum)]
    pub(crate) codec: Option<Codec>,
    /// Share of random bytes in a record, the rest is an event log; by default 1, with a codec 0.3.
    #[arg(long, value_name = "0..1")]
    pub(crate) random_share: Option<f64>,
    /// Whose acknowledgement a request waits for; all in-sync replicas' by default.
    #[arg(long, value_enum)]
    pub(crate) acks: Option<Acks>,
    /// Connections that produce; 1 by default.
    #[arg(long)]
    pub(crate) connections: Option<usize>,
    /// Requests in flight on each of them; 5 by default.
    #[arg(long)]
    pub(crate) in_flight: Option<usize>,
    /// Partitions of the topic; requests go to one after the other.
    #[arg(long)]
    pub(crate) partitions: Option<u32>,
    /// Replicas of each partition; 1 by default, in `replicated` 3.
    #[arg(long, value_parser = clap::value_parser!(i16).range(1..=100))]
    pub(crate) replication_factor: Option<i16>,
    /// Requests a second, begun on a schedule whatever the broker does; latency counts from there.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Seconds to measure; 10 by default.
    #[arg(long)]
    pub(crate) seconds: Option<f64>,
    /// Seconds to run before measuring; 2 by default.
    #[arg(long)]
    pub(crate) warm_up: Option<f64>,
    /// What is read: what comes in, what was read just before, or what is only on disk.
    #[arg(long, value_enum)]
    pub(crate) from: Option<ReadFrom>,
    /// Bytes that are produced to be read.
    #[arg(long, value_name = "SIZE")]
    pub(crate) bytes: Option<Size>,
    /// How often all of it is read.
    #[arg(long)]
    pub(crate) passes: Option<u32>,
    /// Connections that read, each with its share of the partitions; 1 by default.
    #[arg(long)]
    pub(crate) readers: Option<usize>,
    /// Consumers, each of which gets every record.
    #[arg(long)]
    pub(crate) consumers: Option<usize>,
    /// Bytes asked for from each partition in a fetch; consumers ask for 1 MiB.
    #[arg(long, value_name = "SIZE")]
    pub(crate) partition_max_bytes: Option<Size>,
    /// Bytes asked for in a fetch; consumers ask for 50 MiB.
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_bytes: Option<Size>,
    /// Compute each batch's checksum, as consumers do, rather than one of 16.
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub(crate) verify_checksums: Option<bool>,
    /// Connections that are opened and idle.
    #[arg(long)]
    pub(crate) idle_connections: Option<usize>,
    /// The client: our own, or librdkafka, which most programs use; our own by default.
    #[arg(long, value_enum)]
    pub(crate) driver: Option<Driver>,
    /// A topic that exists and stays; by default one of the run's own is created, and deleted.
    #[arg(long)]
    pub(crate) topic: Option<String>,
}

/// Those that concern what is sent.
const RECORDS: [&str; 5] = ["record-size", "batch-size", "records-per-request", "codec", "random-share"];
/// Those that concern how it is sent.
const SENDING: [&str; 7] = ["acks", "connections", "in-flight", "partitions", "rate", "seconds", "warm-up"];
/// Those that concern how it is fetched.
const FETCHING: [&str; 3] = ["partition-max-bytes", "max-bytes", "verify-checksums"];

impl Kind {
    /// The names of the options that the scenario uses.
    pub(crate) fn options(self) -> Vec<&'static str> {
        let (fetches, own): (bool, &[&str]) = match self {
            Self::Produce => (false, &["driver", "topic", "replication-factor"]),
            Self::Replicated => (false, &["replication-factor"]),
            Self::EndToEnd => (true, &["driver", "replication-factor"]),
            Self::Soak => (true, &["replication-factor"]),
            Self::Consume => (true, &["from", "bytes", "passes", "readers", "driver", "topic"]),
            Self::Mixed => (true, &["bytes", "readers"]),
            Self::FanOut => (true, &["consumers", "replication-factor"]),
            Self::ManyPartitions => (false, &[]),
            Self::Connections => (false, &["idle-connections"]),
        };
        let fetching: &[&str] = if fetches { &FETCHING } else { &[] };
        [&RECORDS[..], &SENDING, fetching, own].concat()
    }
}

impl LoadOptions {
    /// The options that were given, by their names.
    pub(crate) fn given(&self) -> Result<toml::Table, toml::ser::Error> {
        toml::Table::try_from(self)
    }

    /// These options, and where they are missing those of `file`.
    pub(crate) fn over(&self, file: &Self) -> Result<Self, String> {
        let mut table = file.given().map_err(|error| error.to_string())?;
        let flags = self.given().map_err(|error| error.to_string())?;
        // A count of records takes the place of a size, and the other way round.
        for (one, other) in [("batch-size", "records-per-request"), ("records-per-request", "batch-size")] {
            if flags.contains_key(one) {
                table.remove(other);
            }
        }
        table.extend(flags);
        table.try_into().map_err(|error: toml::de::Error| error.to_string())
    }
}

/// A number of bytes: a plain number, or one with KiB, MiB or GiB behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SizeText", into = "u64")]
pub(crate) struct Size(pub(crate) u64);

/// As it stands in a file.
#[derive(Deserialize)]
#[serde(untagged)]
enum SizeText {
    Number(u64),
    Text(String),
}

impl TryFrom<SizeText> for Size {
    type Error = String;

    fn try_from(text: SizeText) -> Result<Self, String> {
        match text {
            SizeText::Number(bytes) => Ok(Self(bytes)),
            SizeText::Text(text) => text.parse(),
        }
    }
}

impl From<Size> for u64 {
    fn from(size: Size) -> Self {
        size.0
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("B", 0)];
        let unit = units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
        let (number, shift) = unit.unwrap_or((text, 0));
        let number: u64 = number.trim().parse().map_err(|_| format!("{text} is not a size such as 64KiB"))?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(|| format!("{text} is too large"))
    }
}

/// Whose acknowledgement a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Acks {
    /// No answers.
    #[value(name = "0")]
    #[serde(rename = "0")]
    None,
    /// The leader's.
    #[value(name = "1")]
    #[serde(rename = "1")]
    Leader,
    /// Of all in-sync replicas.
    #[value(name = "all")]
    #[serde(rename = "all")]
    All,
}

impl Acks {
    /// As the protocol says it.
    pub(crate) const fn on_wire(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// How batches are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    /// As the protocol names it.
    pub(crate) const fn compression(self) -> Compression {
        match self {
            Self::None => Compression::None,
            Self::Gzip => Compression::Gzip,
            Self::Snappy => Compression::Snappy,
            Self::Lz4 => Compression::Lz4,
            Self::Zstd => Compression::Zstd,
        }
    }
}

/// The client that drives a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Driver {
    /// Our own, whose requests were encoded beforehand: it says what the broker can do.
    Wire,
    /// The library: it says what its users get. Needs the cargo feature of its name.
    Librdkafka,
}

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReadFrom {
    /// Records as they come in.
    Tail,
    /// Records that were read just before.
    Warm,
    /// Records that are only on disk.
    Cold,
}

impl fmt::Display for ReadFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tail => "tail",
            Self::Warm => "warm",
            Self::Cold => "cold",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in
            [("100", 100), ("64KiB", 65_536), ("1 MiB", 1 << 20), ("2GiB", 2 << 30), ("7B", 7)]
        {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "KiB", "1.5MiB", "64kb", "99999999999GiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_option_that_a_scenario_names_exists() {
        let all = LoadOptions {
            record_size: Some(Size(1)),
            batch_size: Some(Size(1)),
            records_per_request: Some(1),
            codec: Some(Codec::Lz4),
            random_share: Some(0.5),
            acks: Some(Acks::None),
            connections: Some(1),
            in_flight: Some(1),
            partitions: Some(1),
            replication_factor: Some(1),
            rate: Some(1.0),
            seconds: Some(1.0),
            warm_up: Some(1.0),
            from: Some(ReadFrom::Cold),
            bytes: Some(Size(1)),
            passes: Some(1),
            readers: Some(1),
            consumers: Some(1),
            partition_max_bytes: Some(Size(1)),
            max_bytes: Some(Size(1)),
            verify_checksums: Some(true),
            idle_connections: Some(1),
            driver: Some(Driver::Librdkafka),
            topic: Some("t".into()),
        };
        let known = all.given().expect("serializes");
        for kind in Kind::value_variants() {
            for name in kind.options() {
                assert!(known.contains_key(name), "{kind:?} names {name}");
            }
        }
        for name in known.keys() {
            let used = Kind::value_variants().iter().any(|kind| kind.options().contains(&name.as_str()));
            assert!(used, "no scenario uses {name}");
        }
    }

    #[test]
    fn flags_win_over_the_file_and_replace_what_they_conflict_with() {
        let file: LoadOptions =
            toml::from_str("record-size = 100\nbatch-size = \"1MiB\"\nacks = \"1\"").expect("parses");
        let flags =
            LoadOptions { records_per_request: Some(3), acks: Some(Acks::All), ..LoadOptions::default() };
        let both = flags.over(&file).expect("fits");
        assert_eq!((both.record_size, both.batch_size), (Some(Size(100)), None));
        assert_eq!((both.records_per_request, both.acks), (Some(3), Some(Acks::All)));
    }
}
