//! UnregisterBroker: takes a broker that is gone for good out of the cluster.

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// Names the broker.
    struct UnregisterBrokerRequest, request of UnregisterBroker {
        broker_id: i32 [0..];
    }
}

message! {
    /// Whether it is out.
    struct UnregisterBrokerResponse<'a>, response of UnregisterBroker {
        throttle_time_ms: i32              [0..];
        error_code:       ErrorCode        [0..];
        error_message:    Option<Text<'a>> [0..] default(Some(Text::Borrowed("")));
    }
}
