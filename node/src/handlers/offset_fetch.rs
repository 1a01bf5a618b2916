//! OffsetFetch: what groups have committed; each group is asked on the shard that runs it.
//!
//! `require_stable` needs nothing: an offset is seen only after it is durable, and there are no transactions.

use std::rc::Rc;

use ringmain_group::CommittedOffset;
use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{
        OffsetFetchRequest, OffsetFetchRequestTopic, OffsetFetchResponse, OffsetFetchResponseGroup,
        OffsetFetchResponsePartition, OffsetFetchResponseTopic,
    },
};

use super::RequestInfo;
use crate::shard::Shard;

/// The first version with an error of the whole group.
const GROUP_ERROR_FROM_VERSION: i16 = 2;
/// The first version that asks for several groups.
const SEVERAL_FROM_VERSION: i16 = 8;
/// In place of an offset that was never committed.
const NO_OFFSET: i64 = -1;

/// Partitions of a topic with what was committed for each.
type TopicOffsets = (String, Vec<(i32, Option<CommittedOffset>)>);

pub(super) async fn answer(
    shard: &Rc<Shard>,
    info: RequestInfo,
    request: &OffsetFetchRequest<'_>,
) -> OffsetFetchResponse<'static> {
    if info.version < SEVERAL_FROM_VERSION {
        let asked = request.topics.as_deref();
        return match read(shard, request.group_id, asked).await {
            Ok(topics) => OffsetFetchResponse { topics: found(topics), ..Default::default() },
            Err(error_code) if info.version >= GROUP_ERROR_FROM_VERSION => {
                OffsetFetchResponse { error_code, ..Default::default() }
            }
            Err(error) => OffsetFetchResponse {
                topics: refused(asked.unwrap_or_default(), error),
                ..Default::default()
            },
        };
    }
    let mut groups = Vec::with_capacity(request.groups.len());
    for group in &request.groups {
        let group_id = Text::Owned(group.group_id.to_owned());
        groups.push(match read(shard, group.group_id, group.topics.as_deref()).await {
            Ok(topics) => OffsetFetchResponseGroup { group_id, topics: found(topics), ..Default::default() },
            Err(error_code) => OffsetFetchResponseGroup { group_id, error_code, ..Default::default() },
        });
    }
    OffsetFetchResponse { groups, ..Default::default() }
}

/// Reads what was asked for, or everything.
async fn read(
    shard: &Rc<Shard>,
    group: &str,
    asked: Option<&[OffsetFetchRequestTopic<'_>]>,
) -> Result<Vec<TopicOffsets>, ErrorCode> {
    let owner = shard.group_owner(group);
    let group = group.to_owned();
    let asked: Option<Vec<(String, Vec<i32>)>> = asked.map(|topics| {
        topics.iter().map(|topic| (topic.name.to_owned(), topic.partition_indexes.clone())).collect()
    });
    let on_owner = move |shard: Rc<Shard>| async move {
        shard.coordinator(&group)?.read(|groups| match asked {
            None => all(groups.committed_offsets(&group)),
            Some(topics) => topics
                .into_iter()
                .map(|(topic, partitions)| {
                    let offset = |partition| groups.committed_offset(&group, &topic, partition).cloned();
                    let offsets = partitions.into_iter().map(|partition| (partition, offset(partition)));
                    let offsets = offsets.collect();
                    (topic, offsets)
                })
                .collect(),
        })
    };
    shard.run_on(owner, on_owner).await
}

/// Gathers the partitions of each topic.
fn all<'a>(offsets: impl Iterator<Item = (&'a str, i32, &'a CommittedOffset)>) -> Vec<TopicOffsets> {
    let mut topics: Vec<TopicOffsets> = Vec::new();
    for (topic, partition, offset) in offsets {
        match topics.last_mut().filter(|(last, _)| last == topic) {
            Some((_, partitions)) => partitions.push((partition, Some(offset.clone()))),
            None => topics.push((topic.to_owned(), vec![(partition, Some(offset.clone()))])),
        }
    }
    topics
}

fn found(topics: Vec<TopicOffsets>) -> Vec<OffsetFetchResponseTopic<'static>> {
    let topics = topics.into_iter().map(|(topic, partitions)| OffsetFetchResponseTopic {
        name: Text::Owned(topic),
        partitions: partitions.into_iter().map(|(index, offset)| partition(index, offset)).collect(),
    });
    topics.collect()
}

fn partition(partition_index: i32, offset: Option<CommittedOffset>) -> OffsetFetchResponsePartition<'static> {
    match offset {
        Some(committed) => OffsetFetchResponsePartition {
            partition_index,
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch,
            metadata: Some(Text::Owned(committed.metadata.as_ref().to_owned())),
            ..Default::default()
        },
        None => OffsetFetchResponsePartition {
            partition_index,
            committed_offset: NO_OFFSET,
            ..Default::default()
        },
    }
}

/// The error at each partition, for versions that have no other place for it.
fn refused(
    topics: &[OffsetFetchRequestTopic<'_>],
    error_code: ErrorCode,
) -> Vec<OffsetFetchResponseTopic<'static>> {
    let topics = topics.iter().map(|topic| OffsetFetchResponseTopic {
        name: Text::Owned(topic.name.to_owned()),
        partitions: topic
            .partition_indexes
            .iter()
            .map(|index| OffsetFetchResponsePartition { error_code, ..partition(*index, None) })
            .collect(),
    });
    topics.collect()
}
