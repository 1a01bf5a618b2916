//! Offsets of logs: where partitions begin and end, and which offset belongs to a time.
//!
//! One question to each leader, for all its partitions of all topics. A leader that moved is looked up again, within the
//! bound of [`Client::retry`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ringmain_protocol::ErrorCode;
use ringmain_protocol::messages::{
    EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic,
};

use super::{Client, ClientError, Connection, TopicView, decoded};

/// Partitions in one question: bounds what a broker works on at once.
const PARTITIONS_AT_ONCE: usize = 1000;

/// As who offsets are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Who reads what is in sync, and asks the leader.
    Consumer,
    /// Who asks a replica for its own log (Kafka's debugging consumer).
    AnyReplica,
}

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TopicPartition {
    pub(crate) topic: String,
    pub(crate) index: i32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.index)
    }
}

/// What a log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogRange {
    /// The log start offset.
    pub(crate) start: i64,
    /// The offset that the next record will get.
    pub(crate) end: i64,
}

/// A partition's range, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogState {
    There(LogRange),
    /// The topic, or this partition of it, does not exist.
    Unknown,
    /// Nobody leads it at present.
    Leaderless,
}

impl LogState {
    pub(crate) fn range(self) -> Option<LogRange> {
        match self {
            Self::There(range) => Some(range),
            Self::Unknown | Self::Leaderless => None,
        }
    }
}

impl Client {
    /// The ranges of partitions; each that is asked for has an entry.
    pub(crate) fn log_states(
        &mut self,
        partitions: &BTreeSet<TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, LogState>, ClientError> {
        let names: BTreeSet<&str> = partitions.iter().map(|partition| partition.topic.as_str()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        self.retry(|client| {
            // An empty list of topics would be asked for nothing, and a missing one for all.
            let view = client.metadata_once(Some(&names))?;
            let leaders = leaders(&view.topics);
            let mut led: BTreeMap<&TopicPartition, i32> = BTreeMap::new();
            let mut states = BTreeMap::new();
            for partition in partitions {
                match leaders.get(partition) {
                    Some(leader) if *leader >= 0 => {
                        led.insert(partition, *leader);
                    }
                    Some(_) => {
                        states.insert(partition.clone(), LogState::Leaderless);
                    }
                    None => {
                        states.insert(partition.clone(), LogState::Unknown);
                    }
                }
            }
            let starts = client.offsets_once(&led, EARLIEST_TIMESTAMP)?;
            let ends = client.offsets_once(&led, LATEST_TIMESTAMP)?;
            for (partition, start) in starts {
                // Asked one after the other: the start may have moved past the end that was told before.
                let end = ends.get(&partition).copied().unwrap_or(start).max(start);
                states.insert(partition, LogState::There(LogRange { start, end }));
            }
            Ok(states)
        })
    }

    /// The offset that belongs to a timestamp, by partition; -1 where no record is as late. Partitions that nobody leads
    /// are left out.
    pub(crate) fn offsets_at(
        &mut self,
        partitions: &BTreeSet<TopicPartition>,
        timestamp: i64,
    ) -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
        let names: BTreeSet<&str> = partitions.iter().map(|partition| partition.topic.as_str()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        self.retry(|client| {
            let view = client.metadata_once(Some(&names))?;
            let leaders = leaders(&view.topics);
            let led = partitions
                .iter()
                .filter_map(|partition| Some((partition, *leaders.get(partition)?)))
                .filter(|(_, leader)| *leader >= 0)
                .collect();
            client.offsets_once(&led, timestamp)
        })
    }

    /// Where the logs of some partitions end on one node, whether it leads them or follows. Empty when the node cannot be
    /// asked, and without those that it does not keep.
    pub(crate) fn ends_on(
        &mut self,
        node_id: i32,
        partitions: &BTreeSet<&TopicPartition>,
    ) -> BTreeMap<TopicPartition, i64> {
        let asked = self.node(node_id).and_then(|node| {
            offsets_on(node, Asker::AnyReplica, LATEST_TIMESTAMP, partitions.iter().copied())
        });
        // It is not known then, and what others say is all the more wanted.
        asked.unwrap_or_else(|_| {
            self.connections.remove(&node_id);
            BTreeMap::new()
        })
    }

    /// Asks each leader once.
    fn offsets_once(
        &mut self,
        led: &BTreeMap<&TopicPartition, i32>,
        timestamp: i64,
    ) -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
        let mut by_leader: BTreeMap<i32, BTreeMap<&str, Vec<ListOffsetsPartition>>> = BTreeMap::new();
        for (partition, leader) in led {
            let topics = by_leader.entry(*leader).or_default();
            topics.entry(&partition.topic).or_default().push(ListOffsetsPartition {
                partition_index: partition.index,
                timestamp,
                ..Default::default()
            });
        }
        let mut offsets = BTreeMap::new();
        for (leader, topics) in by_leader {
            let topics =
                topics.into_iter().map(|(name, partitions)| ListOffsetsTopic { name, partitions }).collect();
            let answer = self.node(leader)?.call(&ListOffsetsRequest { topics, ..Default::default() })?;
            let response: ListOffsetsResponse<'_> = decoded(&answer)?;
            for topic in &response.topics {
                for partition in &topic.partitions {
                    if partition.error_code != ErrorCode::NONE {
                        let action = format!("find offsets of {}-{}", topic.name, partition.partition_index);
                        return Err(ClientError::refused(partition.error_code, None, action));
                    }
                    let key =
                        TopicPartition { topic: topic.name.to_string(), index: partition.partition_index };
                    offsets.insert(key, partition.offset);
                }
            }
        }
        Ok(offsets)
    }
}

/// What one node says of partitions, without those of which it says nothing.
pub(crate) fn offsets_on<'a>(
    connection: &mut Connection,
    asker: Asker,
    timestamp: i64,
    partitions: impl Iterator<Item = &'a TopicPartition>,
) -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
    let replica_id = match asker {
        Asker::Consumer => -1,
        Asker::AnyReplica => -2,
    };
    let partitions: Vec<&TopicPartition> = partitions.collect();
    let mut offsets = BTreeMap::new();
    for chunk in partitions.chunks(PARTITIONS_AT_ONCE) {
        let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
        for partition in chunk {
            topics.entry(&partition.topic).or_default().push(ListOffsetsPartition {
                partition_index: partition.index,
                timestamp,
                ..Default::default()
            });
        }
        let topics = topics.into_iter().map(|(name, partitions)| ListOffsetsTopic { name, partitions });
        let request = ListOffsetsRequest { replica_id, topics: topics.collect(), ..Default::default() };
        let answer = connection.call(&request)?;
        let response: ListOffsetsResponse<'_> = decoded(&answer)?;
        for topic in &response.topics {
            for partition in
                topic.partitions.iter().filter(|partition| partition.error_code == ErrorCode::NONE)
            {
                let key = TopicPartition { topic: topic.name.to_string(), index: partition.partition_index };
                offsets.insert(key, partition.offset);
            }
        }
    }
    Ok(offsets)
}

fn leaders(topics: &[TopicView]) -> BTreeMap<TopicPartition, i32> {
    let partitions = topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| {
            (TopicPartition { topic: topic.name.clone(), index: partition.index }, partition.leader)
        })
    });
    partitions.collect()
}
