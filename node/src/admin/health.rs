//! Whether the node is alive, and whether it serves.
//!
//! `/healthz` is for whoever restarts processes: it fails only where a restart may help. `/readyz` is for whoever sends
//! clients: it fails while the node recovers, waits for its cluster, is fenced or stops, and says which.

use hyper::StatusCode;

use super::{AdminState, Request, Response};
use crate::shard::NodeShared;

/// `GET /healthz`
pub(super) fn healthz(_: &Request, state: &AdminState) -> Response {
    match state.node.progress.stuck_shard() {
        None => Response::text(StatusCode::OK, "ok"),
        Some((shard, silence)) => {
            let text = format!("shard {shard} has got nothing done for {} s", silence.as_secs());
            Response::text(StatusCode::SERVICE_UNAVAILABLE, text)
        }
    }
}

/// `GET /readyz`
pub(super) fn readyz(_: &Request, state: &AdminState) -> Response {
    match unready(&state.node) {
        None => Response::text(StatusCode::OK, "ok"),
        Some(reason) => Response::text(StatusCode::SERVICE_UNAVAILABLE, reason),
    }
}

/// Why clients should go elsewhere, if they should.
pub(super) fn unready(node: &NodeShared) -> Option<String> {
    if !node.progress.is_ready() {
        return Some(node.progress.to_string());
    }
    let is_fenced = node.metadata.cluster().is_some() && !node.metadata.image().is_active(node.node_id());
    let fenced = "fenced: the controller has not heard of this node for too long, or it has not caught up";
    is_fenced.then(|| fenced.to_owned())
}
