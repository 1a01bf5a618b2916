//! What changes the cluster: elections, moves of replicas, nodes that leave.
//!
//! Each request names many partitions, and one that is refused does not keep the others: its refusal is part of the
//! result. Requests go to the controller, which another node may have become: it is looked up for each try.

use std::collections::BTreeMap;

use ringmain_protocol::ErrorCode;
use ringmain_protocol::codec::Encode;
use ringmain_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ElectLeadersRequest,
    ElectLeadersResponse, ElectLeadersTopic, ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse, ReassignablePartition, ReassignableTopic, Request,
    UnregisterBrokerRequest, UnregisterBrokerResponse,
};

use super::cluster::refuse;
use super::{Answer, Client, ClientError, TopicPartition, decoded};

/// A move of replicas that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MoveView {
    pub(crate) partition: TopicPartition,
    /// Old and new.
    pub(crate) replicas: Vec<i32>,
    pub(crate) adding: Vec<i32>,
    pub(crate) removing: Vec<i32>,
}

impl MoveView {
    /// Where the replicas are to be in the end.
    pub(crate) fn target(&self) -> Vec<i32> {
        self.replicas.iter().copied().filter(|node| !self.removing.contains(node)).collect()
    }
}

/// Whom to elect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Election {
    /// The first of the replicas, if it is in sync.
    Preferred,
    /// Whoever is left, though it may miss records that were acknowledged.
    Unclean,
}

/// What became of one partition of a request.
pub(crate) type Outcomes = BTreeMap<TopicPartition, Result<(), ClientError>>;

impl Client {
    /// Moves replicas to other nodes; `None` cancels the move that is under way.
    pub(crate) fn reassign(
        &mut self,
        moves: &BTreeMap<TopicPartition, Option<Vec<i32>>>,
    ) -> Result<Outcomes, ClientError> {
        let timeout_ms = self.timeout_ms();
        self.retry(|client| {
            let topics = by_topic(moves.iter()).into_iter().map(|(name, moves)| ReassignableTopic {
                name,
                partitions: moves
                    .into_iter()
                    .map(|(partition_index, replicas)| ReassignablePartition {
                        partition_index,
                        replicas: replicas.clone(),
                    })
                    .collect(),
            });
            let request = AlterPartitionReassignmentsRequest {
                timeout_ms,
                topics: topics.collect(),
                ..Default::default()
            };
            let answer = client.ask_controller_once(&request)?;
            let response: AlterPartitionReassignmentsResponse<'_> = decoded(&answer)?;
            refuse(response.error_code, response.error_message.as_deref(), "move replicas")?;
            let mut outcomes = Outcomes::new();
            for topic in &response.responses {
                for partition in &topic.partitions {
                    let key =
                        TopicPartition { topic: topic.name.to_string(), index: partition.partition_index };
                    let action = format!("move {key}");
                    let message = partition.error_message.as_deref();
                    outcomes.insert(key, refuse(partition.error_code, message, &action));
                }
            }
            Ok(outcomes)
        })
    }

    /// The moves that are under way, by partition.
    pub(crate) fn moves(&mut self) -> Result<Vec<MoveView>, ClientError> {
        let timeout_ms = self.timeout_ms();
        self.retry(|client| {
            let request = ListPartitionReassignmentsRequest { timeout_ms, topics: None };
            let answer = client.ask_controller_once(&request)?;
            let response: ListPartitionReassignmentsResponse<'_> = decoded(&answer)?;
            refuse(response.error_code, response.error_message.as_deref(), "list the moves under way")?;
            let mut moves: Vec<MoveView> = response
                .topics
                .into_iter()
                .flat_map(|topic| {
                    let name = topic.name.to_string();
                    topic.partitions.into_iter().map(move |partition| MoveView {
                        partition: TopicPartition { topic: name.clone(), index: partition.partition_index },
                        replicas: partition.replicas,
                        adding: partition.adding_replicas,
                        removing: partition.removing_replicas,
                    })
                })
                .collect();
            moves.sort_by(|one, other| one.partition.cmp(&other.partition));
            Ok(moves)
        })
    }

    /// Elects leaders. A partition that needs no election has succeeded.
    pub(crate) fn elect(
        &mut self,
        election: Election,
        partitions: &[TopicPartition],
    ) -> Result<Outcomes, ClientError> {
        let timeout_ms = self.timeout_ms();
        self.retry(|client| {
            let named = partitions.iter().map(|partition| (partition, &()));
            let topics = by_topic(named).into_iter().map(|(topic, partitions)| ElectLeadersTopic {
                topic,
                partitions: partitions.into_iter().map(|(index, _)| index).collect(),
            });
            let request = ElectLeadersRequest {
                election_type: match election {
                    Election::Preferred => 0,
                    Election::Unclean => 1,
                },
                topic_partitions: Some(topics.collect()),
                timeout_ms,
            };
            let answer = client.ask_controller_once(&request)?;
            let response: ElectLeadersResponse<'_> = decoded(&answer)?;
            refuse(response.error_code, None, "elect leaders")?;
            let mut outcomes = Outcomes::new();
            for topic in &response.replica_election_results {
                for partition in &topic.partition_result {
                    let key =
                        TopicPartition { topic: topic.topic.to_string(), index: partition.partition_id };
                    let result = match partition.error_code {
                        ErrorCode::ELECTION_NOT_NEEDED => Ok(()),
                        code => {
                            let action = format!("elect a leader of {key}");
                            refuse(code, partition.error_message.as_deref(), &action)
                        }
                    };
                    outcomes.insert(key, result);
                }
            }
            Ok(outcomes)
        })
    }

    /// Takes a node that is gone out of the cluster.
    pub(crate) fn unregister(&mut self, node_id: i32) -> Result<(), ClientError> {
        self.retry(|client| {
            let answer = client.ask_controller_once(&UnregisterBrokerRequest { broker_id: node_id })?;
            let response: UnregisterBrokerResponse<'_> = decoded(&answer)?;
            let action = format!("take node {node_id} out of the cluster");
            refuse(response.error_code, response.error_message.as_deref(), &action)
        })
    }

    /// Asks the node that is the controller now.
    fn ask_controller_once<R: Request + Encode>(&mut self, request: &R) -> Result<Answer, ClientError> {
        self.metadata_once(Some(&[]))?;
        self.controller()?.call(request)
    }
}

/// Partitions of a request by their topics.
fn by_topic<'a, T>(
    partitions: impl Iterator<Item = (&'a TopicPartition, &'a T)>,
) -> BTreeMap<&'a str, Vec<(i32, &'a T)>> {
    let mut topics: BTreeMap<&str, Vec<(i32, &T)>> = BTreeMap::new();
    for (partition, value) in partitions {
        topics.entry(&partition.topic).or_default().push((partition.index, value));
    }
    topics
}
