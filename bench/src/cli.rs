//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::compare::CompareSettings;
use crate::processes::Processes;
use crate::scenario::Kind;
use crate::scenario::disk::DiskSettings;
use crate::scenario::failover::FailoverSettings;
use crate::scenario::options::LoadOptions;
use crate::scenario::transport::TransportSettings;
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
    Produce(MeasureArgs),
    /// As produce, to a cluster: acknowledged by all replicas, at the cost of all nodes.
    Replicated(MeasureArgs),
    /// Produce on a schedule and consume at once: the time from one to the other.
    EndToEnd(MeasureArgs),
    /// Read a topic from its start to its end: from memory, from disk, or while it is produced.
    Consume(MeasureArgs),
    /// Producers alone, then beside readers that fetch an older topic from disk.
    Mixed(MeasureArgs),
    /// Several consumers, each of which gets every record while it is produced.
    FanOut(MeasureArgs),
    /// The same bytes to one partition, then over many.
    ManyPartitions(MeasureArgs),
    /// Many connections that idle, beside producers.
    Connections(MeasureArgs),
    /// A steady load for long, and what drifts meanwhile.
    Soak(MeasureArgs),
    /// What a disk can do in the writes and reads that a log makes: no broker takes part.
    Disk {
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        work: DiskSettings,
    },
    /// Frames between two nodes on this machine, by their own transport and by plain TCP: no broker takes part.
    Transport {
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        work: TransportSettings,
    },
    /// The leader of a partition is killed again and again: the longest time without an acknowledged record.
    Failover {
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        topic: TopicArgs,
        #[command(flatten)]
        work: FailoverSettings,
    },
    /// A workload file; flags win over what stands in it.
    Run {
        /// The file, for instance one of bench/workloads.
        file: PathBuf,
        #[command(flatten)]
        measure: MeasureArgs,
    },
    /// A scenario against several brokers in turn, and the ratios of each to the first.
    Compare(CompareArgs),
    /// Produce to a broker that stores nothing: the ceiling of this harness on this machine.
    #[command(name = "self")]
    Itself {
        /// Processor for the broker.
        #[arg(long)]
        broker_core: Option<usize>,
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        load: LoadOptions,
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

/// One scenario against one broker.
#[derive(Debug, Clone, Args)]
pub(crate) struct MeasureArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) broker: BrokerArgs,
    #[command(flatten)]
    pub(crate) topic: TopicArgs,
    #[command(flatten)]
    pub(crate) load: LoadOptions,
}

/// One scenario against several brokers.
#[derive(Debug, Clone, Args)]
pub(crate) struct CompareArgs {
    /// The scenario (unless a workload says it), then two brokers or more, the first of which is the
    /// baseline: NAME=HOST:PORT[,pid=PID[+PID]...][,data-dir=DIR][,TOPIC-CONFIG=VALUE]...
    #[arg(required = true, num_args = 1.., value_name = "SCENARIO|TARGET")]
    what: Vec<String>,
    /// A workload file, in place of a scenario; flags win over what stands in it.
    #[arg(long, value_name = "FILE")]
    pub(crate) workload: Option<PathBuf>,
    /// Rounds that count; each runs every target once and the baseline twice.
    #[arg(long, default_value_t = 6, value_parser = at_least_one)]
    rounds: usize,
    /// Rounds before them that do not count, so that compilers and caches are warm.
    #[arg(long, default_value_t = 0)]
    warm_up_rounds: usize,
    /// Rounds in which others used a larger share of the machine are repeated.
    #[arg(long, default_value_t = 0.1)]
    others_max: f64,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) topic: TopicArgs,
    #[command(flatten)]
    pub(crate) load: LoadOptions,
}

impl CompareArgs {
    /// How often, and under which conditions.
    pub(crate) fn settings(&self) -> CompareSettings {
        let Self { rounds, warm_up_rounds, others_max, .. } = *self;
        CompareSettings { rounds, warm_up_rounds, others_max }
    }

    /// The scenario, unless a workload says it, and the brokers.
    pub(crate) fn scenario_and_targets(&self) -> Result<(Option<Kind>, Vec<Target>), String> {
        let (kind, targets) = match (&self.workload, self.what.split_first()) {
            (None, Some((kind, targets))) => {
                let names = Kind::value_variants().iter().map(|kind| kind.name()).collect::<Vec<_>>();
                let kind = Kind::from_str(kind, false).map_err(|_| {
                    format!("{kind} is no scenario; those that compare knows are {}", names.join(", "))
                })?;
                (Some(kind), targets)
            }
            _ => (None, self.what.as_slice()),
        };
        let targets = targets.iter().map(|text| Target::parse(text)).collect::<Result<Vec<_>, _>>()?;
        if targets.len() < 2 {
            return Err("compare needs two brokers or more".into());
        }
        Ok((kind, targets))
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
    /// Write the report in JSON to this file, too.
    #[arg(long, value_name = "PATH")]
    pub(crate) json_file: Option<PathBuf>,
    /// Write the report as one HTML page with plots to this file, too.
    #[arg(long, value_name = "PATH")]
    pub(crate) html: Option<PathBuf>,
    /// A sentence that is kept in the report.
    #[arg(long)]
    pub(crate) note: Option<String>,
}

/// Whom to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct BrokerArgs {
    /// The broker's address.
    #[arg(long, value_name = "HOST:PORT", env = "RINGMAIN_BROKERS", default_value = "127.0.0.1:9092",
          value_parser = resolve)]
    pub(crate) broker: SocketAddr,
    /// The broker's process on this machine, or those of all nodes of its cluster: without them there are
    /// no costs.
    #[arg(long, value_name = "PID[+PID]...", value_parser = Processes::parse)]
    pub(crate) broker_pid: Option<Processes>,
    /// Where the broker keeps its partitions, for reads from disk.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// How topics are configured.
#[derive(Debug, Clone, Args)]
pub(crate) struct TopicArgs {
    /// Config of the topic, NAME=VALUE; may be repeated.
    #[arg(long = "topic-config", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) configs: Vec<(String, String)>,
}

impl BrokerArgs {
    /// The broker as a target.
    pub(crate) fn target(&self) -> Target {
        Target {
            name: "broker".into(),
            address: self.broker,
            processes: self.broker_pid.clone().unwrap_or_default(),
            data_dir: self.data_dir.clone(),
            configs: Vec::new(),
        }
    }
}

/// The command line, in which each scenario's help shows what the scenario uses and no more.
pub(crate) fn command() -> clap::Command {
    let all = LoadOptions::augment_args(clap::Command::new("all"));
    let names: Vec<String> = all.get_arguments().map(|arg| arg.get_id().to_string()).collect();
    let hide = |command: clap::Command, kind: Kind| {
        let used = kind.options();
        let unused = names.iter().filter(|name| !used.contains(&name.replace('_', "-").as_str()));
        unused.fold(command, |command, name| command.mut_arg(name, |arg| arg.hide(true)))
    };
    let command = Kind::value_variants().iter().fold(Cli::command(), |command, kind| {
        command.mut_subcommand(kind.name(), |scenario| hide(scenario, *kind))
    });
    command.mut_subcommand("self", |scenario| hide(scenario, Kind::Produce))
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one is needed".into()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{text}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::FromArgMatches;

    fn parse(line: &[&str]) -> Result<Command, clap::Error> {
        let line = ["ringmain-bench"].iter().chain(line);
        let matches = command().try_get_matches_from(line)?;
        Cli::from_arg_matches(&matches).map(|cli| cli.command)
    }

    #[test]
    fn command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_scenario_has_a_command_that_shows_what_it_uses() {
        for kind in Kind::value_variants() {
            parse(&[kind.name()]).expect("is a command");
            let mut command = command();
            let scenario = command.find_subcommand_mut(kind.name()).expect("is a command");
            let help = scenario.render_long_help().to_string();
            for (flag, shown) in [("--record-size", true), ("--passes", *kind == Kind::Consume)] {
                assert_eq!(help.contains(flag), shown, "{kind:?} {flag}");
            }
        }
    }

    #[test]
    fn compare_takes_a_scenario_or_a_workload() {
        let compare = |line: &[&str]| match parse(line) {
            Ok(Command::Compare(args)) => args.scenario_and_targets(),
            other => panic!("{other:?}"),
        };
        let pair = ["a=127.0.0.1:1,pid=2", "b=127.0.0.1:3"];
        let (kind, targets) =
            compare(&["compare", "fan-out", pair[0], pair[1], "--rate", "5"]).expect("two brokers");
        assert_eq!((kind, targets.len()), (Some(Kind::FanOut), 2));
        let (kind, targets) =
            compare(&["compare", "--workload", "f", pair[0], pair[1]]).expect("two brokers");
        assert_eq!((kind, targets.len()), (None, 2));
        assert!(
            compare(&["compare", pair[0], pair[1]]).expect_err("no scenario").contains("many-partitions")
        );
        assert!(compare(&["compare", "produce", pair[0]]).is_err());
    }

    #[test]
    fn nonsense_is_refused() {
        for wrong in [
            &["--rate", "x"][..],
            &["--record-size", "12q"],
            &["--topic-config", "=x"],
            &["--batch-size", "1", "--records-per-request", "1"],
            &["--codec", "brotli"],
        ] {
            let line = [&["produce"][..], wrong].concat();
            assert!(parse(&line).is_err(), "{wrong:?}");
        }
    }
}
