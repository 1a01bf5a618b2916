//! The topic that keeps groups and their offsets: made when it is first needed, divided among groups as Kafka does.
//!
//! What must hold: requests that race make one topic; a group falls on the partition on which Kafka puts it, so that
//! Kafka's tools find it there.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use ringmain_protocol::ErrorCode;
use ringmain_storage::LogKey;

use crate::{
    metadata::{OFFSETS_TOPIC, controller::CreateTopic},
    shard::Shard,
};

/// As Kafka makes it: small segments are compacted soon, which keeps loading short.
const SEGMENT_BYTES: &str = "104857600";
/// Time between two reports that the topic cannot be made.
const REPORT_PERIOD: Duration = Duration::from_secs(10);

impl Shard {
    /// The partition that keeps a group, if the topic was made.
    pub(super) fn offsets_partition(&self, group: &str) -> Option<LogKey> {
        let image = self.image();
        let topic = image.topic(OFFSETS_TOPIC)?;
        Some(LogKey { topic_id: topic.id, partition: partition_for(group, topic.partitions.len())? })
    }

    /// Makes the offsets topic unless it is there, and waits until every shard serves it.
    pub(crate) async fn provide_offsets_topic(self: &Rc<Self>) -> Result<(), ErrorCode> {
        if self.image().topic(OFFSETS_TOPIC).is_some() {
            return Ok(());
        }
        let created = self.metadata().create_topics(vec![self.offsets_topic()], false).await;
        let result = match created.as_deref() {
            Ok([Ok(_)]) => {
                tracing::info!(topic = OFFSETS_TOPIC, "made the topic of committed offsets");
                Ok(())
            }
            // Another request was faster.
            Ok([Err(refusal)]) if refusal.code == ErrorCode::TOPIC_ALREADY_EXISTS => Ok(()),
            Ok([Err(refusal)]) => Err(refusal.message.clone().unwrap_or_else(|| refusal.code.to_string())),
            Ok(_) => unreachable!("one topic was asked for"),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = result {
            self.report_refusal(&error);
            return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
        self.applied_everywhere().await;
        Ok(())
    }

    /// Says it, but not for each of the clients that ask again and again.
    fn report_refusal(&self, error: &str) {
        let (reported, now) = (&self.coordinators.refusal_reported, Instant::now());
        if reported.get().is_none_or(|at| now.duration_since(at) >= REPORT_PERIOD) {
            reported.set(Some(now));
            tracing::warn!(
                topic = OFFSETS_TOPIC,
                error,
                "make the topic of committed offsets: no group can work before it is there"
            );
        }
    }

    fn offsets_topic(&self) -> CreateTopic {
        let groups = &self.config().groups;
        // Not fewer replicas because a node of the cluster is late: they would stay so few.
        let voters = self.config().cluster.as_ref().map_or(0, |cluster| cluster.voters.len());
        let nodes = i16::try_from(self.image().nodes().len().max(voters)).unwrap_or(i16::MAX);
        let configs = [
            ("cleanup.policy", "compact"),
            ("compression.type", "producer"),
            ("segment.bytes", SEGMENT_BYTES),
        ];
        CreateTopic {
            partitions: groups.offsets_topic_partitions,
            replication_factor: groups.offsets_topic_replication_factor.min(nodes),
            configs: configs.map(|(name, value)| (name.to_owned(), Some(value.to_owned()))).into(),
            ..CreateTopic::with_defaults(OFFSETS_TOPIC)
        }
    }
}

/// Kafka's `Utils.abs(groupId.hashCode) % partitions`. `None` for a topic without partitions.
fn partition_for(group: &str, partitions: usize) -> Option<i32> {
    let partitions = i32::try_from(partitions).ok()?;
    // Java hashes UTF-16 units; its `Utils.abs` makes the smallest integer zero.
    let hash = |hash: i32, unit: u16| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    let hash = group.encode_utf16().fold(0, hash);
    hash.checked_abs().unwrap_or(0).checked_rem(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_fall_on_the_partitions_that_kafka_chooses() {
        // The numbers before the modulo are those of `hashCode()` in Java, without sign.
        assert_eq!(partition_for("", 50), Some(0));
        assert_eq!(partition_for("console-consumer", 50), Some(648_006_740 % 50));
        assert_eq!(partition_for("polygenelubricants", 50), Some(0), "the hash is the smallest integer");
        assert_eq!(partition_for("gr\u{fc}n", 1), Some(0));
        assert_eq!(partition_for("a", 50), Some(97 % 50));
        assert_eq!(partition_for("\u{1f600}", 50), Some((0xd83d * 31 + 0xde00) % 50));
        assert_eq!(partition_for("any", 0), None);
    }
}
