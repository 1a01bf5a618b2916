//! LeaveGroup: members leave at once instead of when their sessions end.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// Takes a member out of the group, from version 3 several.
    struct LeaveGroupRequest<'a>, request of LeaveGroup {
        group_id:  &'a str                  [0..];
        member_id: &'a str                  [..=2];
        members:   Vec<MemberIdentity<'a>>  [3..];
    }
}

message! {
    /// A member: by its id, or by its instance id with an empty one.
    struct MemberIdentity<'a> {
        member_id:         &'a str         [3..];
        group_instance_id: Option<&'a str> [3..];
        reason:            Option<&'a str> [5..] ignorable;
    }
}

message! {
    /// What became of each member.
    struct LeaveGroupResponse<'a>, response of LeaveGroup {
        throttle_time_ms: i32                     [1..] ignorable;
        error_code:       ErrorCode               [0..];
        members:          Vec<MemberResponse<'a>> [3..];
    }
}

message! {
    /// What became of one member.
    struct MemberResponse<'a> {
        member_id:         Text<'a>         [3..];
        group_instance_id: Option<Text<'a>> [3..];
        error_code:        ErrorCode        [3..];
    }
}
