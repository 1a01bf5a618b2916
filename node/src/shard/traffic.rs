//! How much goes through each topic on one shard.
//!
//! What must hold: the numbers of a topic only grow for as long as the topic exists, also when its partitions come and go on
//! this shard. Taking note costs a few additions.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, sync::Arc};

use ringmain_storage::TopicId;

use super::{
    Partition, Shard,
    counters::{Counter, counted},
    fetch::PartitionFetched,
};
use crate::{metadata::MetadataImage, server::Chunk};

counted! {
    /// What producers sent to a topic, and what consumers read of it.
    TopicTraffic, TopicTrafficValues {
        appended_batches,
        appended_records,
        appended_bytes,
        fetched_bytes,
    }
}

/// A topic's name, and what all its partitions count in.
type Counted = (Arc<str>, Rc<TopicTraffic>);

/// The topics of one shard.
#[derive(Default)]
pub(super) struct Traffic(RefCell<BTreeMap<TopicId, Counted>>);

impl Traffic {
    /// Where a partition of the topic counts.
    pub(super) fn of(&self, topic_id: TopicId, name: &Arc<str>) -> Rc<TopicTraffic> {
        let mut topics = self.0.borrow_mut();
        topics.entry(topic_id).or_insert_with(|| (name.clone(), Rc::default())).1.clone()
    }

    /// The numbers of every topic that there is. Those of deleted ones are forgotten.
    pub(super) fn values(&self, image: &MetadataImage) -> Vec<(TopicId, Arc<str>, TopicTrafficValues)> {
        let mut topics = self.0.borrow_mut();
        topics.retain(|topic_id, (_, traffic)| {
            Rc::strong_count(traffic) > 1 || image.topic_by_id(*topic_id).is_some()
        });
        topics.iter().map(|(id, (name, traffic))| (*id, name.clone(), traffic.values())).collect()
    }
}

impl Shard {
    /// A batch of a producer is in the log.
    #[inline]
    pub(super) fn count_appended(&self, traffic: &TopicTraffic, records: i32, bytes: usize) {
        let (records, bytes) = (u64::from(records.unsigned_abs()), bytes as u64);
        self.counters.appended_batches.increment();
        self.counters.appended_records.add(records);
        self.counters.appended_bytes.add(bytes);
        traffic.appended_batches.increment();
        traffic.appended_records.add(records);
        traffic.appended_bytes.add(bytes);
    }

    /// A consumer gets records.
    pub(super) fn count_fetched(&self, partition: &Partition, fetched: &PartitionFetched) {
        let (mut memory, mut file) = (0, 0);
        for chunk in &fetched.chunks {
            match chunk {
                Chunk::Memory(bytes) => memory += bytes.len() as u64,
                Chunk::File(range) => file += range.length(),
            }
        }
        self.counters.fetched_memory_bytes.add(memory);
        self.counters.fetched_file_bytes.add(file);
        partition.traffic().fetched_bytes.add(memory + file);
    }
}
