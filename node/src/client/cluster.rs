//! What the whole cluster is asked: its nodes, its quorum, where every partition is, and what moves.
//!
//! Brokers of other versions know less: what an answer does not say is `None` here, and never a guess.

use std::collections::BTreeMap;

use ringmain_protocol::messages::{
    CLUSTER_METADATA_TOPIC, ConfigResourceType, DescribeClusterRequest, DescribeClusterResponse,
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse, DescribeLogDirsRequest,
    DescribeLogDirsResponse, DescribeQuorumPartition, DescribeQuorumRequest, DescribeQuorumResponse,
    DescribeQuorumTopic, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, ReplicaState,
    TopicPartitionCursor,
};
use ringmain_protocol::{ApiKey, ErrorCode, codec::Text};

use super::{Client, ClientError, Connection, TopicPartition, decoded};
use crate::config::HostPort;

/// From this version on the answer names fenced nodes and says which are.
const FENCED_NODES_VERSION: i16 = 2;

/// Topics whose configurations are asked for at once.
const TOPICS_AT_ONCE: usize = 500;

/// The cluster's nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodesView {
    pub(crate) cluster_id: String,
    /// `None` while there is none.
    pub(crate) controller: Option<i32>,
    pub(crate) nodes: BTreeMap<i32, NodeView>,
    /// Whether fenced nodes are among them; otherwise they are only missing.
    pub(crate) names_fenced: bool,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeView {
    pub(crate) address: HostPort,
    pub(crate) rack: Option<String>,
    pub(crate) is_fenced: bool,
}

impl NodesView {
    /// Whether a node is there and may lead.
    pub(crate) fn is_active(&self, node_id: i32) -> bool {
        self.nodes.get(&node_id).is_some_and(|node| !node.is_fenced)
    }

    /// The nodes that may lead.
    pub(crate) fn active(&self) -> impl Iterator<Item = i32> {
        self.nodes.iter().filter(|(_, node)| !node.is_fenced).map(|(node_id, _)| *node_id)
    }
}

/// Who keeps the metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QuorumView {
    pub(crate) leader: Option<i32>,
    pub(crate) term: i32,
    pub(crate) high_watermark: i64,
    pub(crate) voters: Vec<MemberLag>,
    pub(crate) observers: Vec<MemberLag>,
}

/// How far a member of the quorum is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberLag {
    pub(crate) node_id: i32,
    /// Records behind the leader.
    pub(crate) lag: i64,
    /// For how long it has not caught up, by the leader's clock; `None` when the leader cannot tell.
    pub(crate) behind_ms: Option<i64>,
}

/// Where a partition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) partition: TopicPartition,
    pub(crate) topic_id: [u8; 16],
    pub(crate) leader: Option<i32>,
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) in_sync: Vec<i32>,
    /// `None` where the broker does not say.
    pub(crate) eligible: Option<Vec<i32>>,
    /// Who led last, where nobody does.
    pub(crate) last_leader: Option<Vec<i32>>,
}

/// What a node keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LogDirsView {
    pub(crate) logs: BTreeMap<TopicPartition, LogOnNode>,
    /// Room on the volumes; `None` where the broker does not say.
    pub(crate) usable_bytes: Option<i64>,
}

/// A replica on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogOnNode {
    pub(crate) bytes: i64,
}

impl Client {
    /// The nodes, with those that are fenced where the broker tells them.
    pub(crate) fn cluster_nodes(&mut self) -> Result<NodesView, ClientError> {
        // What later requests to a node need.
        self.metadata(Some(&[]))?;
        self.retry(|client| {
            let names_fenced = client.any()?.version(ApiKey::DescribeCluster)? >= FENCED_NODES_VERSION;
            let request =
                DescribeClusterRequest { include_fenced_brokers: names_fenced, ..Default::default() };
            let answer = client.any()?.call(&request)?;
            let response: DescribeClusterResponse<'_> = decoded(&answer)?;
            refuse(response.error_code, response.error_message.as_deref(), "describe the cluster")?;
            let nodes = response.brokers.iter().map(|broker| {
                let address = answer.host_port(&broker.host, broker.port)?;
                let rack = broker.rack.as_deref().map(str::to_owned);
                Ok((broker.broker_id, NodeView { address, rack, is_fenced: broker.is_fenced }))
            });
            Ok(NodesView {
                cluster_id: response.cluster_id.to_string(),
                controller: some_node(response.controller_id),
                nodes: nodes.collect::<Result<_, ClientError>>()?,
                names_fenced,
            })
        })
    }

    /// The quorum of the metadata; `None` where the broker has none to tell about (Kafka with ZooKeeper).
    pub(crate) fn quorum(&mut self) -> Result<Option<QuorumView>, ClientError> {
        self.retry(|client| {
            let connection = client.any()?;
            if connection.version(ApiKey::DescribeQuorum).is_err() {
                return Ok(None);
            }
            let partitions = vec![DescribeQuorumPartition { partition_index: 0 }];
            let topics = vec![DescribeQuorumTopic { topic_name: CLUSTER_METADATA_TOPIC, partitions }];
            let answer = connection.call(&DescribeQuorumRequest { topics })?;
            let response: DescribeQuorumResponse<'_> = decoded(&answer)?;
            let action = "describe the quorum";
            refuse(response.error_code, response.error_message.as_deref(), action)?;
            let partition = response.topics.first().and_then(|topic| topic.partitions.first());
            let Some(partition) = partition else { return Ok(None) };
            refuse(partition.error_code, partition.error_message.as_deref(), action)?;
            let leader = some_node(partition.leader_id);
            Ok(Some(QuorumView {
                leader,
                term: partition.leader_epoch,
                high_watermark: partition.high_watermark,
                voters: members(&partition.current_voters, leader, &partition.current_voters),
                observers: members(&partition.observers, leader, &partition.current_voters),
            }))
        })
    }

    /// Where every partition is, or those of some topics, by topic and index.
    pub(crate) fn placements(&mut self, topics: Option<&[&str]>) -> Result<Vec<Placement>, ClientError> {
        let can_page =
            self.retry(|client| Ok(client.any()?.version(ApiKey::DescribeTopicPartitions).is_ok()))?;
        let view = self.metadata(topics)?;
        if let Some(missing) = view.topics.iter().find(|topic| topic.error != ErrorCode::NONE) {
            return Err(match missing.error {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => ClientError::unknown_topic(&missing.name),
                code => ClientError::refused(code, None, format!("look up the topic '{}'", missing.name)),
            });
        }
        let mut placements: Vec<Placement> = view
            .topics
            .iter()
            .flat_map(|topic| {
                topic.partitions.iter().map(|partition| Placement {
                    partition: TopicPartition { topic: topic.name.clone(), index: partition.index },
                    topic_id: topic.topic_id,
                    leader: some_node(partition.leader),
                    leader_epoch: partition.leader_epoch,
                    replicas: partition.replicas.clone(),
                    in_sync: partition.in_sync.clone(),
                    eligible: None,
                    last_leader: None,
                })
            })
            .collect();
        if can_page && !placements.is_empty() {
            let names: Vec<&str> = view.topics.iter().map(|topic| topic.name.as_str()).collect();
            let mut known = self.eligible(&names)?;
            for placement in &mut placements {
                if let Some((eligible, last)) = known.remove(&placement.partition) {
                    (placement.eligible, placement.last_leader) = (eligible, last);
                }
            }
        }
        Ok(placements)
    }

    /// Who is eligible to lead, and who led last, by partition.
    fn eligible(&mut self, names: &[&str]) -> Result<BTreeMap<TopicPartition, Eligible>, ClientError> {
        let mut known = BTreeMap::new();
        let mut next: Option<(String, i32)> = None;
        loop {
            let page = self.retry(|client| {
                let topics = names
                    .iter()
                    .map(|name| ringmain_protocol::messages::DescribeTopicPartitionsTopic { name });
                let cursor = next.as_ref().map(|(topic_name, partition_index)| TopicPartitionCursor {
                    topic_name: Text::Borrowed(topic_name),
                    partition_index: *partition_index,
                });
                let request =
                    DescribeTopicPartitionsRequest { topics: topics.collect(), cursor, ..Default::default() };
                client.any()?.call(&request)
            })?;
            let response: DescribeTopicPartitionsResponse<'_> = decoded(&page)?;
            for topic in &response.topics {
                let name = topic.name.as_deref().unwrap_or_default();
                for partition in &topic.partitions {
                    let key = TopicPartition { topic: name.to_owned(), index: partition.partition_index };
                    let eligible = partition.eligible_leader_replicas.clone();
                    known.insert(key, (eligible, partition.last_known_elr.clone()));
                }
            }
            next = match response.next_cursor {
                Some(cursor) => Some((cursor.topic_name.to_string(), cursor.partition_index)),
                None => return Ok(known),
            };
        }
    }

    /// Fewest in-sync replicas with which acks=all is taken, by topic.
    pub(crate) fn min_in_sync(&mut self, topics: &[&str]) -> Result<BTreeMap<String, usize>, ClientError> {
        const NAME: &str = "min.insync.replicas";
        let mut configured = BTreeMap::new();
        for chunk in topics.chunks(TOPICS_AT_ONCE) {
            let resources = chunk.iter().map(|topic| DescribeConfigsResource {
                resource_type: ConfigResourceType::Topic.number(),
                resource_name: topic,
                configuration_keys: Some(vec![NAME]),
            });
            let request = DescribeConfigsRequest { resources: resources.collect(), ..Default::default() };
            let answer = self.ask_any(&request)?;
            let response: DescribeConfigsResponse<'_> = decoded(&answer)?;
            for result in &response.results {
                // A topic that was deleted since has none.
                let value = result.configs.iter().find(|config| config.name == NAME);
                let value =
                    value.and_then(|config| config.value.as_deref()).and_then(|text| text.parse().ok());
                configured.extend(value.map(|value| (result.resource_name.to_string(), value)));
            }
        }
        Ok(configured)
    }

    /// What a node keeps. `None` when the node cannot be asked: it says so by being fenced or gone.
    pub(crate) fn log_dirs(&mut self, node_id: i32) -> Result<Option<LogDirsView>, ClientError> {
        // Once: a node that does not answer must not hold up what the others say.
        match self.node(node_id).and_then(log_dirs_on) {
            Ok(view) => Ok(Some(view)),
            Err(error) if error.is_of_connection() => {
                self.connections.remove(&node_id);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// What one node says that it keeps.
pub(crate) fn log_dirs_on(connection: &mut Connection) -> Result<LogDirsView, ClientError> {
    let answer = connection.call(&DescribeLogDirsRequest { topics: None })?;
    let response: DescribeLogDirsResponse<'_> = decoded(&answer)?;
    let mut view = LogDirsView::default();
    for directory in response.results.iter().filter(|result| result.error_code == ErrorCode::NONE) {
        if directory.usable_bytes >= 0 {
            view.usable_bytes = Some(view.usable_bytes.unwrap_or(0) + directory.usable_bytes);
        }
        for topic in &directory.topics {
            for partition in topic.partitions.iter().filter(|partition| !partition.is_future_key) {
                let key = TopicPartition { topic: topic.name.to_string(), index: partition.partition_index };
                let log = LogOnNode { bytes: partition.partition_size };
                view.logs.insert(key, log);
            }
        }
    }
    Ok(view)
}

type Eligible = (Option<Vec<i32>>, Option<Vec<i32>>);

/// How far members are behind the leader, which is among the voters.
fn members(states: &[ReplicaState], leader: Option<i32>, voters: &[ReplicaState]) -> Vec<MemberLag> {
    let leader = voters.iter().find(|state| Some(state.replica_id) == leader);
    let end = leader.map_or(-1, |leader| leader.log_end_offset);
    let members = states.iter().map(|state| {
        let caught_up = state.last_caught_up_timestamp;
        let now = leader.map(|leader| leader.last_caught_up_timestamp).filter(|now| *now >= 0);
        MemberLag {
            node_id: state.replica_id,
            lag: (end - state.log_end_offset.max(0)).max(0),
            behind_ms: now.filter(|_| caught_up >= 0).map(|now| (now - caught_up).max(0)),
        }
    });
    members.collect()
}

/// A node id, where -1 stands for none.
fn some_node(node_id: i32) -> Option<i32> {
    Some(node_id).filter(|node_id| *node_id >= 0)
}

pub(crate) fn refuse(code: ErrorCode, message: Option<&str>, action: &str) -> Result<(), ClientError> {
    if code == ErrorCode::NONE { Ok(()) } else { Err(ClientError::refused(code, message, action)) }
}
