//! ListGroups: the groups that the broker coordinates.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// Asks for the groups in some states and of some types; an empty list means all.
    struct ListGroupsRequest<'a>, request of ListGroups {
        states_filter: Vec<&'a str> [4..];
        types_filter:  Vec<&'a str> [5..];
    }
}

message! {
    /// The groups.
    struct ListGroupsResponse<'a>, response of ListGroups {
        throttle_time_ms: i32                  [1..] ignorable;
        error_code:       ErrorCode            [0..];
        groups:           Vec<ListedGroup<'a>> [0..];
    }
}

message! {
    /// A group.
    struct ListedGroup<'a> {
        group_id:      Text<'a> [0..];
        protocol_type: Text<'a> [0..];
        group_state:   Text<'a> [4..] ignorable;
        group_type:    Text<'a> [5..] ignorable;
    }
}
