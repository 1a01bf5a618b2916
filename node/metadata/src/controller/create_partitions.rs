//! CreatePartitions: a topic gets more of them. There is no way to have fewer.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use ringmain_protocol::ErrorCode;
use serde::{Deserialize, Serialize};

use super::{Controller, Decision, Refusal};
use crate::internal_topics::OFFSETS_TOPIC;
use crate::record::MetadataRecord;

/// How many partitions a topic is to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatePartitions {
    /// Which topic.
    pub topic: String,
    /// How many afterwards.
    pub total: i32,
    /// The replicas of each new one, where the client wants to choose them.
    pub assignments: Option<Vec<Vec<i32>>>,
}

impl Controller<'_> {
    /// Adds partitions. The answers are in the order of the request.
    pub fn create_partitions(
        &self,
        topics: &[CreatePartitions],
        validate_only: bool,
    ) -> Decision<Vec<Result<(), Refusal>>> {
        let mut times_named: BTreeMap<&str, usize> = BTreeMap::new();
        for item in topics {
            *times_named.entry(&item.topic).or_default() += 1;
        }
        let mut records: Vec<MetadataRecord> = Vec::new();
        let mut answer = Vec::with_capacity(topics.len());
        for item in topics {
            let result = if times_named[item.topic.as_str()] > 1 {
                Err(Refusal::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name."))
            } else {
                // What this request makes so far counts.
                self.new_partitions(item, records.len())
            };
            answer.push(result.map(|added| records.extend(added)));
        }
        if validate_only {
            records.clear();
        }
        Decision { records, answer }
    }

    fn new_partitions(
        &self,
        item: &CreatePartitions,
        made_before: usize,
    ) -> Result<Vec<MetadataRecord>, Refusal> {
        let topic =
            self.image.topic(&item.topic).ok_or(Refusal::of(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?;
        let current = topic.partitions.len();
        if item.topic == OFFSETS_TOPIC {
            // Kafka allows it, and then looks for the offsets of most groups where they are not.
            return Err(Refusal::new(
                ErrorCode::INVALID_PARTITIONS,
                format!(
                    "The number of partitions of {OFFSETS_TOPIC} says where each group is kept; it cannot change."
                ),
            ));
        }
        let additional = match usize::try_from(item.total) {
            Ok(total) if total == current => {
                return Err(Refusal::new(
                    ErrorCode::INVALID_PARTITIONS,
                    format!("Topic already has {current} partition(s)."),
                ));
            }
            Ok(total) if total > current => total - current,
            _ => {
                return Err(Refusal::new(
                    ErrorCode::INVALID_PARTITIONS,
                    format!(
                        "The topic {} currently has {current} partition(s); {} would not be an increase.",
                        item.topic, item.total
                    ),
                ));
            }
        };
        self.check_partition_limits(made_before + additional)?;
        let replication_factor = topic.partitions.first().map_or(1, |partition| partition.replicas.len());
        let placed = match &item.assignments {
            None => self.place(topic.id, current, additional, replication_factor)?,
            Some(assignments) if assignments.len() != additional => {
                return Err(Refusal::new(
                    ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                    format!(
                        "Attempted to add {additional} additional partition(s), but only {} assignment(s) were \
                         specified.",
                        assignments.len()
                    ),
                ));
            }
            Some(assignments) => assignments
                .iter()
                .map(|replicas| self.check_manual_replicas(replicas, Some(replication_factor)))
                .collect::<Result<_, _>>()?,
        };
        self.partition_records(topic.id, current, placed)
    }
}
