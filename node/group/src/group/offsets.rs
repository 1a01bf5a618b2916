//! The offsets that one group committed.
//!
//! What must hold: an entry exists while there is a committed offset or a write about it is under way, so that a
//! deletion of the group covers what is still being written. Only what was written can be read.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::CommittedOffset;

/// Bytes of an offset beside its metadata: the struct and its place in the trees.
pub(crate) const OFFSET_OVERHEAD_BYTES: usize = 112;
/// Bytes of a topic beside its name.
const TOPIC_OVERHEAD_BYTES: usize = 96;

/// A partition of a topic.
pub(crate) type TopicPartition = (Arc<str>, i32);

#[derive(Debug, Default)]
struct Entry {
    committed: Option<CommittedOffset>,
    /// Writes about this partition that are under way.
    writes: u32,
}

/// Offsets by topic and partition.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    topics: BTreeMap<Arc<str>, BTreeMap<i32, Entry>>,
    held_bytes: usize,
}

impl Offsets {
    /// Whether nothing is committed and nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.topics.get(topic)?.get(&partition)?.committed.as_ref()
    }

    /// Whether the partition has an offset, or will have one, and so costs nothing more.
    pub(crate) fn knows(&self, topic: &str, partition: i32) -> bool {
        self.topics.get(topic).is_some_and(|partitions| partitions.contains_key(&partition))
    }

    /// Committed offsets, ordered by topic and partition.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, i32, &CommittedOffset)> {
        self.topics.iter().flat_map(|(topic, partitions)| {
            let committed = partitions.iter();
            committed
                .filter_map(move |(partition, entry)| Some((topic, *partition, entry.committed.as_ref()?)))
        })
    }

    /// Every partition of the group, also those of which only a write is under way.
    pub(crate) fn partitions(&self) -> Vec<TopicPartition> {
        let entries = self.topics.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(move |(partition, entry)| (topic, *partition, entry))
        });
        let is_covered =
            |entry: &Entry| entry.committed.is_some() || !crate::planted::is("writes-under-way-not-deleted");
        let covered = entries.filter(|(.., entry)| is_covered(entry));
        covered.map(|(topic, partition, _)| (Arc::clone(topic), partition)).collect()
    }

    /// Every partition of one topic, also those of which only a write is under way.
    pub(crate) fn partitions_of(&self, topic: &str) -> Vec<TopicPartition> {
        let found = self.topics.get_key_value(topic).into_iter();
        found
            .flat_map(|(topic, partitions)| {
                partitions.keys().map(|partition| (Arc::clone(topic), *partition))
            })
            .collect()
    }

    /// Committed offsets that no write is about and for which `is_expired` holds.
    pub(crate) fn expired(&self, is_expired: impl Fn(&str, &CommittedOffset) -> bool) -> Vec<TopicPartition> {
        let mut expired = Vec::new();
        for (topic, partitions) in &self.topics {
            for (partition, entry) in partitions.iter().filter(|(_, entry)| entry.writes == 0) {
                if entry.committed.as_ref().is_some_and(|committed| is_expired(topic, committed)) {
                    expired.push((Arc::clone(topic), *partition));
                }
            }
        }
        expired
    }

    /// A write about the partition begins. Returns the shared name of the topic.
    pub(crate) fn begin_write(&mut self, topic: &str, partition: i32) -> Arc<str> {
        let name = self.topic(topic);
        let partitions = self.topics.get_mut(&name).expect("the topic was just entered");
        let entry = partitions.entry(partition).or_insert_with(|| {
            self.held_bytes += OFFSET_OVERHEAD_BYTES;
            Entry::default()
        });
        entry.writes += 1;
        name
    }

    /// A write about the partition failed.
    pub(crate) fn abandon_write(&mut self, topic: &str, partition: i32) {
        self.end_write(topic, partition, |_| ());
    }

    /// An offset was written.
    pub(crate) fn commit(&mut self, topic: &str, partition: i32, offset: CommittedOffset) {
        self.end_write(topic, partition, |entry| entry.committed = Some(offset));
    }

    /// A tombstone was written. Returns whether there was an offset.
    pub(crate) fn delete(&mut self, topic: &str, partition: i32) -> bool {
        let mut was_there = false;
        self.end_write(topic, partition, |entry| was_there = entry.committed.take().is_some());
        was_there
    }

    /// What a record of the log says: `None` for a tombstone.
    pub(crate) fn load(&mut self, topic: &str, partition: i32, offset: Option<CommittedOffset>) {
        if offset.is_none() && !self.knows(topic, partition) {
            return;
        }
        self.begin_write(topic, partition);
        self.end_write(topic, partition, |entry| entry.committed = offset);
    }

    fn end_write(&mut self, topic: &str, partition: i32, change: impl FnOnce(&mut Entry)) {
        let partitions = self.topics.get_mut(topic).expect("a topic with a write under way is known");
        let entry = partitions.get_mut(&partition).expect("a partition with a write under way is known");
        self.held_bytes -= entry.metadata_bytes();
        change(entry);
        entry.writes -= 1;
        self.held_bytes += entry.metadata_bytes();
        if entry.writes == 0 && entry.committed.is_none() {
            partitions.remove(&partition);
            self.held_bytes -= OFFSET_OVERHEAD_BYTES;
            if partitions.is_empty() {
                self.topics.remove(topic);
                self.held_bytes -= TOPIC_OVERHEAD_BYTES + topic.len();
            }
        }
    }

    /// The shared name of a topic.
    fn topic(&mut self, topic: &str) -> Arc<str> {
        if let Some((name, _)) = self.topics.get_key_value(topic) {
            return Arc::clone(name);
        }
        let name: Arc<str> = Arc::from(topic);
        self.topics.insert(Arc::clone(&name), BTreeMap::new());
        self.held_bytes += TOPIC_OVERHEAD_BYTES + topic.len();
        name
    }
}

impl Entry {
    fn metadata_bytes(&self) -> usize {
        self.committed.as_ref().map_or(0, |committed| committed.metadata.len())
    }
}

#[cfg(test)]
impl Offsets {
    /// Counts the bytes anew and compares.
    pub(crate) fn assert_consistent(&self) {
        let mut bytes = 0;
        for (topic, partitions) in &self.topics {
            assert!(!partitions.is_empty(), "topics without partitions are forgotten");
            bytes += TOPIC_OVERHEAD_BYTES + topic.len();
            for entry in partitions.values() {
                assert!(
                    entry.committed.is_some() || entry.writes > 0,
                    "entries without a purpose are forgotten"
                );
                bytes += OFFSET_OVERHEAD_BYTES + entry.metadata_bytes();
            }
        }
        assert_eq!(self.held_bytes, bytes);
    }
}
