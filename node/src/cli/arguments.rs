//! The arguments, declared: what `--help` shows is what is parsed.

mod cert;
mod check;
mod cluster;
mod group;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(super) use self::cert::*;
pub(super) use self::check::*;
pub(super) use self::cluster::*;
pub(super) use self::group::*;
use super::time;

/// A high-volume ingest tier that speaks Kafka's wire protocol.
#[derive(Debug, Parser)]
#[command(
    name = "ringmain",
    version,
    max_term_width = 100,
    after_help = "Examples:
  ringmain dev                                     one node on 127.0.0.1:9092, data in ./ringmain-data
  ringmain dev --nodes 3                           a cluster of three on this machine
  ringmain topic create orders --partitions 4      a topic
  ringmain topic produce orders access.log         each line of a file becomes a record
  ringmain topic consume orders --until-end        and back, byte for byte
  ringmain group describe billing                  how far behind its consumers are
  ringmain cluster status                          whether all is well, and what to do if not
  ringmain cert init                               the certificates of a new cluster
  ringmain check                                   whether this machine suits a node

Exit codes: 0 done, 1 failed (the reason is on standard error), 2 wrong usage or configuration."
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run one node in the foreground with defaults for trying out
    Dev(DevArguments),
    /// Run a node in the foreground as its configuration file says
    Start(StartArguments),
    /// Make, look at, fill and read topics of a running cluster (Ringmain or Kafka)
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Look at consumer groups of a running cluster, move and delete them (Ringmain or Kafka)
    #[command(subcommand)]
    Group(GroupCommand),
    /// Look at a running cluster, move what is on its nodes, take nodes out (Ringmain or Kafka)
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Show what is in a file of a data directory
    #[command(subcommand)]
    Inspect(InspectCommand),
    /// Make the certificates by which the nodes of a cluster know each other
    #[command(subcommand)]
    Cert(CertCommand),
    /// Say whether this machine suits a node, and what to do where it does not
    Check(CheckArguments),
    /// Collect what helps to find a fault; change what a running node writes of itself
    #[command(subcommand)]
    Debug(DebugCommand),
    /// Write manual pages and the completions of shells, for packages
    #[command(hide = true)]
    Generate(GenerateArguments),
}

#[derive(Debug, Args)]
pub(super) struct GenerateArguments {
    /// The folder to write to; made if it is not there
    #[arg(value_name = "DIR")]
    pub(super) directory: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(super) enum InspectCommand {
    /// The record batches of a segment (<20 digits>.log): offsets, sizes, producers, checksums
    Segment(InspectFileArguments),
    /// A partition's checkpoint (partition.checkpoint): recovery point, segments, producers, leader epochs
    Checkpoint(InspectFileArguments),
    /// A file of a shard's journal (<n>.journal): its frames, and what each holds
    Journal(InspectFileArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "Only reads, and needs no running node. Ends with 1 when something is damaged.

Examples:
  ringmain inspect segment ringmain-data/orders-0/00000000000000000000.log
  ringmain inspect checkpoint ringmain-data/orders-0/partition.checkpoint")]
pub(super) struct InspectFileArguments {
    /// The file
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Print JSON: a line for each batch of a segment, one for a checkpoint
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Every option of the configuration file can be set with --set KEY=VALUE or an environment
variable: limits.connection_idle_ms is RINGMAIN_LIMITS_CONNECTION_IDLE_MS.

Examples:
  ringmain dev
  ringmain dev --data-dir /var/tmp/try --listen 127.0.0.1:19092 --admin off --shards 2
  ringmain dev --nodes 3                             a cluster: three processes, ports 9092 to 9094
  ringmain dev --nodes 3 --write-config three-nodes  only its files, for 'ringmain start --config'
  ringmain dev --set topic_defaults.retention.ms=3600000 --set topics.default_partitions=4"
)]
pub(super) struct DevArguments {
    /// Where the data is kept [default: ./ringmain-data]
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<String>,
    /// Where Kafka clients connect; port 0 takes a free one [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) listen: Option<String>,
    /// Where operators connect by HTTP, or 'off' [default: 127.0.0.1:9644]
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) admin: Option<String>,
    /// Cores that serve clients, or 'auto' for all; of several nodes, each has so many, and 'auto' divides them
    /// [default: auto]
    #[arg(long, value_name = "N")]
    pub(super) shards: Option<String>,
    /// Run a cluster of N nodes, each a process of its own; --listen and --admin name the ports of the first
    #[arg(long, value_name = "N", value_parser = nodes)]
    pub(super) nodes: Option<usize>,
    /// Only write the configuration files and certificates of a cluster (of 3 nodes without --nodes)
    #[arg(long, value_name = "DIR")]
    pub(super) write_config: Option<PathBuf>,
    /// Set any option of the configuration; can be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(super) set: Vec<(String, String)>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringmain start --config /etc/ringmain/ringmain.toml
  ringmain start --config ringmain.toml --check      say what is wrong with it, start nothing")]
pub(super) struct StartArguments {
    /// The TOML file with the node's options
    #[arg(long, value_name = "FILE", env = "RINGMAIN_CONFIG")]
    pub(super) config: PathBuf,
    /// Only check the configuration: print what would hold, or what is wrong
    #[arg(long)]
    pub(super) check: bool,
    /// Stop when the process with this number, which started this one, ends
    #[arg(long, value_name = "PID", hide = true)]
    pub(super) with_parent: Option<u32>,
    /// Set any option of the configuration; can be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(super) set: Vec<(String, String)>,
}

/// How every topic and group command reaches the cluster.
#[derive(Debug, Args)]
pub(super) struct ClusterArguments {
    /// Brokers to ask first; one that answers is enough
    #[arg(
        long,
        value_name = "HOST:PORT,..",
        env = "RINGMAIN_BROKERS",
        default_value = "127.0.0.1:9092",
        value_delimiter = ','
    )]
    pub(super) brokers: Vec<String>,
    /// Seconds after which a command that gets no answer gives up
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(super) timeout: u64,
}

#[derive(Debug, Subcommand)]
pub(super) enum TopicCommand {
    /// Make topics
    Create(CreateArguments),
    /// Show which topics there are
    List(ListArguments),
    /// Show partitions, offsets and configurations of topics
    Describe(DescribeArguments),
    /// Change configurations, or add partitions
    Alter(AlterArguments),
    /// Delete topics with everything in them
    Delete(DeleteArguments),
    /// Write each line of a file or a pipe as a record
    Produce(ProduceArguments),
    /// Read records to standard output
    Consume(ConsumeArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringmain topic create orders
  ringmain topic create orders --partitions 8 --config retention.ms=86400000
  ringmain topic create metrics --config write.caching=true --if-not-exists")]
pub(super) struct CreateArguments {
    /// Names of the topics
    #[arg(required = true, value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Partitions of each [default: the cluster's, topics.default_partitions]
    #[arg(long, short, value_name = "N")]
    pub(super) partitions: Option<i32>,
    /// Replicas of each partition [default: the cluster's]
    #[arg(long, short, value_name = "N")]
    pub(super) replication_factor: Option<i16>,
    /// A configuration, such as retention.ms=3600000; can be repeated
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = key_value)]
    pub(super) config: Vec<(String, String)>,
    /// Succeed when a topic exists already
    #[arg(long)]
    pub(super) if_not_exists: bool,
    /// Only check whether it could be made
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Show internal topics too
    #[arg(long)]
    pub(super) internal: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringmain topic describe orders
  ringmain topic describe orders --configs           every configuration, defaults included
  ringmain topic describe orders --json | jq '.[0].partitions[].end_offset'")]
pub(super) struct DescribeArguments {
    /// Names of the topics
    #[arg(required = true, value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Show every configuration, not only those that differ from their default
    #[arg(long)]
    pub(super) configs: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringmain topic alter orders --set retention.ms=86400000 --set segment.bytes=268435456
  ringmain topic alter orders --unset retention.ms   back to the default
  ringmain topic alter orders --append cleanup.policy=compact
  ringmain topic alter orders --partitions 16        keys move to other partitions")]
pub(super) struct AlterArguments {
    /// Name of the topic
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// Set a configuration; can be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = key_value)]
    pub(super) set: Vec<(String, String)>,
    /// Bring a configuration back to its default; can be repeated
    #[arg(long, value_name = "NAME")]
    pub(super) unset: Vec<String>,
    /// Add to a configuration that is a list; can be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = key_value)]
    pub(super) append: Vec<(String, String)>,
    /// Take from a configuration that is a list; can be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = key_value)]
    pub(super) subtract: Vec<(String, String)>,
    /// Partitions to have in all; there is no way to have fewer
    #[arg(long, short, value_name = "N")]
    pub(super) partitions: Option<i32>,
    /// Only check whether it could be changed
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
pub(super) struct DeleteArguments {
    /// Names of the topics
    #[arg(required = true, value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Succeed when a topic does not exist
    #[arg(long)]
    pub(super) if_exists: bool,
    #[command(flatten)]
    pub(super) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A record is a line without its newline; a carriage return before it is kept, an empty line is an
empty record. Memory does not grow with the input. Batches are sent idempotently with acks=all: a retry
never writes a line twice, and within a partition lines stay in order.

Examples:
  ringmain topic produce orders access.log
  tail -F access.log | ringmain topic produce orders
  zcat old.gz | ringmain topic produce orders --compression zstd
  ringmain topic produce orders users.tsv --key-separator '\\t'"
)]
pub(super) struct ProduceArguments {
    /// Name of the topic
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// The file to read; without it, or with '-', standard input
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Split each line at the first SEPARATOR into key and value; \t, \n and \\ are understood
    #[arg(long, short = 'K', value_name = "SEPARATOR", value_parser = unescape)]
    pub(super) key_separator: Option<String>,
    /// Write all records to this partition [default: by key, or batch by batch in turn]
    #[arg(long, short, value_name = "N")]
    pub(super) partition: Option<i32>,
    /// How batches are compressed
    #[arg(long, short = 'z', value_enum, default_value_t = CompressionArgument::None)]
    pub(super) compression: CompressionArgument,
    /// Whose disk must have a record before it counts: all in-sync replicas, the leader's, none's
    #[arg(long, value_enum, default_value_t = AcksArgument::All)]
    pub(super) acks: AcksArgument,
    /// Bytes of records in a batch before compression; a longer line goes alone
    #[arg(long, value_name = "SIZE", default_value = "512KiB", value_parser = batch_bytes)]
    pub(super) batch_bytes: usize,
    /// Milliseconds that a line of a slow pipe waits for others
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub(super) linger: u64,
    /// Print nothing but errors
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// Print a summary as JSON to standard output
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Without --until-end and --count it goes on until it is stopped, waiting for new records. Each record is
followed by a newline. Records of one partition come in order; those of several are mixed.

In --format: %s value, %k key, %o offset, %p partition, %t topic, %T timestamp (ms), %h headers,
%S and %K lengths of value and key (-1 for null), %% a percent sign; \\n, \\t and \\\\ are understood.

Examples:
  ringmain topic consume orders --until-end > copy.log
  ringmain topic consume orders --from latest
  ringmain topic consume orders --partition 0 --from 1000 --count 10
  ringmain topic consume orders --from 2026-01-01T00:00:00Z    records since a time (also @1767225600000)
  ringmain topic consume orders --from -10m                    those of the last ten minutes
  ringmain topic consume orders --format '%p:%o %k=%s\\n'
  ringmain topic consume orders --json --until-end | jq .value"
)]
pub(super) struct ConsumeArguments {
    /// Name of the topic
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// Where to begin: earliest, latest, an offset, or a time: 2026-01-01T00:00:00Z, @ and Unix milliseconds, -2h
    #[arg(long, short, value_name = "WHERE", default_value = "earliest", value_parser = start_position, allow_hyphen_values = true)]
    pub(super) from: StartPosition,
    /// Read only this partition [default: all]
    #[arg(long, short, value_name = "N")]
    pub(super) partition: Option<i32>,
    /// Stop at the end that the topic had when reading began
    #[arg(long, short = 'e')]
    pub(super) until_end: bool,
    /// Stop after so many records
    #[arg(long, short = 'n', value_name = "N")]
    pub(super) count: Option<u64>,
    /// How a record is printed
    #[arg(long, value_name = "FORMAT", conflicts_with = "json")]
    pub(super) format: Option<String>,
    /// Print each record as a line of JSON; bytes that are not UTF-8 as base64
    #[arg(long)]
    pub(super) json: bool,
    /// Do not put a newline after the last record: a file that did not end in one comes back as it was
    #[arg(long, conflicts_with_all = ["json", "format"])]
    pub(super) no_final_newline: bool,
    #[command(flatten)]
    pub(super) cluster: ClusterArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CompressionArgument {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum AcksArgument {
    /// All in-sync replicas, on disk
    All,
    /// The leader
    #[value(name = "1")]
    Leader,
    /// No answer is waited for; lines can be lost
    #[value(name = "0")]
    None,
}

/// Where a consumer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StartPosition {
    Earliest,
    Latest,
    Offset(i64),
    /// The first record at or after it, in Unix milliseconds.
    Timestamp(i64),
}

fn start_position(text: &str) -> Result<StartPosition, String> {
    let wrong = || {
        format!(
            "'{text}' is neither earliest, latest, an offset, nor a time such as 2026-01-01T00:00:00Z or -2h"
        )
    };
    match text {
        "earliest" | "beginning" => Ok(StartPosition::Earliest),
        "latest" | "end" => Ok(StartPosition::Latest),
        _ => match time::parse_time(text) {
            Some(time) => time.map(StartPosition::Timestamp),
            None => match text.parse() {
                Ok(offset) if offset >= 0 => Ok(StartPosition::Offset(offset)),
                _ => Err(wrong()),
            },
        },
    }
}

/// Nodes of a cluster on one machine: more are no use for trying out, and their ports would meet.
const NODES: std::ops::RangeInclusive<usize> = 1..=9;

fn nodes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if NODES.contains(&count) => Ok(count),
        _ => Err(format!("write a number from {} to {}", NODES.start(), NODES.end())),
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// Smallest and largest batch: the largest fits the frame that brokers accept by default.
const BATCH_BYTES: std::ops::RangeInclusive<u64> = 1..=64 << 20;

fn batch_bytes(text: &str) -> Result<usize, String> {
    let bytes = crate::config::quantity::parse_bytes(text)?;
    if BATCH_BYTES.contains(&bytes) {
        usize::try_from(bytes).map_err(|error| error.to_string())
    } else {
        Err(format!("write a size between {} B and {} MiB", BATCH_BYTES.start(), BATCH_BYTES.end() >> 20))
    }
}

/// Takes `\t`, `\n`, `\r`, `\0` and `\\` for the characters that they stand for.
pub(super) fn unescape(text: &str) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        result.push(match character {
            '\\' => match characters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('0') => '\0',
                Some('\\') => '\\',
                other => return Err(format!("\\{} is not understood", other.unwrap_or(' '))),
            },
            plain => plain,
        });
    }
    if result.is_empty() { Err("it is empty".to_owned()) } else { Ok(result) }
}
