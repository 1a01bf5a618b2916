//! Heartbeat: a member is alive, and learns whether its generation still is.

use super::table::{message, row};
use crate::ErrorCode;

message! {
    /// Says that a member is alive.
    struct HeartbeatRequest<'a>, request of Heartbeat {
        group_id:          &'a str         [0..];
        generation_id:     i32             [0..];
        member_id:         &'a str         [0..];
        group_instance_id: Option<&'a str> [3..];
    }
}

message! {
    /// Whether the member may go on.
    struct HeartbeatResponse, response of Heartbeat {
        throttle_time_ms: i32       [1..] ignorable;
        error_code:       ErrorCode [0..];
    }
}
