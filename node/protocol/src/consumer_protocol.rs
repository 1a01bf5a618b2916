//! What consumers tell each other through the coordinator: the metadata and the assignments of
//! groups whose protocol type is `consumer`.
//!
//! The bytes come from clients, and groups of other types put other things there: what cannot be
//! read must not disturb the group. A version above the known ones is read as the last known one,
//! which it begins with.

use alloc::vec::Vec;

use crate::messages::table::{message, row};
use crate::versioned::versioned;

/// The protocol type of groups that use these structures.
pub const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

message! {
    /// What a consumer wants to read, and what it has.
    struct ConsumerProtocolSubscription<'a> {
        topics:           Vec<&'a str>                [0..];
        user_data:        Option<&'a [u8]>            [0..];
        owned_partitions: Vec<ConsumerPartitions<'a>> [1..] ignorable;
        generation_id:    i32                         [2..] default(-1) ignorable;
        rack_id:          Option<&'a str>             [3..] ignorable;
    }
}

versioned!(ConsumerProtocolSubscription 0..=3, flexible from None, newer is read: true);

message! {
    /// What a consumer shall read.
    struct ConsumerProtocolAssignment<'a> {
        assigned_partitions: Vec<ConsumerPartitions<'a>> [0..];
        user_data:           Option<&'a [u8]>            [0..];
    }
}

versioned!(ConsumerProtocolAssignment 0..=3, flexible from None, newer is read: true);

message! {
    /// Partitions of one topic.
    struct ConsumerPartitions<'a> {
        topic:      &'a str  [0..];
        partitions: Vec<i32> [0..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Versioned;
    use crate::codec::DecodeError;
    use crate::versioned::tests::{assert_is_kafkas, assert_robust, recorded};

    fn subscription(version: i16) -> ConsumerProtocolSubscription<'static> {
        let owned = ConsumerPartitions { topic: "orders", partitions: Vec::from([0, 2]) };
        ConsumerProtocolSubscription {
            topics: Vec::from(["orders", "payments"]),
            user_data: (version % 2 == 1).then_some(b"user"),
            owned_partitions: if version < 1 { Vec::new() } else { Vec::from([owned]) },
            generation_id: if version < 2 { -1 } else { 9 },
            rack_id: (version == 3).then_some("rack-a"),
        }
    }

    #[test]
    fn structures_are_those_of_kafka() {
        for version in 0..=3 {
            assert_is_kafkas("ConsumerProtocolSubscription", version, &subscription(version));
            let assigned = ConsumerPartitions { topic: "payments", partitions: Vec::from([1, 3]) };
            let assignment = ConsumerProtocolAssignment {
                assigned_partitions: Vec::from([assigned]),
                user_data: (version % 2 == 1).then_some(b"user"),
            };
            assert_is_kafkas("ConsumerProtocolAssignment", version, &assignment);
        }
    }

    #[test]
    fn a_newer_version_is_read_as_the_last_known() {
        let mut bytes = recorded("ConsumerProtocolSubscription", 3);
        bytes[1] = 7;
        bytes.extend(b"and what version 7 adds");
        assert_eq!(ConsumerProtocolSubscription::read(&bytes), Ok((7, subscription(3))));
        bytes[0] = 0x80;
        let negative = DecodeError::UnknownFormatVersion(i16::from_be_bytes([0x80, 7]));
        assert_eq!(ConsumerProtocolSubscription::read(&bytes), Err(negative));
    }

    #[test]
    fn hostile_structures_neither_panic_nor_allocate() {
        assert_robust::<ConsumerProtocolSubscription<'_>>();
        assert_robust::<ConsumerProtocolAssignment<'_>>();
    }
}
