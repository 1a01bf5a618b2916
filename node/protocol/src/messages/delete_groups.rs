//! DeleteGroups: deletes groups without members, and their offsets.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// Asks for groups to be deleted.
    struct DeleteGroupsRequest<'a>, request of DeleteGroups {
        groups_names: Vec<&'a str> [0..];
    }
}

message! {
    /// What became of each group.
    struct DeleteGroupsResponse<'a>, response of DeleteGroups {
        throttle_time_ms: i32                           [0..];
        results:          Vec<DeletableGroupResult<'a>> [0..];
    }
}

message! {
    /// What became of one group.
    struct DeletableGroupResult<'a> {
        group_id:   Text<'a>  [0..];
        error_code: ErrorCode [0..];
    }
}
