//! DescribeGroups: state and members of groups.

use alloc::vec::Vec;

use super::AUTHORIZED_OPERATIONS_OMITTED;
use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// Asks for groups by name.
    struct DescribeGroupsRequest<'a>, request of DescribeGroups {
        groups:                        Vec<&'a str> [0..];
        include_authorized_operations: bool         [3..];
    }
}

message! {
    /// The groups.
    struct DescribeGroupsResponse<'a>, response of DescribeGroups {
        throttle_time_ms: i32                     [1..] ignorable;
        groups:           Vec<DescribedGroup<'a>> [0..];
    }
}

message! {
    /// A group. One that does not exist is `Dead`; from version 6 there is an error too.
    struct DescribedGroup<'a> {
        error_code:            ErrorCode                     [0..];
        error_message:         Option<Text<'a>>              [6..] ignorable;
        group_id:              Text<'a>                      [0..];
        group_state:           Text<'a>                      [0..];
        protocol_type:         Text<'a>                      [0..];
        /// The name of the chosen protocol.
        protocol_data:         Text<'a>                      [0..];
        members:               Vec<DescribedGroupMember<'a>> [0..];
        authorized_operations: i32 [3..] default(AUTHORIZED_OPERATIONS_OMITTED);
    }
}

message! {
    /// A member of a group.
    struct DescribedGroupMember<'a> {
        member_id:         Text<'a>         [0..];
        group_instance_id: Option<Text<'a>> [4..] ignorable;
        client_id:         Text<'a>         [0..];
        client_host:       Text<'a>         [0..];
        member_metadata:   &'a [u8]         [0..];
        member_assignment: &'a [u8]         [0..];
    }
}
