//! The cluster as a client knows it: nodes, partitions, leaders; and its connections.
//!
//! As in Kafka's clients, a leader is replaced only by one of the same or a later epoch, so that a node which was away for a
//! while does not send a client back to a leader of the past.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use ringmain_protocol::{
    ErrorCode,
    messages::{
        CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse, MetadataRequest,
        MetadataRequestTopic, MetadataResponse,
    },
};

use super::connection::{Connection, SILENCE_MAX};

const METADATA_VERSION: i16 = 9;
const CREATE_TOPICS_VERSION: i16 = 5;

/// One partition as a node described it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PartitionView {
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) in_sync: Vec<i32>,
}

/// What one node says about the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Description {
    pub(crate) nodes: Vec<i32>,
    pub(crate) controller: i32,
    pub(crate) partitions: Vec<PartitionView>,
}

/// What a client knows, and its connections.
pub(crate) struct View {
    bootstrap: Vec<(i32, SocketAddr)>,
    topic: String,
    connections: BTreeMap<i32, Connection>,
    pub(crate) partitions: Vec<PartitionView>,
    /// Which node is asked next about the cluster.
    next: usize,
    /// How long an answer about the cluster is awaited.
    pub(crate) patience: Duration,
}

impl View {
    /// Knows only where nodes may be.
    pub(crate) fn new(bootstrap: &[(i32, SocketAddr)], topic: &str, first: usize) -> View {
        View {
            bootstrap: bootstrap.to_vec(),
            topic: topic.to_owned(),
            connections: BTreeMap::new(),
            partitions: Vec::new(),
            next: first,
            patience: SILENCE_MAX,
        }
    }

    /// One that knows as little as this one in the beginning, with connections of its own.
    pub(crate) fn another(&self) -> View {
        View::new(&self.bootstrap, &self.topic, self.next)
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// A connection to a node, a new one if need be.
    pub(crate) fn connection(&mut self, node: i32) -> io::Result<&mut Connection> {
        if !self.connections.contains_key(&node) {
            let address = self.bootstrap.iter().find(|(id, _)| *id == node).map(|(_, address)| *address);
            let address = address.ok_or_else(|| io::Error::other(format!("nobody is node {node}")))?;
            self.connections.insert(node, Connection::open(address)?);
        }
        Ok(self.connections.get_mut(&node).expect("it is there now"))
    }

    /// Forgets a connection that has failed.
    pub(crate) fn disconnect(&mut self, node: i32) {
        self.connections.remove(&node);
    }

    /// The nodes, in the order in which this client would try them.
    pub(crate) fn next_node(&mut self) -> i32 {
        self.next += 1;
        self.bootstrap[self.next % self.bootstrap.len()].0
    }

    /// Asks the next node about the cluster; whether it answered.
    pub(crate) fn refresh(&mut self) -> bool {
        let node = self.next_node();
        let Ok(description) = self.describe(node) else { return false };
        if self.partitions.len() < description.partitions.len() {
            self.partitions = description.partitions;
            return true;
        }
        for (known, told) in self.partitions.iter_mut().zip(description.partitions) {
            if told.leader_epoch >= known.leader_epoch {
                *known = told;
            }
        }
        true
    }

    /// What a node says about the cluster.
    pub(crate) fn describe(&mut self, node: i32) -> io::Result<Description> {
        let (topic, patience) = (self.topic.clone(), self.patience);
        let described = self.connection(node).and_then(|connection| {
            connection.set_patience(patience)?;
            let described = describe(connection, &topic)?;
            connection.set_patience(SILENCE_MAX).map(|()| described)
        });
        if described.is_err() {
            self.disconnect(node);
        }
        described
    }
}

fn describe(connection: &mut Connection, topic: &str) -> io::Result<Description> {
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { name: Some(topic), ..Default::default() }]),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    let response: MetadataResponse<'_> = connection.call(METADATA_VERSION, &request)?;
    let mut nodes: Vec<i32> = response.brokers.iter().map(|broker| broker.node_id).collect();
    nodes.sort_unstable();
    for broker in &response.brokers {
        if broker.host.as_ref().parse::<IpAddr>().is_err() {
            return Err(io::Error::other(format!(
                "node {} is said to be at {:?}",
                broker.node_id, broker.host
            )));
        }
    }
    let controller = response.controller_id;
    let Some(topic) = response.topics.first() else {
        return Ok(Description { nodes, controller, ..Default::default() });
    };
    let known = [ErrorCode::NONE, ErrorCode::LEADER_NOT_AVAILABLE, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION];
    if !known.contains(&topic.error_code) {
        return Err(io::Error::other(format!("no description of the topic: {}", topic.error_code)));
    }
    let mut partitions: Vec<(i32, PartitionView)> = Vec::new();
    for partition in &topic.partitions {
        let mut in_sync = partition.isr_nodes.clone();
        in_sync.sort_unstable();
        let view = PartitionView {
            leader: partition.leader_id,
            leader_epoch: partition.leader_epoch,
            replicas: partition.replica_nodes.clone(),
            in_sync,
        };
        partitions.push((partition.partition_index, view));
    }
    partitions.sort_by_key(|(index, _)| *index);
    let partitions = partitions.into_iter().map(|(_, view)| view).collect();
    Ok(Description { nodes, controller, partitions })
}

/// Asks for a topic; the answer's code.
pub(crate) fn create_topic(
    connection: &mut Connection,
    name: &str,
    partitions: i32,
    replication_factor: i16,
    configs: &[(&str, &str)],
) -> io::Result<ErrorCode> {
    let configs =
        configs.iter().map(|(name, value)| CreatableTopicConfig { name, value: Some(value) }).collect();
    let topic = CreatableTopic {
        name,
        num_partitions: partitions,
        replication_factor,
        configs,
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 2_000, ..Default::default() };
    let response: CreateTopicsResponse<'_> = connection.call(CREATE_TOPICS_VERSION, &request)?;
    let topic = response.topics.first();
    topic.map(|topic| topic.error_code).ok_or_else(|| io::Error::other("an answer about no topic"))
}
