//! On which nodes the replicas of new partitions go: as the request says, or spread evenly.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use ringmain_protocol::ErrorCode;
use ringmain_storage::TopicId;

use super::{Controller, Refusal};
use crate::identity::NodeId;
use crate::partition_image::PartitionImage;
use crate::record::MetadataRecord;

impl Controller<'_> {
    /// Checks one partition's replicas as a client gave them.
    pub(super) fn check_manual_replicas(
        &self,
        replicas: &[i32],
        replication_factor: Option<usize>,
    ) -> Result<Vec<NodeId>, Refusal> {
        let refused = |message: String| Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        if replicas.is_empty() {
            return refused("The manual partition assignment includes an empty replica list.".to_owned());
        }
        let mut sorted: Vec<NodeId> = replicas.iter().copied().map(NodeId).collect();
        sorted.sort_unstable();
        if let Some(unknown) = sorted.iter().find(|node| !self.image.nodes().contains_key(node)) {
            return refused(format!(
                "The manual partition assignment includes broker {unknown}, but no such broker is registered."
            ));
        }
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return refused(format!(
                "The manual partition assignment includes the broker {} more than once.",
                pair[0]
            ));
        }
        match replication_factor {
            Some(expected) if expected != replicas.len() => refused(format!(
                "The manual partition assignment includes a partition with {} replica(s), but this is not consistent \
                 with previous partitions, which have {expected} replica(s).",
                replicas.len()
            )),
            _ => Ok(replicas.iter().copied().map(NodeId).collect()),
        }
    }

    /// Spreads `count` partitions, the first of which is `first`, over the nodes: neighbours lead on different nodes.
    pub(super) fn place(
        &self,
        topic_id: TopicId,
        first: usize,
        count: usize,
        replication_factor: usize,
    ) -> Result<Vec<Vec<NodeId>>, Refusal> {
        let nodes: Vec<NodeId> = self.image.nodes().keys().copied().collect();
        if replication_factor > nodes.len() {
            return Err(Refusal::new(
                ErrorCode::INVALID_REPLICATION_FACTOR,
                format!(
                    "Unable to replicate the partition {replication_factor} time(s): The target replication factor of \
                     {replication_factor} cannot be reached because only {} broker(s) are registered.",
                    nodes.len()
                ),
            ));
        }
        // Topics start on different nodes; their ids are random.
        let start = usize::from(topic_id.0[15]) + first;
        let replicas_of = |partition: usize| {
            (0..replication_factor)
                .map(|replica| nodes[(start + partition + replica) % nodes.len()])
                .collect()
        };
        Ok((0..count).map(replicas_of).collect())
    }
}

/// The records of a topic's next partitions: every replica in sync, the first one leads.
pub(super) fn partition_records(
    topic_id: TopicId,
    first: usize,
    placed: Vec<Vec<NodeId>>,
) -> impl Iterator<Item = MetadataRecord> {
    placed.into_iter().enumerate().map(move |(index, replicas)| MetadataRecord::PartitionCreated {
        topic_id,
        partition: i32::try_from(first + index).expect("the number of partitions is limited"),
        state: PartitionImage::created(replicas.clone(), replicas),
    })
}
