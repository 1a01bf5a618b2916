//! The table of every topic configuration: Kafka's, and ours at the end.
//!
//! Names, types, defaults, rules and synonyms are those of Kafka 4.2, with the three names that only 3.9 knows, because
//! tools still set them. A default or a rule that changes here changes what every topic without that setting does.
//! [`super::topic::TopicConfig`] is the parsed form.

use super::definition::ConfigType::{Boolean, Double, Int, List, Long, String};
use super::definition::Effect::{Accepted, Acts};
use super::definition::Rule::{
    Any, AtLeast, Between, BetweenOr, EachOf, MessageFormatVersion, OneOf, ThrottledReplicas,
};
use super::definition::{ConfigDefinition, ConfigType, Effect, Rule, Update};

/// "Never", "without bound": Java's largest long.
const FOREVER: &str = "9223372036854775807";

const NO_TIERED_STORAGE: Effect = Accepted("there is no tiered storage");
const NO_REPLICA_MOVES: Effect = Accepted("replicas do not move between nodes yet");

/// Every topic configuration, in the order of their names, ours last.
pub static TOPIC_CONFIGS: [ConfigDefinition; 38] = [
    row(
        "cleanup.policy",
        List,
        "delete",
        EachOf(&["compact", "delete"]),
        &["log.cleanup.policy"],
        Acts,
        "What happens to old segments: delete them when they are past the retention limits, compact them to the last \
         value of each key, or both.",
    ),
    row(
        "compression.gzip.level",
        Int,
        "-1",
        BetweenOr(1, 9, -1),
        &["compression.gzip.level"],
        Accepted("a batch is compressed with the library's own effort"),
        "Effort of gzip when compression.type is gzip; -1 is the library's own choice.",
    ),
    row(
        "compression.lz4.level",
        Int,
        "9",
        Between(1, 17),
        &["compression.lz4.level"],
        Accepted("the LZ4 encoder here has one level"),
        "Effort of LZ4 when compression.type is lz4.",
    ),
    row(
        "compression.type",
        String,
        "producer",
        OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        &["compression.type"],
        Acts,
        "How batches are stored. 'producer' keeps them as they came, which costs nothing; any other value makes the \
         node decompress and compress each batch that came otherwise.",
    ),
    row(
        "compression.zstd.level",
        Int,
        "3",
        Between(-131_072, 22),
        &["compression.zstd.level"],
        Accepted("a batch is compressed with the library's own effort"),
        "Effort of zstd when compression.type is zstd.",
    ),
    row(
        "delete.retention.ms",
        Long,
        "86400000",
        AtLeast(0),
        &["log.cleaner.delete.retention.ms"],
        Acts,
        "How long a compacted topic keeps the mark of a deleted key, so that a reader from the beginning sees it.",
    ),
    row(
        "file.delete.delay.ms",
        Long,
        "60000",
        AtLeast(0),
        &["log.segment.delete.delay.ms"],
        Accepted("a file goes when its last reader is done with it"),
        "How long a file is kept after it was marked for deletion.",
    ),
    row(
        "flush.messages",
        Long,
        FOREVER,
        AtLeast(1),
        &["log.flush.interval.messages"],
        Accepted("with write.caching the time decides, see flush.ms"),
        "How many records may be written before a flush. Without write.caching every record of acks=all is flushed before \
         it is acknowledged.",
    ),
    row(
        "flush.ms",
        Long,
        FOREVER,
        AtLeast(0),
        &["log.flush.interval.ms"],
        Acts,
        "With write.caching=true: flush at the latest so long after a record was written; never later than one second. \
         Without it every record of acks=all is flushed before it is acknowledged, whatever this says.",
    ),
    row(
        "follower.replication.throttled.replicas",
        List,
        "",
        ThrottledReplicas,
        &[],
        NO_REPLICA_MOVES,
        "Replicas, as partition:node pairs, whose catching up is slowed down on the follower; '*' is all.",
    ),
    row(
        "index.interval.bytes",
        Int,
        "4096",
        AtLeast(0),
        &["log.index.interval.bytes"],
        Acts,
        "At most one entry of the offset index for so many bytes of a segment: smaller finds faster, larger takes \
         less memory.",
    ),
    row(
        "leader.replication.throttled.replicas",
        List,
        "",
        ThrottledReplicas,
        &[],
        NO_REPLICA_MOVES,
        "Replicas, as partition:node pairs, whose catching up is slowed down on the leader; '*' is all.",
    ),
    row(
        "local.retention.bytes",
        Long,
        "-2",
        AtLeast(-2),
        &["log.local.retention.bytes"],
        NO_TIERED_STORAGE,
        "With tiered storage: bytes of a partition kept on the local disk; -2 is retention.bytes.",
    ),
    row(
        "local.retention.ms",
        Long,
        "-2",
        AtLeast(-2),
        &["log.local.retention.ms"],
        NO_TIERED_STORAGE,
        "With tiered storage: time that segments stay on the local disk; -2 is retention.ms.",
    ),
    row(
        "max.compaction.lag.ms",
        Long,
        FOREVER,
        AtLeast(1),
        &["log.cleaner.max.compaction.lag.ms"],
        Acts,
        "The longest time that a record of a compacted topic may wait for compaction.",
    ),
    row(
        "max.message.bytes",
        Int,
        "1048588",
        AtLeast(0),
        &["message.max.bytes"],
        Acts,
        "The largest record batch that is accepted, as it arrives (compressed), its header included.",
    ),
    row(
        "message.downconversion.enable",
        Boolean,
        "true",
        Any,
        &["log.message.downconversion.enable"],
        Accepted("old message formats are not served; a name of Kafka 3.9"),
        "Whether batches are converted for consumers that only know older formats.",
    ),
    row(
        "message.format.version",
        String,
        "3.0-IV1",
        MessageFormatVersion,
        &["log.message.format.version"],
        Accepted("batches are always of format v2; a name of Kafka 3.9"),
        "Which message format the log was written in, before there was only one.",
    ),
    row(
        "message.timestamp.after.max.ms",
        Long,
        "3600000",
        AtLeast(0),
        &["log.message.timestamp.after.max.ms"],
        Acts,
        "How far a record's create time may lie in the future of the node's clock; beyond it the batch is refused.",
    ),
    row(
        "message.timestamp.before.max.ms",
        Long,
        FOREVER,
        AtLeast(0),
        &["log.message.timestamp.before.max.ms"],
        Acts,
        "How far a record's create time may lie in the past of the node's clock; beyond it the batch is refused.",
    ),
    row(
        "message.timestamp.difference.max.ms",
        Long,
        FOREVER,
        AtLeast(0),
        &["log.message.timestamp.difference.max.ms"],
        Acts,
        "How far a record's create time may differ from the node's clock either way; holds where the two names that \
         replaced it are not set. A name of Kafka 3.9.",
    ),
    row(
        "message.timestamp.type",
        String,
        "CreateTime",
        OneOf(&["CreateTime", "LogAppendTime"]),
        &["log.message.timestamp.type"],
        Acts,
        "Which time a record carries: the producer's, or that of the node when it appended the batch.",
    ),
    row(
        "min.cleanable.dirty.ratio",
        Double,
        "0.5",
        Between(0, 1),
        &["log.cleaner.min.cleanable.ratio"],
        Acts,
        "How much of a compacted log must be uncompacted before compaction runs, as a share of its bytes.",
    ),
    row(
        "min.compaction.lag.ms",
        Long,
        "0",
        AtLeast(0),
        &["log.cleaner.min.compaction.lag.ms"],
        Acts,
        "The shortest time that a record of a compacted topic stays as it is.",
    ),
    row(
        "min.insync.replicas",
        Int,
        "1",
        AtLeast(1),
        &["min.insync.replicas"],
        Acts,
        "With acks=all: the fewest replicas that must have a record; with fewer in sync the write is refused.",
    ),
    row(
        "preallocate",
        Boolean,
        "false",
        Any,
        &["log.preallocate"],
        Accepted("space for the open segment is managed by the log itself"),
        "Whether the file of a new segment is made at its full size at once.",
    ),
    row(
        "remote.log.copy.disable",
        Boolean,
        "false",
        Any,
        &[],
        NO_TIERED_STORAGE,
        "With tiered storage: whether uploading stops and what was uploaded stays readable.",
    ),
    row(
        "remote.log.delete.on.disable",
        Boolean,
        "false",
        Any,
        &[],
        NO_TIERED_STORAGE,
        "With tiered storage: whether what was uploaded is deleted when tiering is switched off.",
    ),
    row(
        "remote.storage.enable",
        Boolean,
        "false",
        Any,
        &[],
        NO_TIERED_STORAGE,
        "Whether segments are also kept in remote storage. Only 'false' is accepted.",
    ),
    row(
        "retention.bytes",
        Long,
        "-1",
        Any,
        &["log.retention.bytes"],
        Acts,
        "Bytes of each partition beyond which its oldest segments are deleted; -1 is no limit.",
    ),
    row(
        "retention.ms",
        Long,
        "604800000",
        AtLeast(-1),
        &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
        Acts,
        "Age beyond which a segment is deleted, counted from its newest record; -1 is no limit.",
    ),
    row(
        "segment.bytes",
        Int,
        "1073741824",
        // Kafka 4's limit: a smaller segment costs more in files and indexes than it can be worth.
        AtLeast(1_048_576),
        &["log.segment.bytes"],
        Acts,
        "Size at which a segment is sealed and the next one begun. Retention deletes whole segments.",
    ),
    row(
        "segment.index.bytes",
        Int,
        "10485760",
        AtLeast(4),
        &["log.index.size.max.bytes"],
        Accepted("an index has the size that its segment needs"),
        "Size of the file that maps offsets to positions in a segment.",
    ),
    row(
        "segment.jitter.ms",
        Long,
        "0",
        AtLeast(0),
        &["log.roll.jitter.ms"],
        Accepted("sealing a segment is not costly enough here to be spread"),
        "Largest random time taken off segment.ms, so that many partitions do not seal at once.",
    ),
    row(
        "segment.ms",
        Long,
        "604800000",
        AtLeast(1),
        &["log.roll.ms"],
        Acts,
        "Age at which a segment is sealed although it is not full, so that retention can delete it.",
    ),
    row(
        "unclean.leader.election.enable",
        Boolean,
        "false",
        Any,
        &["unclean.leader.election.enable"],
        Accepted("a partition has one replica yet"),
        "Whether a replica that is not in sync may lead when no other can, at the price of lost records.",
    ),
    row(
        "validation.level",
        String,
        "header",
        OneOf(&["header", "full"]),
        &[],
        Acts,
        "How far a produced batch is checked. 'header': checksum, counts, lengths and times of the batch. 'full': every \
         record too, which means decompressing it. Ours, not Kafka's; Kafka always does the latter.",
    ),
    row(
        "write.caching",
        Boolean,
        "false",
        Any,
        &[],
        Acts,
        "Acknowledge acks=all once the record is written by direct I/O on all in-sync replicas, and flush within \
         flush.ms: it survives a killed process, not the loss of power of all replicas. Ours, not Kafka's.",
    ),
];

const fn row(
    name: &'static str,
    config_type: ConfigType,
    default: &'static str,
    rule: Rule,
    synonyms: &'static [&'static str],
    effect: Effect,
    documentation: &'static str,
) -> ConfigDefinition {
    ConfigDefinition {
        name,
        config_type,
        default: Some(default),
        rule,
        synonyms,
        update: Update::Dynamic,
        effect,
        documentation,
    }
}

/// The definition of a topic configuration.
pub fn topic_definition(name: &str) -> Option<&'static ConfigDefinition> {
    TOPIC_CONFIGS.iter().find(|definition| definition.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_parses_to_itself() {
        for definition in &TOPIC_CONFIGS {
            let default = definition.default.expect("topic configurations have a default");
            let parsed = definition.parse(default).expect(definition.name);
            assert_eq!(parsed.to_string(), default, "{}", definition.name);
        }
    }

    #[test]
    fn every_row_says_what_it_is_for() {
        for definition in &TOPIC_CONFIGS {
            assert!(definition.documentation.len() > 20, "{}", definition.name);
            assert!(definition.documentation.ends_with('.'), "{}", definition.name);
        }
    }

    #[test]
    fn names_are_unique() {
        let names: alloc::collections::BTreeSet<_> = TOPIC_CONFIGS.iter().map(|d| d.name).collect();
        assert_eq!(names.len(), TOPIC_CONFIGS.len());
    }

    /// What Kafka 4.2.0 answered to these values, except where a row says otherwise.
    #[test]
    fn refusals_read_as_kafkas_do() {
        let refusals = [
            ("retention.ms", "abc", "Not a number of type LONG"),
            ("retention.ms", "", "Not a number of type LONG"),
            ("retention.ms", "-2", "Value must be at least -1"),
            ("retention.ms", "99999999999999999999", "Not a number of type LONG"),
            ("retention.ms", "0x10", "Not a number of type LONG"),
            ("segment.bytes", "1", "Value must be at least 1048576"),
            ("segment.bytes", "99999999999", "Not a number of type INT"),
            ("cleanup.policy", "foo", "String must be one of: compact, delete"),
            (
                "compression.type",
                "GZIP",
                "String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer",
            ),
            ("preallocate", "yes", "Expected value to be either true or false"),
            ("min.cleanable.dirty.ratio", "1.5", "Value must be no more than 1"),
            ("min.cleanable.dirty.ratio", "-0.1", "Value must be at least 0"),
            ("min.cleanable.dirty.ratio", "x", "Not a number of type DOUBLE"),
            ("compression.gzip.level", "0", "Value must be between 1 and 9 or equal to -1"),
            ("compression.zstd.level", "23", "Value must be no more than 22"),
            ("message.format.version", "9.9", "Version 9.9 is not a valid version"),
        ];
        for (name, value, reason) in refusals {
            let definition = topic_definition(name).expect(name);
            let refusal = definition.parse(value).expect_err(name).to_string();
            assert_eq!(refusal, format!("Invalid value {value} for configuration {name}: {reason}"));
        }
        let definition = topic_definition("leader.replication.throttled.replicas").expect("known");
        assert_eq!(
            definition.parse("foo").expect_err("no pair").to_string(),
            "Invalid value [foo] for configuration leader.replication.throttled.replicas: \
             leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following \
             format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
        );
    }

    #[test]
    fn what_kafka_accepts_is_accepted() {
        let accepted = [
            ("retention.ms", " 100 ", "100"),
            ("cleanup.policy", "", ""),
            ("cleanup.policy", "delete, compact", "delete,compact"),
            ("preallocate", "TRUE", "true"),
            ("follower.replication.throttled.replicas", "*", "*"),
            ("follower.replication.throttled.replicas", "0:1,1:1", "0:1,1:1"),
            ("file.delete.delay.ms", "+5", "5"),
            ("retention.bytes", "-5", "-5"),
            ("message.format.version", "2.8", "2.8"),
            ("min.cleanable.dirty.ratio", "1", "1.0"),
        ];
        for (name, value, canonical) in accepted {
            let definition = topic_definition(name).expect(name);
            assert_eq!(definition.parse(value).expect(name).to_string(), canonical, "{name}");
        }
    }
}
