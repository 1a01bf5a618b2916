//! DescribeQuorum: who keeps the cluster's metadata (KIP-595). A node that is alone is the only voter, and leads.

use std::rc::Rc;

use ringmain_protocol::{
    ErrorCode,
    codec::{Text, Uuid},
    messages::{
        CLUSTER_METADATA_TOPIC, DescribeQuorumPartitionResponse, DescribeQuorumRequest,
        DescribeQuorumResponse, DescribeQuorumTopicResponse, QuorumListener, QuorumNode, ReplicaState,
    },
};

use crate::{
    metadata::cluster::{QuorumDescription, QuorumMember},
    runtime,
    shard::Shard,
};

/// The one partition of the metadata.
const PARTITION: i32 = 0;

/// The listener of the control thread, as it is told to tools.
const LISTENER: &str = "CONTROLLER";
/// In place of a time.
const NEVER: i64 = -1;

pub(super) async fn answer(
    shard: &Rc<Shard>,
    request: &DescribeQuorumRequest<'_>,
) -> DescribeQuorumResponse<'static> {
    let is_known = match request.topics.as_slice() {
        [topic] => {
            let partitions = topic.partitions.as_slice();
            topic.topic_name == CLUSTER_METADATA_TOPIC
                && matches!(partitions, [partition] if partition.partition_index == PARTITION)
        }
        _ => false,
    };
    if !is_known {
        return unknown(request);
    }
    match shard.metadata().quorum_status().await {
        Ok(None) => alone(shard),
        Ok(Some(quorum)) => described(&quorum, runtime::unix_ms()),
        Err(error) => DescribeQuorumResponse {
            error_code: error.error_code(),
            error_message: Some(Text::Owned(error.to_string())),
            ..Default::default()
        },
    }
}

/// The quorum as its leader sees it.
fn described(quorum: &QuorumDescription, now_ms: i64) -> DescribeQuorumResponse<'static> {
    let high_watermark = to_i64(quorum.high_watermark);
    let states = |members: &[QuorumMember]| -> Vec<ReplicaState> {
        members.iter().map(|member| state(member, high_watermark, now_ms)).collect()
    };
    let partition = DescribeQuorumPartitionResponse {
        partition_index: PARTITION,
        leader_id: quorum.leader,
        leader_epoch: i32::try_from(quorum.term).unwrap_or(i32::MAX),
        high_watermark,
        current_voters: states(&quorum.voters),
        observers: states(&quorum.observers),
        ..Default::default()
    };
    // As Kafka: only those who vote have an address here.
    let nodes = quorum.voters.iter().map(|voter| QuorumNode {
        node_id: voter.node,
        listeners: vec![QuorumListener {
            name: Text::Borrowed(LISTENER),
            host: Text::Owned(voter.host.clone()),
            port: voter.port,
        }],
    });
    response(partition, nodes.collect())
}

fn state(member: &QuorumMember, high_watermark: i64, now_ms: i64) -> ReplicaState {
    let log_end_offset = to_i64(member.log_end);
    let answered_ms = member.answered_ago_ms.map_or(NEVER, |ago| now_ms.saturating_sub(to_i64(ago)));
    ReplicaState {
        replica_id: member.node,
        replica_directory_id: Uuid(member.directory.to_be_bytes()),
        log_end_offset,
        last_fetch_timestamp: answered_ms,
        // The leader does not keep when a member that lags had everything.
        last_caught_up_timestamp: if log_end_offset >= high_watermark { answered_ms } else { NEVER },
    }
}

fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn alone(shard: &Shard) -> DescribeQuorumResponse<'static> {
    let (node_id, image, now_ms) = (shard.node().node_id(), shard.image(), runtime::unix_ms());
    // Every record counts once in the version, so the next one is written there.
    let end = to_i64(image.version());
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
    // There is nobody else who would have to reach it.
    response(partition, vec![QuorumNode { node_id: node_id.0, listeners: Vec::new() }])
}

fn response(
    partition: DescribeQuorumPartitionResponse<'static>,
    nodes: Vec<QuorumNode<'static>>,
) -> DescribeQuorumResponse<'static> {
    let topic_name = Text::Borrowed(CLUSTER_METADATA_TOPIC);
    DescribeQuorumResponse {
        topics: vec![DescribeQuorumTopicResponse { topic_name, partitions: vec![partition] }],
        nodes,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_lags_is_told_by_when_it_was_heard_of() {
        let member = |node, log_end, answered_ago_ms| QuorumMember {
            node,
            directory: 7,
            host: "node".to_owned(),
            port: 9093,
            log_end,
            answered_ago_ms,
        };
        let quorum = QuorumDescription {
            leader: 2,
            term: 5,
            high_watermark: 30,
            voters: vec![member(1, 29, Some(40)), member(2, 31, Some(0)), member(3, 0, None)],
            observers: Vec::new(),
        };
        let response = described(&quorum, 1_000);
        let partition = &response.topics[0].partitions[0];
        assert_eq!((partition.leader_id, partition.leader_epoch, partition.high_watermark), (2, 5, 30));
        let times: Vec<_> = partition
            .current_voters
            .iter()
            .map(|voter| (voter.log_end_offset, voter.last_fetch_timestamp, voter.last_caught_up_timestamp))
            .collect();
        assert_eq!(times, [(29, 960, NEVER), (31, 1_000, 1_000), (0, NEVER, NEVER)]);
        assert_eq!(response.nodes.len(), 3);
    }
}
