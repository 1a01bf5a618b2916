//! OffsetCommit: stores how far a group is, durably, before it answers.
//!
//! What must hold: a partition that does not exist is refused alone; the others are committed.

use std::rc::Rc;

use ringmain_group::{Answer, CommitOffsets, CommittedPartition, CommittedTopic, Event};
use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{
        OffsetCommitRequest, OffsetCommitRequestTopic, OffsetCommitResponse, OffsetCommitResponsePartition,
        OffsetCommitResponseTopic,
    },
};

use crate::shard::Shard;

/// In place of a retention time: what the node is set to.
const DEFAULT_RETENTION: i64 = -1;

pub(super) async fn answer<'a>(
    shard: &Rc<Shard>,
    request: &OffsetCommitRequest<'a>,
) -> OffsetCommitResponse<'a> {
    let known: Vec<Vec<bool>> = request.topics.iter().map(|topic| known_partitions(shard, topic)).collect();
    let mut errors = if known.iter().flatten().any(|known| *known) {
        commit(shard, request, &known).await.into_iter()
    } else {
        // As Kafka: nothing is left to ask the group for.
        Vec::new().into_iter()
    };
    let topics = request.topics.iter().zip(&known).map(|(topic, known)| OffsetCommitResponseTopic {
        name: Text::Borrowed(topic.name),
        partitions: topic
            .partitions
            .iter()
            .zip(known)
            .map(|(partition, known)| OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: if *known {
                    errors.next().expect("each partition that was asked for is answered")
                } else {
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                },
            })
            .collect(),
    });
    OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}

/// Which partitions of a topic exist.
fn known_partitions(shard: &Shard, topic: &OffsetCommitRequestTopic<'_>) -> Vec<bool> {
    let found = shard.topic(topic.name);
    let is_known = |partition| found.as_ref().is_some_and(|found| found.has_partition(partition));
    topic.partitions.iter().map(|partition| is_known(partition.partition_index)).collect()
}

/// The error of each partition that is known, in order.
async fn commit(shard: &Rc<Shard>, request: &OffsetCommitRequest<'_>, known: &[Vec<bool>]) -> Vec<ErrorCode> {
    let partitions: Vec<Vec<CommittedPartition<'_>>> = request
        .topics
        .iter()
        .zip(known)
        .map(|(topic, known)| {
            let asked = topic.partitions.iter().zip(known).filter(|(_, known)| **known);
            let asked = asked.map(|(partition, _)| CommittedPartition {
                partition: partition.partition_index,
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: partition.committed_metadata,
            });
            asked.collect()
        })
        .collect();
    let coordinator = match shard.coordinator(request.group_id) {
        Ok(coordinator) => coordinator,
        // Any text may name the group of a commit, also an empty one.
        Err(error) => return vec![error; partitions.iter().map(Vec::len).sum()],
    };
    let topics = request.topics.iter().zip(&partitions).filter(|(_, partitions)| !partitions.is_empty());
    let topics: Vec<_> =
        topics.map(|(topic, partitions)| CommittedTopic { topic: topic.name, partitions }).collect();
    let commit = CommitOffsets {
        group: request.group_id,
        generation: request.generation_id_or_member_epoch,
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        retention_ms: Some(request.retention_time_ms).filter(|time| *time != DEFAULT_RETENTION),
        topics: &topics,
    };
    match coordinator.ask(shard, |request| Event::CommitOffsets { request, commit }).await {
        Answer::CommitOffsets(answer) => answer.partitions,
        other => unreachable!("a commit is answered by {other:?}"),
    }
}
