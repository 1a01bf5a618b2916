//! UnregisterBroker: a node that is gone for good leaves the cluster.

use std::rc::Rc;

use ringmain_protocol::{
    ErrorCode,
    messages::{UnregisterBrokerRequest, UnregisterBrokerResponse},
};

use super::{refusal_parts, refused_by_service};
use crate::{
    metadata::{NodeId, controller::Refusal},
    shard::Shard,
};

pub(super) async fn answer(
    shard: &Rc<Shard>,
    request: &UnregisterBrokerRequest,
) -> UnregisterBrokerResponse<'static> {
    let node_id = NodeId(request.broker_id);
    let result = if node_id == shard.node().node_id() {
        // It would serve on without being part of the cluster.
        let message =
            format!("Broker ID {node_id} is running: it can be unregistered once it is gone for good");
        Err(Refusal::new(ErrorCode::INVALID_REQUEST, message))
    } else {
        match shard.metadata().unregister_node(node_id).await {
            Ok(result) => result,
            Err(error) => refused_by_service(1, &error).swap_remove(0),
        }
    };
    let (error_code, error_message) = refusal_parts(result);
    UnregisterBrokerResponse { error_code, error_message, ..Default::default() }
}
