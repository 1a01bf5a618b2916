//! A small blocking Kafka client for the tools and the admin endpoint: negotiates versions, finds leaders, retries within a bound.
//!
//! It speaks to any broker that speaks the protocol. One request at a time on each connection, except where `produce`
//! and `consume` send ahead on a connection of their own. Joins no groups, and does not know transactions.

mod cluster;
mod cluster_changes;
mod connection;
mod coordinator;
mod error;
mod groups;
mod log_offsets;
mod printable;

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use ringmain_protocol::codec::{Decode, Encode};
use ringmain_protocol::messages::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, Request, Response,
};
use ringmain_protocol::{ApiKey, ErrorCode};

pub(crate) use self::cluster::{
    LogDirsView, MemberLag, NodeView, NodesView, Placement, QuorumView, log_dirs_on,
};
pub(crate) use self::cluster_changes::{Election, MoveView};
pub(crate) use self::connection::{Answer, Connection};
pub(crate) use self::coordinator::CoordinatorView;
pub(crate) use self::error::ClientError;
pub(crate) use self::groups::{
    DESCRIBED_AT_ONCE, GroupView, ListedGroupView, MemberView, committed_once, describe_several, list_once,
};
pub(crate) use self::log_offsets::{Asker, LogRange, LogState, TopicPartition, offsets_on};
pub(crate) use self::printable::printable;
use crate::config::HostPort;

/// First and longest pause between tries: short enough for a leader that is about to be there, long enough not to
/// press a broker that is starting.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_LONGEST: Duration = Duration::from_secs(1);

/// How long a new topic is waited for: far longer than a healthy cluster needs.
const NEW_TOPIC_WAIT: Duration = Duration::from_secs(10);

/// How long something is tried that may have no answer while a cluster has no controller.
const BRIEF: Duration = Duration::from_secs(3);

/// A cluster as the tools reach it.
#[derive(Debug)]
pub(crate) struct Client {
    bootstrap: Vec<HostPort>,
    timeout: Duration,
    /// Where each node is, from the last metadata.
    nodes: BTreeMap<i32, HostPort>,
    controller_id: i32,
    /// Which node coordinates each group that was asked for.
    coordinators: BTreeMap<String, CoordinatorView>,
    connections: BTreeMap<i32, Connection>,
    /// To whichever bootstrap broker answered.
    first: Option<Connection>,
    /// Whether a broker ever answered: one that did may come back, one that never did is told at once.
    was_reached: bool,
}

/// The cluster as a broker describes it.
#[derive(Debug, Clone)]
pub(crate) struct ClusterView {
    pub(crate) topics: Vec<TopicView>,
}

/// A topic, or why it cannot be described.
#[derive(Debug, Clone)]
pub(crate) struct TopicView {
    pub(crate) name: String,
    pub(crate) error: ErrorCode,
    pub(crate) topic_id: [u8; 16],
    pub(crate) is_internal: bool,
    /// Ordered by index.
    pub(crate) partitions: Vec<PartitionView>,
}

/// A partition.
#[derive(Debug, Clone)]
pub(crate) struct PartitionView {
    pub(crate) index: i32,
    /// -1 while there is none.
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) in_sync: Vec<i32>,
}

impl Client {
    pub(crate) fn new(brokers: &[String], timeout: Duration) -> Result<Self, ClientError> {
        let bootstrap = brokers
            .iter()
            .map(|broker| HostPort::parse(broker).map_err(ClientError::BrokerAddress))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            bootstrap,
            timeout,
            nodes: BTreeMap::new(),
            controller_id: -1,
            coordinators: BTreeMap::new(),
            connections: BTreeMap::new(),
            first: None,
            was_reached: false,
        })
    }

    /// How long one answer, and all tries for it, may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The timeout as requests carry it.
    pub(crate) fn timeout_ms(&self) -> i32 {
        i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX)
    }

    /// Does something with a shorter limit for all tries: what may have no answer must not hold up the rest.
    pub(crate) fn briefly<T>(&mut self, attempt: impl FnOnce(&mut Self) -> T) -> T {
        let timeout = self.timeout;
        self.timeout = timeout.min(BRIEF);
        let result = attempt(self);
        self.timeout = timeout;
        result
    }

    /// Asks for topics (`None` is all), and remembers where the nodes are.
    pub(crate) fn metadata(&mut self, names: Option<&[&str]>) -> Result<ClusterView, ClientError> {
        self.retry(|client| client.metadata_once(names))
    }

    /// One topic with a leader for every partition; waits for one that is being made.
    pub(crate) fn topic(&mut self, name: &str) -> Result<TopicView, ClientError> {
        self.retry(|client| {
            let view = client.metadata_once(Some(&[name]))?;
            let topic = view.topics.into_iter().find(|topic| topic.name == name);
            let topic = topic.ok_or_else(|| ClientError::unknown_topic(name))?;
            match topic.error {
                ErrorCode::NONE if topic.partitions.iter().all(|partition| partition.leader >= 0) => {
                    Ok(topic)
                }
                ErrorCode::NONE => Err(ClientError::refused(ErrorCode::LEADER_NOT_AVAILABLE, None, name)),
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => Err(ClientError::unknown_topic(name)),
                code => Err(ClientError::refused(code, None, format!("look up the topic '{name}'"))),
            }
        })
    }

    /// Waits until the broker that the next command will ask first knows a topic that was just made, and its leaders.
    ///
    /// In a cluster of several nodes that takes a moment. Running out of time is no failure: the topic is made.
    pub(crate) fn wait_for_topic(&mut self, name: &str) -> Result<(), ClientError> {
        let deadline = Instant::now() + self.timeout.min(NEW_TOPIC_WAIT);
        let mut pause = BACKOFF_FIRST;
        loop {
            let view = self.metadata(Some(&[name]))?;
            let is_led = |topic: &TopicView| topic.partitions.iter().all(|partition| partition.leader >= 0);
            let is_there = view.topics.iter().any(|topic| topic.error == ErrorCode::NONE && is_led(topic));
            if is_there || Instant::now() + pause > deadline {
                return Ok(());
            }
            thread::sleep(pause);
            pause = (pause * 2).min(BACKOFF_LONGEST);
        }
    }

    /// Sends a request to any broker.
    pub(crate) fn ask_any<R: Request + Encode>(&mut self, request: &R) -> Result<Answer, ClientError> {
        self.retry(|client| client.any()?.call(request))
    }

    /// Sends a request to the broker that changes metadata.
    pub(crate) fn ask_controller<R: Request + Encode>(&mut self, request: &R) -> Result<Answer, ClientError> {
        let mut is_known = !self.nodes.is_empty();
        self.retry(|client| {
            // After a failure another node may be the controller, and this one may be gone.
            if !is_known {
                client.metadata_once(Some(&[]))?;
            }
            is_known = false;
            client.controller()?.call(request)
        })
    }

    /// The version in which an API is spoken with the cluster, for requests whose form depends on it.
    pub(crate) fn version(&mut self, api_key: ApiKey) -> Result<i16, ClientError> {
        self.retry(|client| client.any()?.version(api_key))
    }

    /// A connection of its own to a node, for requests that are sent ahead of their answers.
    pub(crate) fn connect(&mut self, node_id: i32) -> Result<Connection, ClientError> {
        let address = self.nodes.get(&node_id).ok_or(ClientError::UnknownNode(node_id))?;
        Connection::open(address, self.timeout)
    }

    /// Tries until it works, the error is one that stays, or the time is up.
    pub(crate) fn retry<T>(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let deadline = Instant::now() + self.timeout;
        let mut pause = BACKOFF_FIRST;
        loop {
            match attempt(self) {
                Err(error) if error.is_retriable(self.was_reached) && Instant::now() + pause < deadline => {
                    if error.is_of_connection() {
                        self.connections.clear();
                        self.first = None;
                    }
                    thread::sleep(pause);
                    pause = (pause * 2).min(BACKOFF_LONGEST);
                }
                done => return done,
            }
        }
    }

    fn metadata_once(&mut self, names: Option<&[&str]>) -> Result<ClusterView, ClientError> {
        let topics = names.map(|names| {
            names
                .iter()
                .map(|name| MetadataRequestTopic { name: Some(*name), ..Default::default() })
                .collect()
        });
        let request = MetadataRequest { topics, allow_auto_topic_creation: false, ..Default::default() };
        let answer = self.any()?.call(&request)?;
        let response: MetadataResponse<'_> = answer.decode()?;
        self.controller_id = response.controller_id;
        self.nodes = response
            .brokers
            .iter()
            .map(|broker| Ok((broker.node_id, answer.host_port(&broker.host, broker.port)?)))
            .collect::<Result<_, ClientError>>()?;
        let mut topics: Vec<TopicView> = response
            .topics
            .into_iter()
            .map(|topic| {
                let mut partitions: Vec<PartitionView> = topic
                    .partitions
                    .into_iter()
                    .map(|partition| PartitionView {
                        index: partition.partition_index,
                        leader: partition.leader_id,
                        leader_epoch: partition.leader_epoch,
                        replicas: partition.replica_nodes,
                        in_sync: partition.isr_nodes,
                    })
                    .collect();
                partitions.sort_by_key(|partition| partition.index);
                TopicView {
                    name: topic.name.map(|name| name.to_string()).unwrap_or_default(),
                    error: topic.error_code,
                    topic_id: topic.topic_id.0,
                    is_internal: topic.is_internal,
                    partitions,
                }
            })
            .collect();
        topics.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(ClusterView { topics })
    }

    fn any(&mut self) -> Result<&mut Connection, ClientError> {
        if self.first.is_none() {
            let mut problem = None;
            // Those that were named at the start may be the ones that are gone.
            for address in self.bootstrap.iter().chain(self.nodes.values()) {
                match Connection::open(address, self.timeout) {
                    Ok(connection) => {
                        self.was_reached = true;
                        self.first = Some(connection);
                        break;
                    }
                    Err(error) => problem = problem.or(Some(error)),
                }
            }
            if let (None, Some(problem)) = (&self.first, problem) {
                return Err(problem);
            }
        }
        self.first.as_mut().ok_or(ClientError::NoBrokers)
    }

    /// To the node that changes metadata, or to any, which passes it on.
    fn controller(&mut self) -> Result<&mut Connection, ClientError> {
        let controller_id = self.controller_id;
        if self.nodes.contains_key(&controller_id) { self.node(controller_id) } else { self.any() }
    }

    fn node(&mut self, node_id: i32) -> Result<&mut Connection, ClientError> {
        if !self.connections.contains_key(&node_id) {
            let connection = self.connect(node_id)?;
            self.connections.insert(node_id, connection);
        }
        self.connections.get_mut(&node_id).ok_or(ClientError::UnknownNode(node_id))
    }
}

/// Decodes an answer whose type is known from the place that it is put in.
pub(crate) fn decoded<'a, S: Response + Decode<'a>>(answer: &'a Answer) -> Result<S, ClientError> {
    answer.decode()
}
