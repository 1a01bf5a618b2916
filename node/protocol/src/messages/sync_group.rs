//! SyncGroup: the leader hands in the assignments of a generation, each member takes its own.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// Asks for the assignment; the leader brings all of them.
    struct SyncGroupRequest<'a>, request of SyncGroup {
        group_id:          &'a str                         [0..];
        generation_id:     i32                             [0..];
        member_id:         &'a str                         [0..];
        group_instance_id: Option<&'a str>                 [3..];
        protocol_type:     Option<&'a str>                 [5..] ignorable;
        protocol_name:     Option<&'a str>                 [5..] ignorable;
        assignments:       Vec<SyncGroupRequestAssignment<'a>> [0..];
    }
}

message! {
    /// The assignment of one member.
    struct SyncGroupRequestAssignment<'a> {
        member_id:  &'a str  [0..];
        assignment: &'a [u8] [0..];
    }
}

message! {
    /// The member's assignment.
    struct SyncGroupResponse<'a>, response of SyncGroup {
        throttle_time_ms: i32              [1..] ignorable;
        error_code:       ErrorCode        [0..];
        protocol_type:    Option<Text<'a>> [5..] ignorable;
        protocol_name:    Option<Text<'a>> [5..] ignorable;
        assignment:       &'a [u8]         [0..];
    }
}
