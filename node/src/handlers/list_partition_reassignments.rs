//! ListPartitionReassignments: which partitions are moving between nodes, as the metadata has them.

use ringmain_protocol::{
    codec::Text,
    messages::{
        ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, OngoingPartitionReassignment,
        OngoingTopicReassignment,
    },
};

use crate::{
    metadata::{NodeId, PartitionImage, TopicImage},
    shard::Shard,
};

pub(super) fn answer(
    shard: &Shard,
    request: &ListPartitionReassignmentsRequest<'_>,
) -> ListPartitionReassignmentsResponse<'static> {
    let image = shard.image();
    let topics: Vec<OngoingTopicReassignment<'static>> = match &request.topics {
        None => image.topics().filter_map(|topic| moving(topic, |_| true)).collect(),
        Some(asked) => {
            let known = asked.iter().filter_map(|asked| Some((asked, image.topic(asked.name)?)));
            known
                .filter_map(|(asked, topic)| moving(topic, |index| asked.partition_indexes.contains(&index)))
                .collect()
        }
    };
    ListPartitionReassignmentsResponse { error_message: None, topics, ..Default::default() }
}

/// Those partitions of a topic that move; `None` where none does.
fn moving(topic: &TopicImage, is_asked: impl Fn(i32) -> bool) -> Option<OngoingTopicReassignment<'static>> {
    let partitions: Vec<_> = (0..)
        .zip(&topic.partitions)
        .filter(|(index, partition)| partition.is_reassigning() && is_asked(*index))
        .map(|(index, partition)| ongoing(index, partition))
        .collect();
    let name = Text::Owned(topic.name.to_string());
    (!partitions.is_empty()).then_some(OngoingTopicReassignment { name, partitions })
}

fn ongoing(partition_index: i32, partition: &PartitionImage) -> OngoingPartitionReassignment {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect();
    OngoingPartitionReassignment {
        partition_index,
        replicas: ids(&partition.replicas),
        adding_replicas: ids(&partition.adding),
        removing_replicas: ids(&partition.removing),
    }
}
