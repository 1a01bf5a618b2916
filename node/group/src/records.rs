//! Groups and offsets as records of the offsets topic, as Kafka 3.9 writes them.
//!
//! Encoding cannot fail: texts are measured where they enter ([`TEXT_BYTES_MAX`]).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;
use ringmain_protocol::Versioned;
use ringmain_protocol::codec::{Decode, Reader, Version};
use ringmain_protocol::consumer_protocol::ConsumerProtocolSubscription;
use ringmain_protocol::coordinator_records::{
    GROUP_METADATA_KEY_VERSION, GROUP_METADATA_VALUE_VERSION, GroupMetadataKey, GroupMetadataValue,
    MemberMetadata, OFFSET_COMMIT_KEY_VERSION, OffsetCommitKey, OffsetCommitValue,
};

use crate::group::{Group, MemberNumber};
use crate::{CommittedOffset, Record};

/// Longest text that a record can hold: its length is written in 16 bits. Requests of flexible versions may bring
/// longer ones, which are refused.
pub(crate) const TEXT_BYTES_MAX: usize = i16::MAX as usize;

const FITS: &str = "texts were measured when they entered";

/// The group as it stands, with these assignments; members without one have an empty one.
pub(crate) fn group(group: &Group, assignments: &BTreeMap<MemberNumber, Bytes>) -> Record {
    let protocol = group.protocol_name().map(|name| &**name);
    let members = group.members().iter().map(|(number, member)| MemberMetadata {
        member_id: &member.id,
        group_instance_id: member.instance_id.as_deref(),
        client_id: &member.client.id,
        client_host: &member.client.host,
        rebalance_timeout: member.wishes.rebalance_timeout_ms,
        session_timeout: member.wishes.session_timeout_ms,
        subscription: protocol
            .and_then(|name| member.wishes.metadata(name))
            .map_or(&[][..], |metadata| metadata),
        assignment: assignments.get(&number).map_or(&[][..], |assignment| assignment),
    });
    let value = GroupMetadataValue {
        protocol_type: group.protocol_type().map_or("", |name| name),
        generation: group.generation(),
        protocol,
        leader: group.leader_id().map(|id| &**id),
        current_state_timestamp: group.state_since_ms().unwrap_or(-1),
        members: members.collect(),
    };
    let value = value.write(GROUP_METADATA_VALUE_VERSION).expect(FITS);
    Record { key: group_key(group.name()), value: Some(value.into()) }
}

/// Deletes a group.
pub(crate) fn group_tombstone(name: &str) -> Record {
    Record { key: group_key(name), value: None }
}

/// A committed offset.
pub(crate) fn offset(group: &str, topic: &str, partition: i32, offset: &CommittedOffset) -> Record {
    let value = OffsetCommitValue {
        offset: offset.offset,
        leader_epoch: offset.leader_epoch,
        metadata: &offset.metadata,
        commit_timestamp: offset.committed_at_ms,
        expire_timestamp: offset.expires_at_ms.unwrap_or(-1),
        ..OffsetCommitValue::default()
    };
    let value = value.write(value.version()).expect(FITS);
    Record { key: offset_key(group, topic, partition), value: Some(value.into()) }
}

/// Deletes a committed offset.
pub(crate) fn offset_tombstone(group: &str, topic: &str, partition: i32) -> Record {
    Record { key: offset_key(group, topic, partition), value: None }
}

fn group_key(group: &str) -> Bytes {
    GroupMetadataKey { group }.write(GROUP_METADATA_KEY_VERSION).expect(FITS).into()
}

fn offset_key(group: &str, topic: &str, partition: i32) -> Bytes {
    OffsetCommitKey { group, topic, partition }.write(OFFSET_COMMIT_KEY_VERSION).expect(FITS).into()
}

/// The topics in a consumer's metadata. Read in the first version, which every later one begins with, as Kafka does:
/// a newer client is understood as far as it matters here. `None` if it cannot be read.
pub(crate) fn subscribed_topics(metadata: &[u8]) -> Option<Vec<&str>> {
    let mut reader = Reader::new(metadata);
    let version = reader.i16().ok()?;
    if version < 0 {
        return None;
    }
    let subscription = ConsumerProtocolSubscription::decode(&mut reader, Version::new(0, false)).ok()?;
    Some(subscription.topics)
}
