//! FindCoordinator: which broker coordinates a group or a transactional id.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

/// The value of `key_type` whose keys are groups; what version 0 asks for.
pub const COORDINATOR_OF_GROUP: i8 = 0;

/// The value of `key_type` whose keys are transactional ids.
pub const COORDINATOR_OF_TRANSACTION: i8 = 1;

message! {
    /// Asks for one coordinator, from version 4 for several (KIP-699).
    struct FindCoordinatorRequest<'a>, request of FindCoordinator {
        key:              &'a str      [..=3];
        key_type:         i8           [1..] default(COORDINATOR_OF_GROUP);
        coordinator_keys: Vec<&'a str> [4..];
    }
}

message! {
    /// Where the coordinators are.
    struct FindCoordinatorResponse<'a>, response of FindCoordinator {
        throttle_time_ms: i32                  [1..] ignorable;
        error_code:       ErrorCode            [..=3];
        error_message:    Option<Text<'a>>     [1..=3] ignorable;
        /// -1 where there is none, with an empty host and port -1.
        node_id:          i32                  [..=3];
        host:             Text<'a>             [..=3];
        port:             i32                  [..=3];
        coordinators:     Vec<Coordinator<'a>> [4..];
    }
}

message! {
    /// Where the coordinator of one key is.
    struct Coordinator<'a> {
        key:           Text<'a>         [4..];
        /// -1 where there is none, with an empty host and port -1.
        node_id:       i32              [4..];
        host:          Text<'a>         [4..];
        port:          i32              [4..];
        error_code:    ErrorCode        [4..];
        error_message: Option<Text<'a>> [4..] ignorable;
    }
}
