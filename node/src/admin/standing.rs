//! How well a partition is, by the metadata alone.

use serde::Serialize;

use crate::metadata::{MetadataImage, PartitionImage, TopicImage};

/// How well a partition is, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Standing {
    /// Nobody can use it.
    Leaderless,
    /// Records with acks=all are refused.
    UnderMinInSync,
    /// A replica that should be in sync is not.
    UnderReplicated,
    Fine,
}

impl Standing {
    pub(super) fn of(image: &MetadataImage, topic: &TopicImage, partition: &PartitionImage) -> Self {
        let expected = partition.replicas.iter().filter(|node| !partition.adding.contains(node));
        let is_whole = expected.into_iter().all(|node| partition.in_sync.contains(node));
        if partition.leader.is_none() {
            Self::Leaderless
        } else if is_whole {
            Self::Fine
        } else if partition.in_sync.len() < partition.min_in_sync(image.configured_min_in_sync(topic)) {
            Self::UnderMinInSync
        } else {
            Self::UnderReplicated
        }
    }

    /// Whether it belongs to what a list is narrowed to; an unknown word narrows to nothing wrong.
    pub(super) fn is_among(self, only: &str) -> bool {
        match only {
            "" => true,
            "problems" => self != Self::Fine,
            "leaderless" => self == Self::Leaderless,
            "short" => self == Self::UnderMinInSync,
            "behind" => self == Self::UnderReplicated,
            _ => false,
        }
    }
}
