//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::compare::CompareSettings;
use crate::scenario::consume::ConsumeSettings;
use crate::scenario::disk::DiskSettings;
use crate::scenario::produce::ProduceSettings;
use crate::target::{Target, name_and_value, resolve};

/// Measures any Kafka-compatible broker: throughput, latency, and what they cost the broker.
///
/// Give the broker's process id, pin broker and client to different processors, and compare
/// brokers only within one run on one machine (`compare`).
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    /// What to measure.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send the same encoded batch as fast as the broker answers, or at a rate.
    Produce {
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        broker: BrokerArgs,
        #[command(flatten)]
        load: ProduceArgs,
    },
    /// Read a topic from its start to its end.
    Consume {
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        broker: BrokerArgs,
        #[command(flatten)]
        load: ConsumeArgs,
    },
    /// Produce on a schedule and consume at once: the time from one to the other.
    EndToEnd {
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        broker: BrokerArgs,
        #[command(flatten)]
        load: ProduceArgs,
    },
    /// What a disk can do in the writes and reads that a log makes: no broker takes part.
    Disk {
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        work: DiskSettings,
    },
    /// A scenario against several brokers in turn, and the ratios of each to the first.
    Compare {
        #[command(subcommand)]
        scenario: CompareCommand,
    },
    /// Produce to a broker that stores nothing: the ceiling of this harness on this machine.
    #[command(name = "self")]
    Itself {
        /// Processor for the broker.
        #[arg(long)]
        broker_core: Option<usize>,
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        load: ProduceArgs,
    },
    /// Keep free memory of a virtual machine from going back to its host, until killed.
    ///
    /// Run it beside comparisons with brokers that write through the page cache, which otherwise pay
    /// for the host's page faults.
    SteadyMemory {
        /// Memory to prepare; that much must be free for a moment, a 64th of it stays in use.
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
        gibibytes: u16,
    },
    /// Serve as the broker that stores nothing, until killed.
    NullBroker {
        /// Address to listen on; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// Processor to run on.
        #[arg(long)]
        core: Option<usize>,
    },
}

/// Scenarios that can be compared.
#[derive(Debug, Subcommand)]
pub(crate) enum CompareCommand {
    /// Send the same encoded batch as fast as the brokers answer, or at a rate.
    Produce {
        #[command(flatten)]
        compare: CompareArgs,
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        load: ProduceArgs,
    },
    /// Read a topic from its start to its end.
    Consume {
        #[command(flatten)]
        compare: CompareArgs,
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        load: ConsumeArgs,
        /// The topic; all brokers have it.
        #[arg(long)]
        topic: String,
    },
    /// Produce on a schedule and consume at once.
    EndToEnd {
        #[command(flatten)]
        compare: CompareArgs,
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        load: ProduceArgs,
    },
}

/// Whom to compare, and how.
#[derive(Debug, Clone, Args)]
pub(crate) struct CompareArgs {
    /// NAME=HOST:PORT[,pid=PID][,data-dir=DIR][,TOPIC-CONFIG=VALUE]..., two or more; the first is
    /// the baseline.
    #[arg(required = true, num_args = 2.., value_name = "TARGET", value_parser = Target::parse)]
    pub(crate) targets: Vec<Target>,
    /// Rounds that count; each runs every target once and the baseline twice.
    #[arg(long, default_value_t = 6, value_parser = at_least_one)]
    rounds: usize,
    /// Rounds before them that do not count.
    #[arg(long, default_value_t = 0)]
    warm_up_rounds: usize,
    /// Rounds in which others used a larger share of the machine are repeated.
    #[arg(long, default_value_t = 0.1)]
    others_max: f64,
}

impl CompareArgs {
    /// How often, and under which conditions.
    pub(crate) fn settings(&self) -> CompareSettings {
        let Self { rounds, warm_up_rounds, others_max, .. } = *self;
        CompareSettings { rounds, warm_up_rounds, others_max }
    }
}

/// How to run and report.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// Processor for this client; another one than the broker's.
    #[arg(long)]
    pub(crate) client_core: Option<usize>,
    /// Report in JSON, on one line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Kept in the report: the commit, the broker's configuration.
    #[arg(long)]
    pub(crate) note: Option<String>,
}

/// What to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct BrokerArgs {
    /// The broker's address.
    #[arg(long, value_name = "HOST:PORT", env = "RINGMAIN_BROKERS", default_value = "127.0.0.1:9092",
          value_parser = resolve)]
    pub(crate) broker: SocketAddr,
    /// The broker's process, on this machine; without it there are no costs.
    #[arg(long)]
    pub(crate) broker_pid: Option<u32>,
    /// The topic; by default one of this run's own.
    #[arg(long)]
    pub(crate) topic: Option<String>,
}

/// What to send.
#[derive(Debug, Clone, Args)]
pub(crate) struct ProduceArgs {
    /// Size of a record's value, in bytes.
    #[arg(long, default_value_t = 1024)]
    record_size: usize,
    /// Size of a batch, in bytes: as many records as fit.
    #[arg(long, default_value_t = 64 << 10)]
    batch_size: usize,
    /// Records in a batch, in place of a batch size.
    #[arg(long, conflicts_with = "batch_size", value_parser = clap::value_parser!(u32).range(1..))]
    records_per_request: Option<u32>,
    /// Whose acknowledgement a request waits for.
    #[arg(long, value_enum, default_value_t = AcksArg::All)]
    acks: AcksArg,
    /// Connections.
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    connections: usize,
    /// Requests in flight on each connection.
    #[arg(long, default_value_t = 5, value_parser = at_least_one)]
    in_flight: usize,
    /// Partitions of the topic; requests go to one after the other.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    partitions: u32,
    /// Requests a second, begun on a schedule whatever the broker does; latency counts from there.
    #[arg(long, value_parser = positive)]
    rate: Option<f64>,
    /// Seconds to measure.
    #[arg(long, default_value = "10", value_parser = seconds)]
    seconds: Duration,
    /// Seconds to run before measuring.
    #[arg(long, default_value = "2", value_parser = seconds)]
    warm_up: Duration,
    /// Config of the topic, NAME=VALUE; may be repeated.
    #[arg(long = "topic-config", value_name = "NAME=VALUE", value_parser = name_and_value)]
    configs: Vec<(String, String)>,
    /// The topic exists and stays; otherwise it is created, and deleted at the end.
    #[arg(long)]
    keep_topic: bool,
    /// Do not compare the log's growth with what was sent.
    #[arg(long)]
    no_verify: bool,
}

impl BrokerArgs {
    /// The broker as a target.
    pub(crate) fn target(&self) -> Target {
        Target {
            name: "broker".into(),
            address: self.broker,
            pid: self.broker_pid,
            data_dir: None,
            configs: Vec::new(),
        }
    }
}

impl ProduceArgs {
    /// The scenario's settings.
    pub(crate) fn settings(&self, topic: Option<String>) -> ProduceSettings {
        ProduceSettings {
            record_size_bytes: self.record_size,
            batch_size_bytes: self.batch_size,
            records_per_request: self.records_per_request,
            acks: self.acks.on_wire(),
            connections: self.connections,
            in_flight: self.in_flight,
            partitions: self.partitions,
            rate: self.rate,
            warm_up: self.warm_up,
            duration: self.seconds,
            configs: self.configs.clone(),
            topic,
            keep_topic: self.keep_topic,
            verify: !self.no_verify,
        }
    }
}

/// What to read.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConsumeArgs {
    /// Connections, each with its share of the partitions.
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    connections: usize,
    /// Bytes asked for from each partition in a request; consumers ask for 1 MiB.
    #[arg(long, default_value_t = 1 << 20, value_parser = clap::value_parser!(i32).range(1..))]
    partition_max_bytes: i32,
    /// Bytes asked for in a request; consumers ask for 50 MiB.
    #[arg(long, default_value_t = 50 << 20, value_parser = clap::value_parser!(i32).range(1..))]
    max_bytes: i32,
    /// How often to read all.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    passes: u32,
    /// Compute each batch's checksum, as consumers do.
    #[arg(long)]
    verify_checksums: bool,
    /// Take the files below this directory of the broker out of the page cache first.
    #[arg(long, value_name = "DIR")]
    evict: Option<PathBuf>,
}

impl ConsumeArgs {
    /// The scenario's settings.
    pub(crate) fn settings(&self, topic: String) -> ConsumeSettings {
        ConsumeSettings {
            topic,
            evict: self.evict.clone(),
            connections: self.connections,
            partition_max_bytes: self.partition_max_bytes,
            max_bytes: self.max_bytes,
            passes: self.passes,
            verify_checksums: self.verify_checksums,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AcksArg {
    /// No answers.
    #[value(name = "0")]
    None,
    /// The leader's.
    #[value(name = "1")]
    Leader,
    /// Of all in-sync replicas.
    #[value(name = "all")]
    All,
}

impl AcksArg {
    const fn on_wire(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one is needed".into()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{text}: {error}")),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|error| format!("{text}: {error}"))?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err(format!("{text} is not above zero")) }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|error| format!("{text}: {error}"))?;
    Duration::try_from_secs_f64(number).map_err(|error| format!("{text}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults_are_the_published_ones() {
        let cli = Cli::parse_from(["ringmain-bench", "produce", "--topic-config", "write.caching=true"]);
        let Command::Produce { load, .. } = cli.command else { panic!("another command") };
        let settings = load.settings(None);
        assert_eq!((settings.record_size_bytes, settings.batch_size_bytes), (1024, 65_536));
        assert_eq!((settings.acks, settings.in_flight, settings.connections), (-1, 5, 1));
        assert_eq!(settings.configs, [("write.caching".to_owned(), "true".to_owned())]);
    }

    #[test]
    fn nonsense_is_refused() {
        for wrong in [
            &["--rate", "0"][..],
            &["--connections", "0"],
            &["--seconds", "-1"],
            &["--topic-config", "=x"],
            &["--batch-size", "1", "--records-per-request", "1"],
        ] {
            let line = ["ringmain-bench", "produce"].iter().chain(wrong);
            assert!(Cli::try_parse_from(line).is_err(), "{wrong:?}");
        }
    }
}
