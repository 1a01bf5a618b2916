//! Which core owns a partition.
//!
//! What must hold: the answer depends on the topic id, the partition and the number of shards only, so that every core
//! computes the same one. It may change when the node starts with another number of shards: journals are replayed before
//! any partition opens.

use ringmain_storage::{LogKey, ShardId};

/// The owner of a partition. Consecutive partitions of a topic fall on consecutive shards, so that a topic with as many
/// partitions as cores uses them all; the topic id decides where it begins, so that topics with one partition spread.
pub(crate) fn owner(key: LogKey, shards: usize) -> ShardId {
    let hash = |hash: usize, byte: &u8| hash.wrapping_mul(31).wrapping_add(usize::from(*byte));
    let first = key.topic_id.0.iter().fold(0, hash);
    let partition = usize::try_from(key.partition).expect("partitions are checked when they are created");
    let number = first.wrapping_add(partition) % shards;
    ShardId(u16::try_from(number).expect("the number of shards is a u16"))
}

#[cfg(test)]
mod tests {
    use ringmain_storage::TopicId;

    use super::*;

    #[test]
    fn consecutive_partitions_use_all_shards() {
        let topic_id = TopicId([7; 16]);
        let owners: Vec<_> = (0..8).map(|partition| owner(LogKey { topic_id, partition }, 4).0).collect();
        let mut first_four = owners[..4].to_vec();
        first_four.sort_unstable();
        assert_eq!(first_four, [0, 1, 2, 3]);
        assert_eq!(owners[..4], owners[4..]);
    }
}
