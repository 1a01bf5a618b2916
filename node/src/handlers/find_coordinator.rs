//! FindCoordinator: which node runs a group. The first one who asks makes the topic in which groups are kept.
//!
//! What must hold: a group whose coordinator was told to be this node can be asked for at once, on every connection.

use std::rc::Rc;

use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{
        COORDINATOR_OF_GROUP, COORDINATOR_OF_TRANSACTION, Coordinator, FindCoordinatorRequest,
        FindCoordinatorResponse,
    },
};

use super::{RequestInfo, nodes};
use crate::shard::Shard;

/// The first version that asks for several at once.
const SEVERAL_FROM_VERSION: i16 = 4;
/// In place of a node or a port.
const NONE: i32 = -1;

pub(super) async fn answer<'a>(
    shard: &Rc<Shard>,
    info: RequestInfo,
    request: &FindCoordinatorRequest<'a>,
) -> FindCoordinatorResponse<'a> {
    if info.version >= SEVERAL_FROM_VERSION {
        let found = if request.coordinator_keys.is_empty() { Ok(()) } else { find(shard, request).await };
        let keys = request.coordinator_keys.iter();
        let coordinators = keys.map(|key| coordinator(shard, key, found)).collect();
        return FindCoordinatorResponse { coordinators, ..Default::default() };
    }
    let found = find(shard, request).await;
    let Coordinator { node_id, host, port, error_code, error_message, .. } =
        coordinator(shard, request.key, found);
    FindCoordinatorResponse { node_id, host, port, error_code, error_message, ..Default::default() }
}

/// Why there is no coordinator, with words for the client.
type NotFound = (ErrorCode, &'static str);

/// Nobody leads what keeps the group, or not yet.
const NOT_AVAILABLE: NotFound = (ErrorCode::COORDINATOR_NOT_AVAILABLE, "The coordinator is not available.");

async fn find(shard: &Rc<Shard>, request: &FindCoordinatorRequest<'_>) -> Result<(), NotFound> {
    match request.key_type {
        COORDINATOR_OF_GROUP => {
            let provided = shard.provide_offsets_topic().await;
            provided.map_err(|error| (error, NOT_AVAILABLE.1))
        }
        // The clients' transactions end with this error; with one that says "not now" they would ask for ever.
        COORDINATOR_OF_TRANSACTION => {
            let error = ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
            Err((error, "This broker does not serve transactions."))
        }
        _ => Err((ErrorCode::INVALID_REQUEST, "This broker does not serve coordinators of this type.")),
    }
}

/// The node that leads the partition which keeps the group, if the group has one.
fn coordinator<'a>(shard: &Shard, key: &'a str, found: Result<(), NotFound>) -> Coordinator<'a> {
    let found = found.and_then(|()| shard.group_leader(key).ok_or(NOT_AVAILABLE));
    let image = shard.image();
    let found = found.and_then(|leader| nodes::reachable(&image, leader).ok_or(NOT_AVAILABLE));
    let key = Text::Borrowed(key);
    match found {
        Ok(node) => {
            Coordinator { key, node_id: node.id, host: node.host, port: node.port, ..Default::default() }
        }
        Err((error_code, message)) => Coordinator {
            key,
            node_id: NONE,
            port: NONE,
            error_code,
            error_message: Some(Text::Borrowed(message)),
            ..Default::default()
        },
    }
}
