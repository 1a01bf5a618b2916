//! The table of the node's own options: key, kind, default, what it costs, what it is for.
//!
//! An option `a.b` is the key `b` of the table `[a]` in the file, `RINGMAIN_A_B` in the environment, and `--set a.b=..`
//! on the command line; the frequent ones have a flag of their own. The reference in `docs/operating.md` is tested
//! against this table.

use std::path::PathBuf;

use super::quantity::{HostPort, parse_bytes, parse_milliseconds};

/// One option of the node.
#[derive(Debug)]
pub struct OptionDefinition {
    /// Its key in the file.
    pub key: &'static str,
    /// What may be written.
    pub kind: OptionKind,
    /// The default, written as in the file.
    pub default: &'static str,
    /// Kafka's name for the same, under which DescribeConfigs shows it.
    pub kafka_name: Option<&'static str>,
    /// What it is for.
    pub documentation: &'static str,
    /// What a larger or another value costs.
    pub cost: &'static str,
}

/// What may be written for an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionKind {
    /// A path; relative ones are relative to the working directory.
    Path,
    /// Any text; empty is "not set".
    Text,
    /// `true` or `false`.
    Boolean,
    /// One of a few words.
    OneOf(&'static [&'static str]),
    /// `HOST:PORT`.
    Address,
    /// `HOST:PORT`, or a word that stands for none.
    AddressOr(&'static str),
    /// A size, with its bounds.
    Bytes(u64, u64),
    /// A time, with its bounds in milliseconds.
    Milliseconds(u64, u64),
    /// A number, with its bounds.
    Count(u64, u64),
    /// A number with its bounds, or `auto`.
    CountOrAuto(u64, u64),
}

/// The value of an option, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionValue {
    /// Of [`OptionKind::Path`].
    Path(PathBuf),
    /// Of [`OptionKind::Text`] and [`OptionKind::OneOf`].
    Text(String),
    /// Of [`OptionKind::Boolean`].
    Boolean(bool),
    /// Of [`OptionKind::Address`] and [`OptionKind::AddressOr`].
    Address(HostPort),
    /// Of sizes, times and numbers.
    Number(u64),
    /// `auto`, or the word that stands for no address.
    Unset,
}

/// What the node takes as an identity: Kafka's clients take node ids as 32-bit integers from 0.
const NODE_ID_MAX: u64 = i32::MAX as u64;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const DAY_MS: u64 = 86_400_000;
/// A wire length is a 32-bit signed integer.
const FRAME_BYTES_MAX: u64 = i32::MAX as u64;

use OptionKind::{Address, AddressOr, Boolean, Bytes, Count, CountOrAuto, Milliseconds, OneOf, Path, Text};

/// Every option, in the order of the reference.
pub static OPTIONS: [OptionDefinition; 43] = [
    OptionDefinition {
        key: "data_dir",
        kind: Path,
        default: "./ringmain-data",
        kafka_name: Some("log.dirs"),
        documentation: "Where everything of this node is kept. One node, one directory, one file system (ext4 or XFS).",
        cost: "Without direct I/O a start warns: what is acknowledged there may be lost with the power.",
    },
    OptionDefinition {
        key: "node_id",
        kind: Count(0, NODE_ID_MAX),
        default: "1",
        kafka_name: Some("node.id"),
        documentation: "The node's number in its cluster; clients call it the broker id. Fixed by the data directory \
                        once that is made.",
        cost: "None.",
    },
    OptionDefinition {
        key: "rack",
        kind: Text,
        default: "",
        kafka_name: Some("broker.rack"),
        documentation: "The node's rack or zone, told to clients.",
        cost: "None.",
    },
    OptionDefinition {
        key: "shards",
        kind: CountOrAuto(1, 256),
        default: "auto",
        kafka_name: None,
        documentation: "Cores that serve clients, one pinned thread each; 'auto' takes every core the process may use.",
        cost: "Each shard takes one core and its own share of the memory budget.",
    },
    OptionDefinition {
        key: "log_level",
        kind: OneOf(&["error", "warn", "info", "debug", "trace"]),
        default: "info",
        kafka_name: None,
        documentation: "Least severity of the diagnostics on standard error.",
        cost: "'debug' writes a line for each connection that ends badly.",
    },
    OptionDefinition {
        key: "network.listen",
        kind: Address,
        default: "127.0.0.1:9092",
        kafka_name: None,
        documentation: "Where Kafka clients connect; every shard accepts there. Port 0 takes a free one.",
        cost: "An address other than loopback is open to everyone who reaches it: there is no authentication yet.",
    },
    OptionDefinition {
        key: "network.advertised",
        kind: AddressOr("auto"),
        default: "auto",
        kafka_name: None,
        documentation: "The address that clients are told to connect to; 'auto' is the listen address. Must be set \
                        when that is a wildcard such as 0.0.0.0.",
        cost: "A wrong one lets clients bootstrap and then fail.",
    },
    OptionDefinition {
        key: "network.admin",
        kind: AddressOr("off"),
        default: "127.0.0.1:9644",
        kafka_name: None,
        documentation: "Where operators connect by HTTP: health, metrics. 'off' switches it off.",
        cost: "Open to everyone who reaches it.",
    },
    OptionDefinition {
        key: "limits.request_bytes_max",
        kind: Bytes(64 * KIB, FRAME_BYTES_MAX),
        default: "100 MiB",
        kafka_name: Some("socket.request.max.bytes"),
        documentation: "The largest request; a longer one closes its connection before anything of it is kept.",
        cost: "One connection may hold so much memory while it sends.",
    },
    OptionDefinition {
        key: "limits.connections_max",
        kind: CountOrAuto(1, 1_000_000),
        default: "auto",
        kafka_name: Some("max.connections"),
        documentation: "Connections of the whole node; the next one is closed at once. 'auto' is what the limit of \
                        open files (RLIMIT_NOFILE) leaves after files and reserve.",
        cost: "About 4 KiB of memory for each idle connection.",
    },
    OptionDefinition {
        key: "limits.connection_idle_ms",
        kind: Milliseconds(1_000, 365 * DAY_MS),
        default: "10m",
        kafka_name: Some("connections.max.idle.ms"),
        documentation: "A connection on which nothing happens for so long is closed. Clients reconnect by themselves.",
        cost: "Longer keeps the connections of clients that are gone.",
    },
    OptionDefinition {
        key: "limits.shard_in_flight_bytes_max",
        kind: Bytes(4 * MIB, 64 * GIB),
        default: "256 MiB",
        kafka_name: None,
        documentation: "Bytes of requests that one shard holds; when used up it stops reading from sockets.",
        cost: "So much memory for each shard, when clients push.",
    },
    OptionDefinition {
        key: "limits.fetch_bytes_max",
        kind: Bytes(KIB, FRAME_BYTES_MAX),
        default: "55 MiB",
        kafka_name: Some("fetch.max.bytes"),
        documentation: "The largest answer to a fetch, whatever the consumer asks for; one batch is always sent.",
        cost: "Longer answers delay others on the same connection.",
    },
    OptionDefinition {
        key: "limits.fetch_wait_ms_max",
        kind: Milliseconds(1, DAY_MS),
        default: "5m",
        kafka_name: None,
        documentation: "The longest time a fetch may wait for data, whatever the consumer asks for.",
        cost: "Longer keeps the waits of consumers that are gone.",
    },
    OptionDefinition {
        key: "limits.fetch_sessions_max",
        kind: Count(0, 1_000_000),
        default: "1000",
        kafka_name: Some("max.incremental.fetch.session.cache.slots"),
        documentation: "Incremental fetch sessions of the node; a consumer without one sends its partitions each time.",
        cost: "About 100 bytes for each partition of each session.",
    },
    OptionDefinition {
        key: "memory.tail_bytes_per_shard",
        kind: Bytes(8 * MIB, 1024 * GIB),
        default: "256 MiB",
        kafka_name: None,
        documentation: "Newest records that each shard keeps in memory, from which consumers that keep up are served.",
        cost: "So much memory for each shard; smaller sends more readers to the disk.",
    },
    OptionDefinition {
        key: "memory.unwritten_bytes_per_shard",
        kind: Bytes(4 * MIB, 64 * GIB),
        default: "64 MiB",
        kafka_name: None,
        documentation: "Records that each shard has accepted and not yet written; when used up producers wait.",
        cost: "So much memory for each shard, when the disk is slower than the producers.",
    },
    OptionDefinition {
        key: "memory.groups_bytes_per_shard",
        kind: Bytes(MIB, 64 * GIB),
        default: "256 MiB",
        kafka_name: None,
        documentation: "Consumer groups, their members and committed offsets that each shard keeps in memory; when used \
                        up new groups and new members are refused with COORDINATOR_NOT_AVAILABLE, others go on.",
        cost: "So much memory for each shard, when there are that many groups.",
    },
    OptionDefinition {
        key: "storage.journal_file_bytes",
        kind: Bytes(MIB, GIB),
        default: "64 MiB",
        kafka_name: None,
        documentation: "Size of each file of a shard's journal, which takes the small writes of all its partitions.",
        cost: "Disk space once for each file; larger settles less often and replays longer after a crash.",
    },
    OptionDefinition {
        key: "storage.journal_files",
        kind: Count(2, 64),
        default: "4",
        kafka_name: None,
        documentation: "Files of each shard's journal, used in turn and made when first needed.",
        cost: "As for their size.",
    },
    OptionDefinition {
        key: "storage.open_files_per_shard",
        kind: CountOrAuto(16, 1_000_000),
        default: "auto",
        kafka_name: None,
        documentation: "Log files that each shard keeps open; the least used are closed. 'auto' is a share of \
                        RLIMIT_NOFILE.",
        cost: "Descriptors, which connections need too.",
    },
    OptionDefinition {
        key: "storage.retention_check_ms",
        kind: Milliseconds(1_000, DAY_MS),
        default: "5m",
        kafka_name: Some("log.retention.check.interval.ms"),
        documentation: "How often each partition's old segments are looked for.",
        cost: "Shorter deletes sooner and looks more often.",
    },
    OptionDefinition {
        key: "storage.compaction_check_ms",
        kind: Milliseconds(100, DAY_MS),
        default: "15s",
        kafka_name: None,
        documentation: "How often each shard looks for a compacted log that is worth a pass; Kafka's \
                        log.cleaner.backoff.ms.",
        cost: "Shorter compacts sooner and looks more often.",
    },
    OptionDefinition {
        key: "storage.compaction_bytes_per_second",
        kind: Bytes(64 * KIB, 1024 * GIB),
        default: "64 MiB",
        kafka_name: None,
        documentation: "Bytes that compaction reads and writes in a second, for each shard; Kafka's \
                        log.cleaner.io.max.bytes.per.second.",
        cost: "More takes disk and processor from requests while a pass runs.",
    },
    OptionDefinition {
        key: "storage.compaction_key_map_bytes",
        kind: Bytes(MIB, 64 * GIB),
        default: "64 MiB",
        kafka_name: None,
        documentation: "Memory for the keys of the one pass that a shard runs; Kafka's \
                        log.cleaner.dedupe.buffer.size. A pass over more keys than fit is made in parts.",
        cost: "About 30 bytes for each key, while a pass runs.",
    },
    OptionDefinition {
        key: "storage.producer_id_expiration_ms",
        kind: Milliseconds(1, 365 * DAY_MS),
        default: "1d",
        kafka_name: Some("producer.id.expiration.ms"),
        documentation: "How long the state of an idempotent producer that writes no more is kept for each partition.",
        cost: "About 300 bytes for each producer and partition; shorter may let an old retry in twice.",
    },
    OptionDefinition {
        key: "storage.producers_per_partition_max",
        kind: Count(1, 10_000_000),
        default: "100000",
        kafka_name: None,
        documentation: "Idempotent producers that one partition remembers; the one that wrote longest ago is forgotten.",
        cost: "About 300 bytes each.",
    },
    OptionDefinition {
        key: "topics.auto_create",
        kind: Boolean,
        default: "true",
        kafka_name: Some("auto.create.topics.enable"),
        documentation: "Whether a topic is made when a client asks for one that does not exist and allows it.",
        cost: "A mistyped name becomes a topic.",
    },
    OptionDefinition {
        key: "topics.default_partitions",
        kind: Count(1, 10_000),
        default: "1",
        kafka_name: Some("num.partitions"),
        documentation: "Partitions of a topic that is made without a number.",
        cost: "Partitions of one topic spread over the shards; one is served by one core.",
    },
    OptionDefinition {
        key: "topics.default_replication_factor",
        kind: Count(1, 1_000),
        default: "1",
        kafka_name: Some("default.replication.factor"),
        documentation: "Replicas of a topic that is made without a number.",
        cost: "Each replica is a copy on another node.",
    },
    OptionDefinition {
        key: "topics.partitions_max",
        kind: Count(1, 1_000_000),
        default: "100000",
        kafka_name: None,
        documentation: "Partitions of the whole node; making more is refused.",
        cost: "Each takes about 2 KiB of memory and three files.",
    },
    OptionDefinition {
        key: "topics.partitions_per_request_max",
        kind: Count(1, 1_000_000),
        default: "10000",
        kafka_name: None,
        documentation: "Partitions that one request may make, as Kafka limits it.",
        cost: "One request holds up the others that change metadata.",
    },
    OptionDefinition {
        key: "groups.initial_rebalance_delay_ms",
        kind: Milliseconds(0, DAY_MS),
        default: "3s",
        kafka_name: Some("group.initial.rebalance.delay.ms"),
        documentation: "How long the first rebalance of an empty consumer group waits for more members.",
        cost: "A group begins to consume so much later; shorter makes several rebalances of one start.",
    },
    OptionDefinition {
        key: "groups.session_timeout_ms_min",
        kind: Milliseconds(1, DAY_MS),
        default: "6s",
        kafka_name: Some("group.min.session.timeout.ms"),
        documentation: "The shortest session timeout that a member of a group may ask for.",
        cost: "Shorter finds dead members sooner and takes slow ones for dead.",
    },
    OptionDefinition {
        key: "groups.session_timeout_ms_max",
        kind: Milliseconds(1, 24 * DAY_MS),
        default: "30m",
        kafka_name: Some("group.max.session.timeout.ms"),
        documentation: "The longest session timeout that a member of a group may ask for.",
        cost: "Partitions of a member that died wait so long for another one.",
    },
    OptionDefinition {
        key: "groups.members_max",
        kind: Count(1, i32::MAX as u64),
        default: "2147483647",
        kafka_name: Some("group.max.size"),
        documentation: "Members of one group; the next one is refused.",
        cost: "Each rebalance sends every member's metadata to the one that assigns.",
    },
    OptionDefinition {
        key: "groups.member_metadata_bytes_max",
        kind: Bytes(KIB, 64 * MIB),
        default: "6 MiB",
        kafka_name: None,
        documentation: "Metadata and assignments of all members of one group, which become one record of the offsets \
                        topic; what is longer is refused.",
        cost: "One write of one group may be so long.",
    },
    OptionDefinition {
        key: "groups.offsets_topic_partitions",
        kind: Count(1, 10_000),
        default: "50",
        kafka_name: Some("offsets.topic.num.partitions"),
        documentation: "Partitions of __consumer_offsets when it is made; groups are spread over them. Later changes have \
                        no effect.",
        cost: "As for other partitions; few of them leave shards without groups.",
    },
    OptionDefinition {
        key: "groups.offsets_topic_replication_factor",
        kind: Count(1, 1_000),
        default: "3",
        kafka_name: Some("offsets.topic.replication.factor"),
        documentation: "Replicas of __consumer_offsets when it is made; as many as there are nodes, if these are fewer.",
        cost: "Each replica is a copy on another node.",
    },
    OptionDefinition {
        key: "groups.offset_metadata_bytes_max",
        kind: Count(0, 1_048_576),
        default: "4096",
        kafka_name: Some("offset.metadata.max.bytes"),
        documentation: "The longest text that a client may leave with a committed offset.",
        cost: "So much memory for each committed offset, where clients use it.",
    },
    OptionDefinition {
        key: "groups.offsets_retention_ms",
        kind: Milliseconds(60_000, 3_650 * DAY_MS),
        default: "7d",
        kafka_name: Some("offsets.retention.minutes"),
        documentation: "How long committed offsets are kept after their group lost its last member.",
        cost: "Longer keeps the offsets of groups that are gone.",
    },
    OptionDefinition {
        key: "groups.offsets_retention_check_ms",
        kind: Milliseconds(1, DAY_MS),
        default: "10m",
        kafka_name: Some("offsets.retention.check.interval.ms"),
        documentation: "How often expired offsets are looked for.",
        cost: "Each look goes over all groups of a shard.",
    },
    OptionDefinition {
        key: "groups.write_timeout_ms",
        kind: Milliseconds(1, DAY_MS),
        default: "5s",
        kafka_name: Some("offsets.commit.timeout.ms"),
        documentation: "How long a commit or a change of a group may wait for the disk before its client is told to try \
                        again.",
        cost: "Clients wait so long when the disk is full.",
    },
];

impl OptionDefinition {
    /// The environment variable that sets it.
    pub fn environment_variable(&self) -> String {
        format!("RINGMAIN_{}", self.key.replace('.', "_").to_ascii_uppercase())
    }

    /// Parses and checks a value; the error is a sentence without the option's name.
    pub fn parse(&self, text: &str) -> Result<OptionValue, String> {
        let text = text.trim();
        match self.kind {
            Path if text.is_empty() => Err("the path is empty".to_owned()),
            Path => Ok(OptionValue::Path(PathBuf::from(text))),
            Text => Ok(OptionValue::Text(text.to_owned())),
            Boolean => match text {
                "true" => Ok(OptionValue::Boolean(true)),
                "false" => Ok(OptionValue::Boolean(false)),
                _ => Err(format!("'{text}' is neither true nor false")),
            },
            OneOf(words) if words.contains(&text) => Ok(OptionValue::Text(text.to_owned())),
            OneOf(words) => Err(format!("'{text}' is none of {}", words.join(", "))),
            AddressOr(word) if text == word => Ok(OptionValue::Unset),
            Address | AddressOr(_) => HostPort::parse(text).map(OptionValue::Address),
            CountOrAuto(..) if text == "auto" => Ok(OptionValue::Unset),
            Bytes(least, most) => within(parse_bytes(text)?, least, most),
            Milliseconds(least, most) => within(parse_milliseconds(text)?, least, most),
            Count(least, most) | CountOrAuto(least, most) => {
                let number = text.parse().map_err(|_| format!("'{text}' is not a number"))?;
                within(number, least, most)
            }
        }
    }

    /// What may be written, for the reference.
    pub fn unit(&self) -> String {
        match self.kind {
            Path => "path".to_owned(),
            Text => "text".to_owned(),
            Boolean => "true or false".to_owned(),
            OneOf(words) => words.join(", "),
            Address => "HOST:PORT".to_owned(),
            AddressOr(word) => format!("HOST:PORT or {word}"),
            Bytes(..) => "bytes, or with KiB, MiB, GiB".to_owned(),
            Milliseconds(..) => "milliseconds, or with s, m, h, d".to_owned(),
            Count(least, most) => format!("{least} to {most}"),
            CountOrAuto(least, most) => format!("{least} to {most}, or auto"),
        }
    }
}

fn within(number: u64, least: u64, most: u64) -> Result<OptionValue, String> {
    if number < least {
        return Err(format!("{number} is less than the smallest allowed, {least}"));
    }
    if number > most {
        return Err(format!("{number} is more than the largest allowed, {most}"));
    }
    Ok(OptionValue::Number(number))
}

/// The definition of an option.
pub fn option_definition(key: &str) -> Option<&'static OptionDefinition> {
    OPTIONS.iter().find(|option| option.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_parses_and_every_option_is_explained() {
        for option in &OPTIONS {
            option.parse(option.default).expect(option.key);
            assert!(option.documentation.ends_with('.'), "{}", option.key);
            assert!(option.cost.ends_with('.'), "{}", option.key);
        }
    }

    #[test]
    fn keys_and_variables_are_unique() {
        let keys: std::collections::BTreeSet<_> = OPTIONS.iter().map(|o| o.key).collect();
        let variables: std::collections::BTreeSet<_> =
            OPTIONS.iter().map(OptionDefinition::environment_variable).collect();
        assert_eq!((keys.len(), variables.len()), (OPTIONS.len(), OPTIONS.len()));
    }

    #[test]
    fn bounds_hold() {
        let shards = option_definition("shards").expect("known");
        assert_eq!(shards.parse("auto"), Ok(OptionValue::Unset));
        assert_eq!(shards.parse("4"), Ok(OptionValue::Number(4)));
        assert!(shards.parse("0").is_err());
        assert!(shards.parse("257").is_err());
        assert!(shards.parse("many").is_err());
    }
}
