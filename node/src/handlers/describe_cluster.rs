//! DescribeCluster: the brokers and who controls them (KIP-700).

use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse},
};

use super::nodes::{self, ReachableNode};
use crate::shard::Shard;

/// The endpoints that clients of brokers ask for.
const BROKERS: i8 = 1;
/// The endpoints of the metadata quorum, which clients of brokers do not reach.
const CONTROLLERS: i8 = 2;
/// Operations on the cluster that a client without restrictions may do, as bits of Kafka's `AclOperation` codes:
/// create 5, alter 7, describe 8, cluster action 9, describe configs 10, alter configs 11, idempotent write 12.
pub(super) const CLUSTER_OPERATIONS: i32 = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;

pub(super) fn answer(shard: &Shard, request: &DescribeClusterRequest) -> DescribeClusterResponse<'static> {
    if request.endpoint_type != BROKERS {
        let (error_code, message) = if request.endpoint_type == CONTROLLERS {
            let message = "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER";
            (ErrorCode::MISMATCHED_ENDPOINT_TYPE, message.to_owned())
        } else {
            (
                ErrorCode::UNSUPPORTED_ENDPOINT_TYPE,
                format!("Unsupported endpoint type {}", request.endpoint_type),
            )
        };
        return DescribeClusterResponse {
            error_code,
            error_message: Some(Text::Owned(message)),
            ..Default::default()
        };
    }
    let image = shard.image();
    let told = nodes::registered(&image).filter(|node| request.include_fenced_brokers || !node.is_fenced);
    let mut response = DescribeClusterResponse {
        cluster_id: Text::Owned(image.cluster_id().to_owned()),
        controller_id: nodes::controller(shard, &image),
        brokers: told.map(broker).collect(),
        ..Default::default()
    };
    if request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = CLUSTER_OPERATIONS;
    }
    response
}

fn broker(node: ReachableNode) -> DescribeClusterBroker<'static> {
    DescribeClusterBroker {
        broker_id: node.id,
        host: node.host,
        port: node.port,
        rack: node.rack,
        is_fenced: node.is_fenced,
    }
}
