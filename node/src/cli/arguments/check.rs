//! The arguments of `check` and `debug`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Which node is meant.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::cli) struct SubjectArguments {
    /// The node's TOML file [default: RINGMAIN_CONFIG, else /etc/ringmain/ringmain.toml if it is there]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) config: Option<PathBuf>,
    /// The node's data directory, in place of the file's
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Each line is ok, advice (it works, and would work better or safer otherwise) or a problem (a node does not start,
serves nobody, or may lose what it acknowledged), with the command that mends it. Ends with 1 when there is a problem, with
0 otherwise. Takes some seconds and may run beside the node. Without root some things cannot be read; it says which.

Examples:
  ringmain check                                     as /etc/ringmain/ringmain.toml says, or as 'ringmain dev' would
  ringmain check --config ringmain.toml
  ringmain check --json | jq -r '.[] | select(.status != \"ok\") | .what + \": \" + .remedy'
  ringmain check --fix                               write the settings of the system to files, after showing them
  ringmain check disk                                what the device gives, in some seconds"
)]
pub(in crate::cli) struct CheckArguments {
    #[command(subcommand)]
    pub(in crate::cli) command: Option<CheckCommand>,
    #[command(flatten)]
    pub(in crate::cli) subject: SubjectArguments,
    /// Print JSON: an array of findings with what, status, found, why and remedy
    #[arg(long, conflicts_with = "fix")]
    pub(in crate::cli) json: bool,
    /// Write /etc/sysctl.d/60-ringmain.conf and /etc/udev/rules.d/60-ringmain.rules, after showing and asking
    #[arg(long)]
    pub(in crate::cli) fix: bool,
    /// Write them without asking
    #[arg(long, requires = "fix")]
    pub(in crate::cli) yes: bool,
    /// Write them below this directory
    #[arg(long, value_name = "DIR", default_value = "/", requires = "fix")]
    pub(in crate::cli) root: PathBuf,
    /// Read /proc, /sys and /etc below this directory: a machine that was recorded
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    pub(in crate::cli) system_root: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CheckCommand {
    /// Measure the device of the data directory for a few seconds, in the way that a node writes
    Disk(CheckDiskArguments),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Writes and reads files of its own in the data directory, some 70 MiB, which go with it however it ends.
Beside a node that is busy it measures what that leaves.

Examples:
  ringmain check disk
  ringmain check disk --data-dir /mnt/new-disk --seconds 30
  ringmain check disk --json | jq '.rows[] | {what, p99_us}'"
)]
pub(in crate::cli) struct CheckDiskArguments {
    #[command(flatten)]
    pub(in crate::cli) subject: SubjectArguments,
    /// How long to measure, all rows together
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(in crate::cli) seconds: u64,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DebugCommand {
    /// Put into one file what somebody needs who looks for a fault; no record, no key
    Bundle(BundleArguments),
    /// Show or change which diagnostics a running node writes
    LogLevel(LogLevelArguments),
}

#[derive(Debug, Args)]
#[command(
    after_help = "In it: the configuration with secrets masked and where each value comes from, versions, limits, what the
machine says (/proc), the findings of 'ringmain check', metrics, health and cluster as far as the node answers, the
last lines of its journal, names and sizes of the files in the data directory, and what checkpoints say.
Not in it: records, keys, certificates. Topics, groups, hosts and addresses are named: look before you send it.
Works while the node is down. Run it as root, or as the node's user: it says what it could not read.

Examples:
  sudo ringmain debug bundle
  ringmain debug bundle --config ringmain.toml --out node-1.tar.gz
  tar -tzf node-1.tar.gz                             what is in it"
)]
pub(in crate::cli) struct BundleArguments {
    #[command(flatten)]
    pub(in crate::cli) subject: SubjectArguments,
    /// The file to write [default: ringmain-debug-TIME.tar.gz here]
    #[arg(long, value_name = "FILE.tar.gz")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Where the node's operators connect [default: as the configuration says]
    #[arg(long, value_name = "HOST:PORT")]
    pub(in crate::cli) admin: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Holds until the node ends or is told otherwise; the configuration is not changed.

Examples:
  ringmain debug log-level                           what holds now
  ringmain debug log-level debug
  ringmain debug log-level info,ringmain::shard=debug
  ringmain debug log-level info --admin 127.0.0.1:9645")]
pub(in crate::cli) struct LogLevelArguments {
    /// error, warn, info, debug or trace; with MODULE=LEVEL for single modules, by commas
    #[arg(value_name = "FILTER")]
    pub(in crate::cli) filter: Option<String>,
    /// Where the node's operators connect
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9644")]
    pub(in crate::cli) admin: String,
}
