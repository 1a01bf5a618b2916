//! Decisions about metadata: a request against an image gives records and an answer for each item. Pure.
//!
//! Owns Kafka's rules and words for refusing a change: clients show the words and tests of clients compare them. Does
//! not own when the records become true: that is `control_thread` with the store. One item that is refused never touches the
//! others of its request.

mod alter_configs;
mod alter_partition;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod drain;
mod elect_leaders;
mod features;
mod heartbeat;
mod leaderships;
mod partition_change;
mod placement;
mod reassign;
mod register_node;
mod request;
#[cfg(test)]
mod tests;
mod topic_name;

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use ringmain_protocol::ErrorCode;
use ringmain_storage::TopicId;
use serde::{Deserialize, Serialize};

pub use self::alter_configs::{AlterConfigs, ConfigChange, ConfigTarget};
pub use self::alter_partition::{AlterPartition, AlterPartitions, AlteredPartition};
pub use self::create_partitions::CreatePartitions;
pub use self::create_topics::{CreateTopic, CreatedTopic};
pub use self::delete_topics::{DeleteTopic, DeletedTopic};
pub use self::drain::DrainPlan;
pub use self::elect_leaders::{ELECTIONS_MAX, ElectedPartition, ElectionKind};
pub use self::features::{LevelChange, METADATA_FEATURE, METADATA_LEVELS, UpdateFeature};
pub use self::heartbeat::{Heartbeat, HeartbeatAnswer};
pub use self::reassign::{OngoingReassignment, Reassignment};
pub use self::register_node::{RegisterNode, Surviving};
pub use self::request::{ControllerAnswer, ControllerRequest};
pub use self::topic_name::check_topic_name;
use super::identity::NodeId;
use super::image::MetadataImage;
use super::record::MetadataRecord;
use crate::config::TopicDefaults;

/// Producer ids are handed to nodes in blocks of Kafka's size: one durable commit for so many producers, and at most so
/// many ids lost when a node stops. There are 2^63 of them.
pub const PRODUCER_ID_BLOCK: i64 = 1000;

/// Why an item of a request is refused, as the client gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Kafka's code.
    #[serde(with = "crate::foreign::error_code")]
    pub code: ErrorCode,
    /// Kafka's words, where Kafka sends any.
    pub message: Option<String>,
}

impl Refusal {
    /// A refusal with words.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: Some(message.into()) }
    }

    /// A refusal for which clients have words of their own.
    pub fn of(code: ErrorCode) -> Self {
        Self { code, message: None }
    }
}

/// What a request changes, and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<T> {
    /// To be committed together; empty when nothing changes.
    pub records: Vec<MetadataRecord>,
    /// The answer, true once the records are committed.
    pub answer: T,
}

/// Producer ids that are one node's to give away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerIdBlock {
    /// The first.
    pub first: i64,
    /// How many.
    pub count: i64,
}

/// What the controller knows besides the image.
#[derive(Debug, Clone)]
pub struct ControllerOptions {
    /// The node whose controller this is.
    pub node_id: NodeId,
    /// Partitions of a topic that is made without a number.
    pub default_partitions: i32,
    /// Replicas of a topic that is made without a number.
    pub default_replication_factor: i16,
    /// Partitions that there may be.
    pub partitions_max: usize,
    /// Partitions that one request may make.
    pub partitions_per_request_max: usize,
    /// Topic configurations below those that were set while running.
    pub topic_defaults: TopicDefaults,
}

/// Decides against one image.
#[derive(Debug, Clone, Copy)]
pub struct Controller<'a> {
    image: &'a MetadataImage,
    options: &'a ControllerOptions,
}

/// Gives a topic id that was never given before.
pub type NewTopicId<'a> = &'a mut dyn FnMut() -> TopicId;

impl<'a> Controller<'a> {
    /// A controller that decides against `image`.
    pub fn new(image: &'a MetadataImage, options: &'a ControllerOptions) -> Self {
        Self { image, options }
    }

    /// Hands the next block of producer ids to a node. The record is durable before the node gives one away, so an id
    /// is never given twice, whatever crashes.
    pub fn allocate_producer_ids(&self, node_id: NodeId) -> Decision<Result<ProducerIdBlock, Refusal>> {
        let first = self.image.next_producer_id();
        match first.checked_add(PRODUCER_ID_BLOCK) {
            Some(next) => Decision {
                records: vec![MetadataRecord::ProducerIdsAllocated { node_id, next }],
                answer: Ok(ProducerIdBlock { first, count: PRODUCER_ID_BLOCK }),
            },
            None => Decision {
                records: Vec::new(),
                answer: Err(Refusal::new(
                    ErrorCode::UNKNOWN_SERVER_ERROR,
                    "Exhausted all producerIds as the next block's end producerId has exceeded the int64 type limit",
                )),
            },
        }
    }

    /// Refuses a request that would make too many partitions, alone or with those that there are.
    fn check_partition_limits(&self, additional: usize) -> Result<(), Refusal> {
        if additional > self.options.partitions_per_request_max {
            return Err(Refusal::new(
                ErrorCode::POLICY_VIOLATION,
                "Excessively large number of partitions per request.",
            ));
        }
        let current = self.image.partition_count();
        let most = self.options.partitions_max;
        if current + additional > most {
            return Err(Refusal::new(
                ErrorCode::POLICY_VIOLATION,
                format!(
                    "{additional} more partition(s) would make {}, beyond the limit of {most} (topics.partitions_max).",
                    current + additional
                ),
            ));
        }
        Ok(())
    }
}
