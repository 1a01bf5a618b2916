//! What goes to the controller and comes back, as bytes: a version, then the message in postcard's format.
//!
//! Lengths are bounded by the frames of the quorum, 1 MiB; postcard reserves no more than the bytes that are there.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::metadata::controller::{ControllerAnswer, ControllerRequest};

/// Of both messages. Nodes of another version are told so; variants that are added to the end need no other number.
const VERSION: u8 = 1;

/// What a node asks of the controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Asked {
    /// To be decided.
    Decide(ControllerRequest),
    /// Who keeps the metadata.
    DescribeQuorum,
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Reply {
    /// Decided, committed, and true from this version of the image on.
    Decided { version: u64, answer: ControllerAnswer },
    /// It may have been committed.
    Unknown,
    /// It cannot be read, or is not to be asked by this node.
    Refused(String),
    /// Who keeps the metadata.
    Quorum(QuorumDescription),
}

/// Who keeps the metadata, as the controller knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumDescription {
    /// The controller.
    pub leader: i32,
    /// Counts the leaderships.
    pub term: u64,
    /// Entries of the log below it are committed.
    pub high_watermark: u64,
    /// Those who vote.
    pub voters: Vec<QuorumMember>,
    /// Those who only learn.
    pub observers: Vec<QuorumMember>,
}

/// One who keeps the metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumMember {
    /// Its node.
    pub node: i32,
    /// The directory that its votes are in.
    pub directory: u128,
    /// Where its control thread is dialled.
    pub host: String,
    /// Where its control thread is dialled.
    pub port: u16,
    /// Entries of the log that it is known to have.
    pub log_end: u64,
    /// How long ago it last answered the controller.
    pub answered_ago_ms: Option<u64>,
}

/// Bytes that are no message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    #[error("it has version {0}, and this node knows version {VERSION}")]
    Version(u8),
    #[error("it cannot be read: {0}")]
    Malformed(String),
}

pub(super) fn encode<T: Serialize>(message: &T) -> Bytes {
    let bytes = postcard::to_extend(message, vec![VERSION]);
    bytes.expect("a vector takes everything, and every length is known").into()
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    let malformed = |problem: &str| WireError::Malformed(problem.to_owned());
    match bytes.split_first() {
        Some((&VERSION, message)) => match postcard::take_from_bytes(message) {
            Ok((message, [])) => Ok(message),
            Ok((_, left)) => Err(malformed(&format!("{} bytes are left over", left.len()))),
            Err(error) => Err(malformed(&error.to_string())),
        },
        Some((version, _)) => Err(WireError::Version(*version)),
        None => Err(malformed("it is empty")),
    }
}

#[cfg(test)]
mod tests {
    use ringmain_protocol::ErrorCode;

    use super::*;
    use crate::metadata::controller::{AlterPartition, AlterPartitions, CreateTopic, DeleteTopic, Refusal};
    use crate::metadata::{LeaderEpoch, NodeId, PartitionEpoch, TopicId};

    fn alter() -> Asked {
        Asked::Decide(ControllerRequest::AlterPartitions(AlterPartitions {
            node_id: NodeId(2),
            registration_epoch: 1 << 40,
            partitions: vec![AlterPartition {
                topic_id: TopicId([9; 16]),
                partition: 3,
                leader_epoch: LeaderEpoch::new(5),
                partition_epoch: PartitionEpoch(8),
                in_sync: vec![(NodeId(2), 7), (NodeId(1), 9)],
                recovering: true,
            }],
        }))
    }

    #[test]
    fn messages_come_back_as_they_were() {
        let topics = vec![CreateTopic { partitions: 3, ..CreateTopic::with_defaults("t") }];
        let deleted = vec![DeleteTopic { name: None, topic_id: Some(TopicId([1; 16])) }];
        for asked in [
            alter(),
            Asked::DescribeQuorum,
            Asked::Decide(ControllerRequest::CreateTopics { topics, validate_only: true }),
            Asked::Decide(ControllerRequest::DeleteTopics { topics: deleted }),
        ] {
            assert_eq!(decode(&encode(&asked)), Ok(asked));
        }
        let refusal = Err(Refusal::new(ErrorCode::NOT_CONTROLLER, "no"));
        let reply = Reply::Decided { version: 12, answer: ControllerAnswer::Reassign(vec![Ok(()), refusal]) };
        assert_eq!(decode(&encode(&reply)), Ok(reply));
    }

    /// Nodes of two releases meet while a cluster is upgraded one by one.
    #[test]
    fn the_bytes_stay_what_they_are() {
        let bytes = encode(&alter());
        let mut expected = vec![1, 0, 9, 4];
        // 2^40 in zigzag, seven bits a byte.
        expected.extend([0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 1]);
        expected.extend([9; 16]);
        expected.extend([6, 10, 16, 2, 4, 14, 2, 18, 1]);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn bytes_that_are_no_message_are_refused() {
        let good = encode(&alter());
        for length in 0..good.len() {
            assert!(decode::<Asked>(&good[..length]).is_err(), "{length} bytes of it");
        }
        let mut other = good.to_vec();
        other[0] = 2;
        assert_eq!(decode::<Asked>(&other), Err(WireError::Version(2)));
        let longer = [&good[..], &[0]].concat();
        assert!(matches!(decode::<Asked>(&longer), Err(WireError::Malformed(_))));
        // A list that claims to be longer than memory.
        let bomb = [1, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert!(decode::<Asked>(&bomb).is_err());
    }
}
