//! The records that Kafka keeps in `__consumer_offsets`: committed offsets and groups.
//!
//! A record's key says what it is by its version; the value has a version of its own. Versions are
//! Kafka's: 3.9 writes values of version 3 (offsets with an expiry of their own: 1). What 4.2
//! writes is read too. Records of other kinds (the groups of KIP-848 and later) are named by their
//! key's version only.

use alloc::vec::Vec;

use crate::codec::{DecodeError, Reader, Uuid};
use crate::messages::table::{message, row};
use crate::versioned::{Versioned, versioned};

/// The version in which Kafka 3.9 writes the key of an offset; 0 is read.
pub const OFFSET_COMMIT_KEY_VERSION: i16 = 1;

/// The version of a group's key.
pub const GROUP_METADATA_KEY_VERSION: i16 = 2;

/// The version in which Kafka 3.9 writes a committed offset.
pub const OFFSET_COMMIT_VALUE_VERSION: i16 = 3;

/// The only version of a committed offset that has an expiry of its own.
pub const OFFSET_COMMIT_VALUE_VERSION_WITH_EXPIRY: i16 = 1;

/// The version in which Kafka 3.9 writes a group.
pub const GROUP_METADATA_VALUE_VERSION: i16 = 3;

/// The key of a record of the topic.
#[derive(Debug, Clone, PartialEq)]
pub enum CoordinatorKey<'a> {
    /// An offset is committed, or with a null value no longer.
    Offset(OffsetCommitKey<'a>),
    /// A group, or with a null value none any more.
    Group(GroupMetadataKey<'a>),
    /// A kind of record that is not known here: the version of its key.
    Other(i16),
}

impl<'a> CoordinatorKey<'a> {
    /// Reads a key.
    pub fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        match Reader::new(bytes).i16()? {
            0..=OFFSET_COMMIT_KEY_VERSION => OffsetCommitKey::read(bytes).map(|(_, key)| Self::Offset(key)),
            GROUP_METADATA_KEY_VERSION => GroupMetadataKey::read(bytes).map(|(_, key)| Self::Group(key)),
            other => Ok(Self::Other(other)),
        }
    }
}

message! {
    /// What an offset is committed for.
    struct OffsetCommitKey<'a> {
        group:     &'a str [0..];
        topic:     &'a str [0..];
        partition: i32     [0..];
    }
}

versioned!(OffsetCommitKey 0..=1, flexible from None, newer is read: false);

message! {
    /// A committed offset.
    struct OffsetCommitValue<'a> {
        offset:           i64     [0..];
        leader_epoch:     i32     [3..] default(-1) ignorable;
        metadata:         &'a str [0..];
        commit_timestamp: i64     [0..];
        /// -1 if the broker's retention counts.
        expire_timestamp: i64     [1..=1] default(-1) ignorable;
        topic_id:         Uuid    [4..] tag(0) ignorable;
    }
}

impl OffsetCommitValue<'_> {
    /// The version in which Kafka 3.9 writes this value.
    #[must_use]
    pub const fn version(&self) -> i16 {
        if self.expire_timestamp < 0 {
            OFFSET_COMMIT_VALUE_VERSION
        } else {
            OFFSET_COMMIT_VALUE_VERSION_WITH_EXPIRY
        }
    }
}

versioned!(OffsetCommitValue 0..=4, flexible from Some(4), newer is read: false);

message! {
    /// A group's name.
    struct GroupMetadataKey<'a> {
        group: &'a str [2..];
    }
}

versioned!(GroupMetadataKey 2..=2, flexible from None, newer is read: false);

message! {
    /// A generation of a group; without members the group is empty.
    struct GroupMetadataValue<'a> {
        protocol_type:           &'a str                 [0..];
        generation:              i32                     [0..];
        protocol:                Option<&'a str>         [0..];
        leader:                  Option<&'a str>         [0..];
        /// When the group came into its state.
        current_state_timestamp: i64                     [2..] default(-1) ignorable;
        members:                 Vec<MemberMetadata<'a>> [0..];
    }
}

versioned!(GroupMetadataValue 0..=4, flexible from Some(4), newer is read: false);

message! {
    /// A member of a generation.
    struct MemberMetadata<'a> {
        member_id:         &'a str         [0..];
        group_instance_id: Option<&'a str> [3..] ignorable;
        client_id:         &'a str         [0..];
        client_host:       &'a str         [0..];
        /// Milliseconds; -1 means the session's timeout.
        rebalance_timeout: i32             [1..] default(-1) ignorable;
        /// Milliseconds.
        session_timeout:   i32             [0..];
        /// The metadata for the chosen protocol.
        subscription:      &'a [u8]        [0..];
        assignment:        &'a [u8]        [0..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::versioned::tests::{assert_is_kafkas, assert_robust, recorded};

    const STATE_TIMESTAMP: i64 = 1_700_000_000_123;

    #[test]
    fn keys_are_those_of_kafka() {
        let offset = OffsetCommitKey { group: "orders-größe", topic: "orders", partition: 7 };
        let group = GroupMetadataKey { group: "orders-größe" };
        for version in 0..=1 {
            assert_is_kafkas("OffsetCommitKey", version, &offset);
            let bytes = recorded("OffsetCommitKey", version);
            assert_eq!(CoordinatorKey::read(&bytes), Ok(CoordinatorKey::Offset(offset.clone())));
        }
        assert_is_kafkas("GroupMetadataKey", 2, &group);
        let bytes = recorded("GroupMetadataKey", 2);
        assert_eq!(CoordinatorKey::read(&bytes), Ok(CoordinatorKey::Group(group)));
        assert_eq!(CoordinatorKey::read(&[0, 3, 0, 1, b'g']), Ok(CoordinatorKey::Other(3)));
        assert_eq!(CoordinatorKey::read(&[0xff, 0xff]), Ok(CoordinatorKey::Other(-1)));
        let end = DecodeError::UnexpectedEnd { needed: 2, remaining: 1 };
        assert_eq!(CoordinatorKey::read(&[0]), Err(end));
    }

    #[test]
    fn committed_offsets_are_those_of_kafka() {
        for version in 0..=4 {
            let value = OffsetCommitValue {
                offset: 0x0123_4567_89ab_cdef,
                leader_epoch: if version < 3 { -1 } else { 5 },
                metadata: "host-1",
                commit_timestamp: STATE_TIMESTAMP,
                expire_timestamp: if version == 1 { 1_700_000_600_123 } else { -1 },
                topic_id: Uuid::NIL,
            };
            assert_is_kafkas("OffsetCommitValue", version, &value);
            assert_eq!(value.version(), if version == 1 { 1 } else { 3 });
            if version == 4 {
                let topic_id = Uuid([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
                let value = OffsetCommitValue { topic_id, ..value };
                assert_is_kafkas("OffsetCommitValueWithTopicId", version, &value);
            }
        }
    }

    fn since<T>(first: i16, version: i16, value: T, absent: T) -> T {
        if version < first { absent } else { value }
    }

    #[test]
    fn groups_are_those_of_kafka() {
        for version in 0..=4 {
            let leader = MemberMetadata {
                member_id: "consumer-1-aaaa",
                group_instance_id: None,
                client_id: "consumer-1",
                client_host: "/127.0.0.1",
                rebalance_timeout: since(1, version, 300_000, -1),
                session_timeout: 45_000,
                subscription: b"sub",
                assignment: b"assigned",
            };
            let follower = MemberMetadata {
                member_id: "instance-2-bbbb",
                group_instance_id: since(3, version, Some("instance-2"), None),
                client_id: "",
                client_host: "/10.0.0.2",
                rebalance_timeout: since(1, version, 60_000, -1),
                session_timeout: 6000,
                subscription: b"",
                assignment: b"",
            };
            let group = GroupMetadataValue {
                protocol_type: "consumer",
                generation: 3,
                protocol: Some("range"),
                leader: Some("consumer-1-aaaa"),
                current_state_timestamp: since(2, version, STATE_TIMESTAMP, -1),
                members: Vec::from([leader, follower]),
            };
            assert_is_kafkas("GroupMetadataValue", version, &group);
            let empty = GroupMetadataValue {
                generation: 4,
                protocol: None,
                leader: None,
                current_state_timestamp: since(2, version, STATE_TIMESTAMP + 333, -1),
                members: Vec::new(),
                ..group
            };
            assert_is_kafkas("GroupMetadataValueEmpty", version, &empty);
        }
    }

    #[test]
    fn values_of_unknown_versions_are_refused() {
        for version in [-1, 5] {
            let unknown = DecodeError::UnknownFormatVersion(version);
            let bytes = [&version.to_be_bytes()[..], &[0; 40]].concat();
            assert_eq!(OffsetCommitValue::read(&bytes), Err(unknown));
            assert_eq!(GroupMetadataValue::read(&bytes), Err(unknown));
        }
    }

    #[test]
    fn tags_that_are_not_known_are_skipped() {
        let mut bytes = recorded("OffsetCommitValue", 4);
        assert_eq!(bytes.pop(), Some(0), "no tags");
        let plain = OffsetCommitValue::read(&bytes.clone()).expect_err("the tags are missing");
        assert!(matches!(plain, DecodeError::UnexpectedEnd { .. }));
        bytes.extend([1, 9, 2, 0xab, 0xcd]);
        let (version, value) = OffsetCommitValue::read(&bytes).expect("reads");
        assert_eq!((version, value.metadata), (4, "host-1"));
    }

    #[test]
    fn hostile_records_neither_panic_nor_allocate() {
        assert_robust::<OffsetCommitKey<'_>>();
        assert_robust::<OffsetCommitValue<'_>>();
        assert_robust::<GroupMetadataKey<'_>>();
        assert_robust::<GroupMetadataValue<'_>>();
    }
}
