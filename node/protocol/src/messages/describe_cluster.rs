//! DescribeCluster: the cluster's id, its brokers, and which of them is the controller.

use alloc::vec::Vec;

use super::AUTHORIZED_OPERATIONS_OMITTED;
use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

/// The endpoints asked for are those of brokers.
pub const BROKER_ENDPOINTS: i8 = 1;
/// The endpoints asked for are those of controllers.
pub const CONTROLLER_ENDPOINTS: i8 = 2;

message! {
    /// Asks for the cluster's brokers.
    struct DescribeClusterRequest, request of DescribeCluster {
        include_cluster_authorized_operations: bool [0..];
        endpoint_type:                         i8   [1..] default(BROKER_ENDPOINTS);
        include_fenced_brokers:                bool [2..];
    }
}

message! {
    /// The cluster.
    struct DescribeClusterResponse<'a>, response of DescribeCluster {
        throttle_time_ms: i32                            [0..];
        error_code:       ErrorCode                      [0..];
        error_message:    Option<Text<'a>>               [0..];
        endpoint_type:    i8                             [1..] default(BROKER_ENDPOINTS);
        cluster_id:       Text<'a>                       [0..];
        controller_id:    i32                            [0..] default(-1);
        brokers:          Vec<DescribeClusterBroker<'a>> [0..];
        cluster_authorized_operations: i32               [0..] default(AUTHORIZED_OPERATIONS_OMITTED);
    }
}

message! {
    /// A broker and where clients reach it.
    struct DescribeClusterBroker<'a> {
        broker_id: i32              [0..];
        host:      Text<'a>         [0..];
        port:      i32              [0..];
        rack:      Option<Text<'a>> [0..];
        is_fenced: bool             [2..];
    }
}
