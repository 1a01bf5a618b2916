//! Which APIs are served, in which versions, and from which version on they are flexible.
//!
//! The table is the whole of what the broker advertises. Its lower and upper ends are chosen for
//! real clients: see the rows' comments.

use core::fmt;

use crate::codec::Version;

/// For an API none of whose versions is flexible: a version that no client can ask for.
const NEVER_FLEXIBLE: i16 = i16::MAX;

macro_rules! api_keys {
    ($($(#[$meta:meta])* $code:literal $name:ident $min:literal..=$max:literal $(, flexible from $flexible:literal)?;)*) => {
        /// An API that is served.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        #[allow(missing_docs, reason = "variants bear Kafka's names of the APIs")]
        pub enum ApiKey {
            $($(#[$meta])* $name = $code,)*
        }

        impl ApiKey {
            /// All that are served, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The API with this number, if it is served.
            #[must_use]
            pub const fn from_code(code: i16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The versions that are served.
            #[must_use]
            pub const fn versions(self) -> VersionRange {
                match self {
                    $(Self::$name => VersionRange { min: $min, max: $max },)*
                }
            }

            const fn flexible_from(self) -> i16 {
                match self {
                    $(Self::$name => [$($flexible,)? NEVER_FLEXIBLE][0],)*
                }
            }
        }
    };
}

api_keys! {
    /// Versions 0 to 2 carry formats older than record batches: they are parsed only to be answered
    /// with `UNSUPPORTED_VERSION`. They are advertised because librdkafka before 2.11.1 does not
    /// compress unless version 0 is in the range. Above 11 transactions work differently.
    0  Produce                 0..=11, flexible from 9;
    1  Fetch                   4..=17, flexible from 12;
    2  ListOffsets             1..=10, flexible from 6;
    3  Metadata                0..=13, flexible from 9;
    /// Below 2 the broker stored offsets elsewhere; 9 is for the groups of KIP-848, as in OffsetFetch.
    8  OffsetCommit            2..=8,  flexible from 8;
    9  OffsetFetch             1..=8,  flexible from 6;
    10 FindCoordinator         0..=4,  flexible from 3;
    11 JoinGroup               0..=9,  flexible from 6;
    12 Heartbeat               0..=4,  flexible from 4;
    13 LeaveGroup              0..=5,  flexible from 4;
    14 SyncGroup               0..=5,  flexible from 4;
    15 DescribeGroups          0..=6,  flexible from 5;
    16 ListGroups              0..=5,  flexible from 3;
    17 SaslHandshake           0..=1;
    18 ApiVersions             0..=4,  flexible from 3;
    19 CreateTopics            2..=7,  flexible from 5;
    20 DeleteTopics            1..=6,  flexible from 4;
    21 DeleteRecords           0..=2,  flexible from 2;
    22 InitProducerId          0..=4,  flexible from 2;
    23 OffsetForLeaderEpoch    2..=4,  flexible from 4;
    32 DescribeConfigs         1..=4,  flexible from 4;
    33 AlterConfigs            0..=2,  flexible from 2;
    35 DescribeLogDirs         1..=4,  flexible from 2;
    36 SaslAuthenticate        0..=2,  flexible from 2;
    37 CreatePartitions        0..=3,  flexible from 2;
    42 DeleteGroups            0..=2,  flexible from 2;
    43 ElectLeaders            0..=2,  flexible from 2;
    44 IncrementalAlterConfigs 0..=1,  flexible from 1;
    45 AlterPartitionReassignments 0..=1, flexible from 0;
    46 ListPartitionReassignments 0..=0, flexible from 0;
    47 OffsetDelete            0..=0;
    55 DescribeQuorum          0..=2,  flexible from 0;
    57 UpdateFeatures          0..=2,  flexible from 0;
    60 DescribeCluster         0..=2,  flexible from 0;
    61 DescribeProducers       0..=0,  flexible from 0;
    64 UnregisterBroker        0..=0,  flexible from 0;
    75 DescribeTopicPartitions 0..=0,  flexible from 0;
}

impl ApiKey {
    /// The API's number.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Version `number`, if it is served.
    #[must_use]
    pub const fn version(self, number: i16) -> Option<Version> {
        if self.versions().contains(number) {
            Some(Version::new(number, self.is_flexible(number)))
        } else {
            None
        }
    }

    /// Whether version `number` is flexible; also answered for versions that are not served.
    #[must_use]
    pub const fn is_flexible(self, number: i16) -> bool {
        number >= self.flexible_from()
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// Versions of an API, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionRange {
    /// The lowest.
    pub min: i16,
    /// The highest.
    pub max: i16,
}

impl VersionRange {
    /// Whether `version` is one of them.
    #[must_use]
    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// Each of them, ascending.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = i16> {
        self.min..=self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_lead_back_to_their_keys() {
        for &key in ApiKey::ALL {
            assert_eq!(ApiKey::from_code(key.code()), Some(key));
        }
        assert_eq!(ApiKey::from_code(-1), None);
        assert_eq!(ApiKey::from_code(4), None, "LeaderAndIsr is not for clients");
    }

    #[test]
    fn what_real_clients_need_is_advertised() {
        assert_eq!(ApiKey::Produce.versions(), VersionRange { min: 0, max: 11 });
        assert!(ApiKey::Fetch.versions().contains(4), "kafka-python 2.0.2 is fixed to 4");
        assert!(ApiKey::ListOffsets.versions().contains(1), "kafka-python 2.0.2 is fixed to 1");
        assert!(ApiKey::InitProducerId.versions().contains(0), "librdkafka looks for 0");
    }
}
