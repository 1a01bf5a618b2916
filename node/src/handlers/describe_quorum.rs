//! DescribeQuorum: who keeps the cluster's metadata (KIP-595). A node that is alone is the only voter, and leads.

use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{
        CLUSTER_METADATA_TOPIC, DescribeQuorumPartitionResponse, DescribeQuorumRequest,
        DescribeQuorumResponse, DescribeQuorumTopicResponse, QuorumNode, ReplicaState,
    },
};

use crate::{runtime, shard::Shard};

/// The one partition of the metadata.
const PARTITION: i32 = 0;

pub(super) fn answer(shard: &Shard, request: &DescribeQuorumRequest<'_>) -> DescribeQuorumResponse<'static> {
    let is_known = match request.topics.as_slice() {
        [topic] => {
            let partitions = topic.partitions.as_slice();
            topic.topic_name == CLUSTER_METADATA_TOPIC
                && matches!(partitions, [partition] if partition.partition_index == PARTITION)
        }
        _ => false,
    };
    if is_known { described(shard) } else { unknown(request) }
}

fn described(shard: &Shard) -> DescribeQuorumResponse<'static> {
    let (node_id, image, now_ms) = (shard.node().node_id(), shard.image(), runtime::unix_ms());
    // Every record counts once in the version, so the next one is written there.
    let end = i64::try_from(image.version()).unwrap_or(i64::MAX);
    // Each start of the only voter is a leadership of its own, and the first one has number 1.
    let starts = image.nodes().get(&node_id).map_or(1, |node| node.registration_epoch + 1);
    let voter = ReplicaState {
        replica_id: node_id.0,
        log_end_offset: end,
        last_fetch_timestamp: now_ms,
        last_caught_up_timestamp: now_ms,
        ..Default::default()
    };
    let partition = DescribeQuorumPartitionResponse {
        partition_index: PARTITION,
        leader_id: node_id.0,
        leader_epoch: i32::try_from(starts).unwrap_or(i32::MAX),
        high_watermark: end,
        current_voters: vec![voter],
        ..Default::default()
    };
    DescribeQuorumResponse {
        topics: vec![DescribeQuorumTopicResponse {
            topic_name: Text::Borrowed(CLUSTER_METADATA_TOPIC),
            partitions: vec![partition],
        }],
        // There is nobody else who would have to reach it.
        nodes: vec![QuorumNode { node_id: node_id.0, listeners: Vec::new() }],
        ..Default::default()
    }
}

/// Each partition that is asked for, refused.
fn unknown(request: &DescribeQuorumRequest<'_>) -> DescribeQuorumResponse<'static> {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| DescribeQuorumPartitionResponse {
            partition_index: asked.partition_index,
            error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            error_message: Some(Text::Borrowed("This server does not host this topic-partition.")),
            ..Default::default()
        });
        DescribeQuorumTopicResponse {
            topic_name: Text::Owned(topic.topic_name.to_owned()),
            partitions: partitions.collect(),
        }
    });
    DescribeQuorumResponse { topics: topics.collect(), ..Default::default() }
}
