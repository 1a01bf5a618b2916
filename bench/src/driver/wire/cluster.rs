//! A cluster as its clients see it: which nodes there are, who leads a partition, who leads the metadata.
//!
//! What must hold: no call waits for a node that is dead or silent longer than [`ANSWER_MAX`], since
//! these are asked while nodes are being killed. Whoever answers first is believed.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ringmain_protocol::ErrorCode;
use ringmain_protocol::messages::{
    CLUSTER_METADATA_TOPIC, DescribeQuorumPartition, DescribeQuorumRequest, DescribeQuorumResponse,
    DescribeQuorumTopic, ElectLeadersRequest, ElectLeadersResponse, ElectLeadersTopic, MetadataRequest,
    MetadataRequestTopic, MetadataResponse,
};

use crate::driver::wire::client::{Client, SILENCE_MAX, other};
use crate::target::resolve;

/// The first with leader epochs, the last that every broker of today serves without flexible fields.
const METADATA_VERSION: i16 = 7;
const DESCRIBE_QUORUM_VERSION: i16 = 0;
const ELECT_LEADERS_VERSION: i16 = 1;

/// A node that does not answer in this time is passed over.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Of the elections that can be asked for: those of the preferred leaders.
const PREFERRED: i8 = 0;

/// Who leads a partition, as one node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionView {
    pub(crate) index: i32,
    /// `None` where there is none.
    pub(crate) leader: Option<i32>,
    pub(crate) leader_epoch: i32,
    pub(crate) in_sync: Vec<i32>,
    pub(crate) replicas: Vec<i32>,
}

/// The nodes, and the partitions of one topic in the order of their indices, as one node sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClusterView {
    pub(crate) nodes: Vec<(i32, SocketAddr)>,
    pub(crate) partitions: Vec<PartitionView>,
}

impl ClusterView {
    /// Asks the node at the other end.
    pub(crate) fn ask(client: &mut Client, topic: &str) -> io::Result<Self> {
        let topics = Some(vec![MetadataRequestTopic { name: Some(topic), ..Default::default() }]);
        let request = MetadataRequest { topics, allow_auto_topic_creation: false, ..Default::default() };
        let response: MetadataResponse<'_> = client.call(METADATA_VERSION, &request)?;
        let nodes = response.brokers.iter().map(|broker| {
            let address = resolve(&format!("{}:{}", broker.host, broker.port)).map_err(other)?;
            Ok((broker.node_id, address))
        });
        let nodes = nodes.collect::<io::Result<Vec<_>>>()?;
        let mut partitions: Vec<PartitionView> = response
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|partition| PartitionView {
                index: partition.partition_index,
                leader: (partition.leader_id >= 0).then_some(partition.leader_id),
                leader_epoch: partition.leader_epoch,
                in_sync: partition.isr_nodes.clone(),
                replicas: partition.replica_nodes.clone(),
            })
            .collect();
        partitions.sort_by_key(|partition| partition.index);
        Ok(Self { nodes, partitions })
    }

    /// Where a node takes clients.
    pub(crate) fn address_of(&self, node: i32) -> Option<SocketAddr> {
        self.nodes.iter().find(|(id, _)| *id == node).map(|(_, address)| *address)
    }

    /// A partition and where its leader is; `None` if it has none, or the leader is not among the nodes.
    pub(crate) fn leader_of(&self, partition: i32) -> Option<(&PartitionView, SocketAddr)> {
        let found = self.partitions.iter().find(|found| found.index == partition)?;
        Some((found, self.address_of(found.leader?)?))
    }
}

/// A cluster by the addresses of its nodes.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    addresses: Vec<SocketAddr>,
}

impl Cluster {
    /// Any of the nodes lead to the others.
    pub(crate) fn new(addresses: Vec<SocketAddr>) -> Self {
        Self { addresses }
    }

    /// Where its nodes take clients.
    #[cfg(feature = "librdkafka")]
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What the first node that answers says of a topic.
    pub(crate) fn view(&self, topic: &str) -> io::Result<ClusterView> {
        self.ask_any(|client| ClusterView::ask(client, topic))
    }

    /// The node that leads the metadata: the controller that is at work. Metadata names any node, since
    /// each of them passes on what is meant for it.
    pub(crate) fn controller(&self) -> io::Result<i32> {
        self.ask_any(|client| {
            let partitions = vec![DescribeQuorumPartition { partition_index: 0 }];
            let topics = vec![DescribeQuorumTopic { topic_name: CLUSTER_METADATA_TOPIC, partitions }];
            let request = DescribeQuorumRequest { topics };
            let response: DescribeQuorumResponse<'_> = client.call(DESCRIBE_QUORUM_VERSION, &request)?;
            let partition = response.topics.iter().flat_map(|topic| &topic.partitions).next();
            let leader =
                partition.filter(|found| found.error_code == ErrorCode::NONE && found.leader_id >= 0);
            leader.map(|found| found.leader_id).ok_or_else(|| {
                other(format!("the quorum has no leader ({}, {partition:?})", response.error_code))
            })
        })
    }

    /// Has the preferred replicas lead again. Where they do already, or cannot yet, nothing happens.
    pub(crate) fn elect_preferred(&self, topic: &str, partition_count: u32) -> io::Result<()> {
        let partitions = (0..partition_count.cast_signed()).collect();
        self.ask_any(|client| {
            let request = ElectLeadersRequest {
                election_type: PREFERRED,
                topic_partitions: Some(vec![ElectLeadersTopic {
                    topic,
                    partitions: Vec::clone(&partitions),
                }]),
                ..Default::default()
            };
            let response: ElectLeadersResponse<'_> = client.call(ELECT_LEADERS_VERSION, &request)?;
            match response.error_code {
                ErrorCode::NONE => Ok(()),
                code => Err(other(format!("leaders cannot be elected: {code}"))),
            }
        })
    }

    /// The answer of the first node that gives one.
    pub(crate) fn ask_any<R>(&self, ask: impl FnMut(&mut Client) -> io::Result<R>) -> io::Result<R> {
        self.ask_any_within(ANSWER_MAX, ask)
    }

    /// The same, for requests that take their time, while all nodes are well.
    pub(crate) fn ask_any_patiently<R>(
        &self,
        ask: impl FnMut(&mut Client) -> io::Result<R>,
    ) -> io::Result<R> {
        self.ask_any_within(SILENCE_MAX, ask)
    }

    fn ask_any_within<R>(
        &self,
        limit: Duration,
        mut ask: impl FnMut(&mut Client) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut last = other("a cluster has addresses".into());
        for address in &self.addresses {
            match Client::connect_within(*address, limit).and_then(|mut client| ask(&mut client)) {
                Ok(answer) => return Ok(answer),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}
