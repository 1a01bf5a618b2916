//! OffsetDelete: committed offsets of partitions that the group does not read (KIP-496).

use std::rc::Rc;

use ringmain_group::{Answer, DeleteOffsetsAnswer, DeletedTopic, Event};
use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{
        OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
    },
};

use super::group_refusal;
use crate::shard::Shard;

pub(super) async fn answer<'a>(
    shard: &Rc<Shard>,
    request: &OffsetDeleteRequest<'a>,
) -> OffsetDeleteResponse<'a> {
    let is_known =
        |topic: &str, partition: i32| shard.topic(topic).is_some_and(|found| found.has_partition(partition));
    let known: Vec<(&str, Vec<i32>)> = request
        .topics
        .iter()
        .map(|topic| {
            let asked = topic.partitions.iter().map(|asked| asked.partition_index);
            (topic.name, asked.filter(|partition| is_known(topic.name, *partition)).collect())
        })
        .collect();
    let DeleteOffsetsAnswer { error, partitions } = delete(shard, request.group_id, &known).await;
    if error.is_error() {
        return OffsetDeleteResponse { error_code: error, ..Default::default() };
    }
    let mut errors = partitions.into_iter();
    let topics = request.topics.iter().map(|topic| OffsetDeleteResponseTopic {
        name: Text::Borrowed(topic.name),
        partitions: topic
            .partitions
            .iter()
            .map(|asked| OffsetDeleteResponsePartition {
                partition_index: asked.partition_index,
                error_code: if is_known(topic.name, asked.partition_index) {
                    errors.next().unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR)
                } else {
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                },
            })
            .collect(),
    });
    OffsetDeleteResponse { topics: topics.collect(), ..Default::default() }
}

async fn delete(shard: &Rc<Shard>, group: &str, known: &[(&str, Vec<i32>)]) -> DeleteOffsetsAnswer {
    let coordinator = match shard.coordinator(group) {
        Ok(coordinator) => coordinator,
        Err(error) => {
            return DeleteOffsetsAnswer { error: group_refusal(group, error), partitions: Vec::new() };
        }
    };
    let known = known.iter().filter(|(_, partitions)| !partitions.is_empty());
    let topics: Vec<_> = known.map(|(topic, partitions)| DeletedTopic { topic, partitions }).collect();
    match coordinator.ask(shard, |request| Event::DeleteOffsets { request, group, topics: &topics }).await {
        Answer::DeleteOffsets(answer) => answer,
        other => unreachable!("a deletion of offsets is answered by {other:?}"),
    }
}
