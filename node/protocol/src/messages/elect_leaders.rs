//! ElectLeaders: has the controller choose leaders anew (KIP-183, KIP-460).

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// Asks for elections; null asks for those of all partitions.
    struct ElectLeadersRequest<'a>, request of ElectLeaders {
        /// 0: the preferred leader, 1: whoever is left.
        election_type:    i8                                    [1..];
        topic_partitions: Option<Vec<ElectLeadersTopic<'a>>>    [0..] default(Some(Vec::new()));
        timeout_ms:       i32                                   [0..] default(60_000);
    }
}

message! {
    /// Partitions of one topic.
    struct ElectLeadersTopic<'a> {
        topic:      &'a str  [0..];
        partitions: Vec<i32> [0..];
    }
}

message! {
    /// What became of the elections.
    struct ElectLeadersResponse<'a>, response of ElectLeaders {
        throttle_time_ms:         i32                            [0..];
        error_code:               ErrorCode                      [1..];
        replica_election_results: Vec<ReplicaElectionResult<'a>> [0..];
    }
}

message! {
    /// Partitions of one topic.
    struct ReplicaElectionResult<'a> {
        topic:            Text<'a>                         [0..];
        partition_result: Vec<PartitionElectionResult<'a>> [0..];
    }
}

message! {
    /// What became of one election.
    struct PartitionElectionResult<'a> {
        partition_id:  i32              [0..];
        error_code:    ErrorCode        [0..];
        error_message: Option<Text<'a>> [0..] default(Some(Text::Borrowed("")));
    }
}
