//! JoinGroup: a member enters a group, or enters it again, and waits for the next generation.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// Asks to take part in the next generation of a group.
    struct JoinGroupRequest<'a>, request of JoinGroup {
        group_id:             &'a str                       [0..];
        session_timeout_ms:   i32                           [0..];
        /// Version 0 has none: the session's timeout counts there.
        rebalance_timeout_ms: i32                           [1..] default(-1) ignorable;
        /// Empty from one that is new.
        member_id:            &'a str                       [0..];
        group_instance_id:    Option<&'a str>               [5..];
        protocol_type:        &'a str                       [0..];
        /// In the order of the member's preference.
        protocols:            Vec<JoinGroupRequestProtocol<'a>> [0..];
        reason:               Option<&'a str>               [8..] ignorable;
    }
}

message! {
    /// A protocol (an assignor) that the member supports.
    struct JoinGroupRequestProtocol<'a> {
        name:     &'a str  [0..];
        metadata: &'a [u8] [0..];
    }
}

message! {
    /// The new generation; the leader also gets the members.
    struct JoinGroupResponse<'a>, response of JoinGroup {
        throttle_time_ms: i32                          [2..] ignorable;
        error_code:       ErrorCode                    [0..];
        generation_id:    i32                          [0..] default(-1);
        protocol_type:    Option<Text<'a>>             [7..] ignorable;
        /// Where there is none: null from version 7, empty before.
        protocol_name:    Option<Text<'a>> [0..] nullable(7..) default(Some(Text::Borrowed("")));
        leader:           Text<'a>                     [0..];
        /// KIP-814: a static leader that came back keeps the assignment.
        skip_assignment:  bool                         [9..];
        member_id:        Text<'a>                     [0..];
        members:          Vec<JoinGroupResponseMember<'a>> [0..];
    }
}

message! {
    /// A member, with its metadata for the chosen protocol.
    struct JoinGroupResponseMember<'a> {
        member_id:         Text<'a>         [0..];
        group_instance_id: Option<Text<'a>> [5..] ignorable;
        metadata:          &'a [u8]         [0..];
    }
}
