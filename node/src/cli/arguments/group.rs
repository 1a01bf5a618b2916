//! The arguments of the `group` commands.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::ClusterArguments;
use crate::cli::time;
use crate::config::quantity::parse_milliseconds;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum GroupCommand {
    /// Show which consumer groups there are
    List(GroupListArguments),
    /// Show who is in groups, what they have committed and how far behind they are
    Describe(GroupDescribeArguments),
    /// Move a group without members to other offsets
    Seek(GroupSeekArguments),
    /// Delete groups without members, or only some of their offsets
    Delete(GroupDeleteArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringmain group list
  ringmain group list --lag                          how far behind each is
  ringmain group list --state empty                  those that nobody reads for
  ringmain group list --json | jq -r '.[].group'")]
pub(in crate::cli) struct GroupListArguments {
    /// Only groups in this state; can be repeated
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STATE")]
    pub(in crate::cli) state: Vec<GroupState>,
    /// Add up how many records each group has not committed; asks for the offsets of every group
    #[arg(long)]
    pub(in crate::cli) lag: bool,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
    #[command(flatten)]
    pub(in crate::cli) watch: WatchArguments,
    #[command(flatten)]
    pub(in crate::cli) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
#[command(
    after_help = "COMMITTED is the offset that the group reads next after a restart; END is the offset that the partition's next
record will get; LAG is what lies between. A partition without a commit begins where the consumers'
auto.offset.reset says, so it has no lag. Partitions of topics that the members subscribe to are shown too.

Examples:
  ringmain group describe billing
  ringmain group describe billing --members          who they are and what each one reads
  ringmain group describe billing --watch            again every 2 seconds
  ringmain group describe billing --json | jq '.[0].lag'"
)]
pub(in crate::cli) struct GroupDescribeArguments {
    /// Names of the groups
    #[arg(required = true, value_name = "NAME")]
    pub(in crate::cli) names: Vec<String>,
    /// Show each member: client id, host, instance id, partitions
    #[arg(long)]
    pub(in crate::cli) members: bool,
    /// Print JSON; everything is in it
    #[arg(long)]
    pub(in crate::cli) json: bool,
    #[command(flatten)]
    pub(in crate::cli) watch: WatchArguments,
    #[command(flatten)]
    pub(in crate::cli) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("where").required(true).args(["topic", "all_topics", "from_file"]),
    after_help = "The group must have no members: stop its consumers first. They begin at the new offsets when they start again.
Offsets outside of what the log holds are moved to its nearest end, with a warning.

WHERE is one of
  earliest, latest               the first record that is still there; the end
  1500, offset:1500              this offset
  +100, -100                     so many records after or before what is committed
  2026-01-01T00:00:00Z           the first record at or after this time (also as @1767225600000, Unix ms)
  -2h                            the first record of the last two hours (ms, s, m, h, d)

Examples:
  ringmain group seek billing --topic orders --to earliest --dry-run      show what would be done
  ringmain group seek billing --topic orders --to 2026-01-01T00:00:00Z
  ringmain group seek billing --topic orders:0,3 --topic returns --to -2h
  ringmain group seek billing --all-topics --to -1000                     a thousand records back, each
  ringmain group describe billing --json > before.json                    and later back to it:
  ringmain group seek billing --from-file before.json
  ringmain group seek archive --topic orders --to latest --create         before its first consumer starts"
)]
pub(in crate::cli) struct GroupSeekArguments {
    /// Name of the group
    #[arg(value_name = "NAME")]
    pub(in crate::cli) name: String,
    /// A topic, or some of its partitions: orders, orders:0,3, orders:0-7; can be repeated
    #[arg(long, short, value_name = "TOPIC[:N,..]", value_parser = topic_partitions)]
    pub(in crate::cli) topic: Vec<TopicPartitions>,
    /// Every partition that the group has committed
    #[arg(long)]
    pub(in crate::cli) all_topics: bool,
    /// What 'group describe --json' printed: back to those offsets; '-' is standard input
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) from_file: Option<PathBuf>,
    /// Where to
    #[arg(
        long,
        value_name = "WHERE",
        value_parser = seek_target,
        allow_hyphen_values = true,
        required_unless_present = "from_file",
        conflicts_with = "from_file"
    )]
    pub(in crate::cli) to: Option<SeekTarget>,
    /// Make the group if it does not exist
    #[arg(long)]
    pub(in crate::cli) create: bool,
    /// Only show what would be done
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
    #[command(flatten)]
    pub(in crate::cli) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A group with members cannot be deleted: stop its consumers first. With --topic the group stays and only
forgets those offsets, which is possible while its members read other topics.

Examples:
  ringmain group delete billing
  ringmain group delete trial-1 trial-2 --if-exists
  ringmain group delete billing --topic old-orders
  ringmain group delete billing --topic orders:7"
)]
pub(in crate::cli) struct GroupDeleteArguments {
    /// Names of the groups
    #[arg(required = true, value_name = "NAME")]
    pub(in crate::cli) names: Vec<String>,
    /// Delete only the offsets of a topic, or of some of its partitions; can be repeated
    #[arg(long, short, value_name = "TOPIC[:N,..]", value_parser = topic_partitions)]
    pub(in crate::cli) topic: Vec<TopicPartitions>,
    /// Succeed when a group does not exist
    #[arg(long)]
    pub(in crate::cli) if_exists: bool,
    #[command(flatten)]
    pub(in crate::cli) cluster: ClusterArguments,
}

/// How a command shows its answer again and again.
#[derive(Debug, Clone, Copy, Args)]
pub(in crate::cli) struct WatchArguments {
    /// Show it again every SECONDS (2 if not said), until Ctrl-C; with --json a line each time
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2",
        value_parser = watch_interval
    )]
    pub(in crate::cli) watch: Option<Duration>,
}

/// States of a group, by Kafka's names. Those of the last line only exist for groups whose members are assigned by the
/// broker, or for streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum GroupState {
    Stable,
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Dead,
    Assigning,
    Reconciling,
    NotReady,
}

impl GroupState {
    /// As it is written on the wire.
    pub(in crate::cli) fn name(self) -> &'static str {
        match self {
            Self::Stable => "Stable",
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Dead => "Dead",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::NotReady => "NotReady",
        }
    }
}

/// A topic, or some of its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct TopicPartitions {
    pub(in crate::cli) topic: String,
    /// `None` is all of them.
    pub(in crate::cli) partitions: Option<Vec<i32>>,
}

/// Where a group is moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum SeekTarget {
    Earliest,
    Latest,
    Offset(i64),
    /// The first record at or after it, in Unix milliseconds.
    Time(i64),
    /// From what is committed.
    Relative(i64),
}

/// Partitions that one `--topic` may name by a range: a slip such as 0-1000000000 must not fill the memory.
const RANGE_PARTITIONS_MAX: i32 = 100_000;

/// From here on a bare number is more likely a forgotten `@` than an offset: the times of 2001 and later in
/// milliseconds. Moving a group to "offset" 1767225600000 would skip everything.
const LOOKS_LIKE_TIME: i64 = 1_000_000_000_000;

fn topic_partitions(text: &str) -> Result<TopicPartitions, String> {
    // Names of topics have no colon.
    let Some((topic, list)) = text.split_once(':') else {
        return Ok(TopicPartitions { topic: named(text)?, partitions: None });
    };
    let wrong = || format!("'{list}' is no list of partitions; write it as 0,3 or 0-7");
    let mut partitions = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number =
            |text: &str| text.trim().parse().ok().filter(|number: &i32| *number >= 0).ok_or_else(wrong);
        let (first, last) = (number(first)?, number(last)?);
        if last < first || last - first >= RANGE_PARTITIONS_MAX {
            return Err(wrong());
        }
        partitions.extend(first..=last);
    }
    partitions.sort_unstable();
    partitions.dedup();
    Ok(TopicPartitions { topic: named(topic)?, partitions: Some(partitions) })
}

fn named(topic: &str) -> Result<String, String> {
    if topic.is_empty() { Err("the name of the topic is missing".to_owned()) } else { Ok(topic.to_owned()) }
}

fn seek_target(text: &str) -> Result<SeekTarget, String> {
    match text {
        "earliest" | "beginning" => return Ok(SeekTarget::Earliest),
        "latest" | "end" => return Ok(SeekTarget::Latest),
        _ => {}
    }
    if let Some(offset) = text.strip_prefix("offset:") {
        let offset = offset.parse().ok().filter(|offset: &i64| *offset >= 0);
        return offset.map(SeekTarget::Offset).ok_or_else(|| format!("'{text}' is no offset"));
    }
    if let Some(time) = text.strip_prefix("time:") {
        let parsed = time::parse_time(time).unwrap_or_else(|| time::unix_milliseconds(time));
        return parsed.map(SeekTarget::Time);
    }
    if let Some(time) = time::parse_time(text) {
        return time.map(SeekTarget::Time);
    }
    let number: i64 = text.parse().map_err(|_| {
        format!(
            "'{text}' is neither earliest, latest, an offset, +N or -N, a time such as 2026-01-01T00:00:00Z, nor a \
             duration such as -2h"
        )
    })?;
    if text.starts_with(['+', '-']) {
        return Ok(SeekTarget::Relative(number));
    }
    if number >= LOOKS_LIKE_TIME {
        return Err(format!(
            "{number} looks like a time: write @{number} for it ({}), or offset:{number} for the offset",
            time::shown(number)
        ));
    }
    Ok(SeekTarget::Offset(number))
}

fn watch_interval(text: &str) -> Result<Duration, String> {
    let milliseconds = match text.parse::<u64>() {
        Ok(seconds) => seconds.checked_mul(1000).ok_or_else(|| format!("{text} seconds are too many"))?,
        Err(_) => parse_milliseconds(text)?,
    };
    // Faster than anybody reads, and each time costs the brokers a few requests.
    if milliseconds < 100 {
        Err("write at least 100ms".to_owned())
    } else {
        Ok(Duration::from_millis(milliseconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_told_apart() {
        let pairs = [
            ("earliest", SeekTarget::Earliest),
            ("end", SeekTarget::Latest),
            ("0", SeekTarget::Offset(0)),
            ("offset:1767225600000", SeekTarget::Offset(1_767_225_600_000)),
            ("+5", SeekTarget::Relative(5)),
            ("-5", SeekTarget::Relative(-5)),
            ("@5", SeekTarget::Time(5)),
            ("time:5", SeekTarget::Time(5)),
            ("time:2026-01-01T00:00:00Z", SeekTarget::Time(1_767_225_600_000)),
            ("2026-01-01T00:00:00+00:00", SeekTarget::Time(1_767_225_600_000)),
        ];
        for (text, target) in pairs {
            assert_eq!(seek_target(text), Ok(target), "{text}");
        }
        assert!(matches!(seek_target("-90m"), Ok(SeekTarget::Time(_))));
        for wrong in
            ["", "yesterday", "offset:-1", "offset:x", "time:x", "--5", "+", "-", "5h", "1767225600000"]
        {
            assert!(seek_target(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn partitions_are_listed_and_ranged() {
        let parsed = |text| topic_partitions(text).map(|parsed| parsed.partitions);
        assert_eq!(parsed("orders"), Ok(None));
        assert_eq!(parsed("orders:3,0-2,1"), Ok(Some(vec![0, 1, 2, 3])));
        for wrong in ["", ":1", "orders:", "orders:x", "orders:-1", "orders:3-1", "orders:0-2000000000"] {
            assert!(topic_partitions(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_time_between_two_looks_has_a_floor() {
        assert_eq!(watch_interval("5"), Ok(Duration::from_secs(5)));
        assert_eq!(watch_interval("500ms"), Ok(Duration::from_millis(500)));
        assert!(watch_interval("0").is_err());
        assert!(watch_interval("often").is_err());
    }
}
