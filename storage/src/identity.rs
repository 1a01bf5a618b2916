//! Who a log is: the topic's id (never reused), its name (may be reused), the partition, and the shard that writes it.
//!
//! Files are found by name and believed by id: a folder whose checkpoint names another topic id is not this log.
use alloc::format;
use alloc::string::String;
use core::fmt;

/// Longest topic name, as in Kafka; keeps every path below the limit of the file system.
pub(crate) const TOPIC_NAME_LENGTH_MAX: usize = 249;

/// Identity of a topic; a topic that is deleted and created again has another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub [u8; 16]);

impl fmt::Display for TopicId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TopicId({self})")
    }
}

/// One core of this node, and the journal it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

/// What the journal and every report call a log by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogKey {
    /// The topic.
    pub topic_id: TopicId,
    /// Index of the partition in its topic.
    pub partition: i32,
}

impl fmt::Display for LogKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.topic_id, self.partition)
    }
}

/// A log, and where its folder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogIdentity {
    /// The topic.
    pub topic_id: TopicId,
    /// Its name, already checked (no `/`, not `.` or `..`, at most 249 characters).
    pub topic: String,
    /// Index of the partition in its topic.
    pub partition: i32,
}

impl LogIdentity {
    /// The short form that reports and the journal use.
    #[must_use]
    pub fn key(&self) -> LogKey {
        LogKey { topic_id: self.topic_id, partition: self.partition }
    }

    /// Folder of the log, relative to the data directory.
    #[must_use]
    pub fn folder(&self) -> String {
        format!("{}-{}", self.topic, self.partition)
    }

    /// Whether the name can be a folder of ours. The node checks names as Kafka does; this is the
    /// last line of defence between a name and the file system.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        self.partition >= 0
            && !self.topic.is_empty()
            && self.topic.len() <= TOPIC_NAME_LENGTH_MAX
            && self.topic.bytes().all(allowed)
            && self.topic != "."
            && self.topic != ".."
    }
}

/// Splits a folder's name into topic and partition; `None` when it is not a partition's folder.
#[must_use]
pub fn parse_folder(name: &str) -> Option<(&str, i32)> {
    let (topic, partition) = name.rsplit_once('-')?;
    let digits = !partition.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit());
    (digits && !topic.is_empty()).then_some(())?;
    Some((topic, partition.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(topic: &str) -> LogIdentity {
        LogIdentity { topic_id: TopicId([1; 16]), topic: topic.into(), partition: 3 }
    }

    #[test]
    fn names_that_leave_the_data_directory_are_refused() {
        for name in ["", ".", "..", "a/b", "../a", "a\0b", "ä"] {
            assert!(!named(name).is_safe(), "{name:?}");
        }
        assert!(named("orders.eu-west_1").is_safe());
    }

    #[test]
    fn a_folder_names_its_topic_and_partition() {
        assert_eq!(parse_folder("orders-eu-12"), Some(("orders-eu", 12)));
        assert_eq!(parse_folder(&named("a-b").folder()), Some(("a-b", 3)));
        for name in ["journal", "format", "lock", "metadata.redb", "-3", "a-", "a--1x", "a-99999999999"] {
            assert_eq!(parse_folder(name), None, "{name:?}");
        }
    }
}
