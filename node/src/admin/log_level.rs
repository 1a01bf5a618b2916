//! Which diagnostics the node writes, and others from now on: for whoever is on call, with `ringmain debug log-level`.

use hyper::StatusCode;

use super::{AdminState, Request, Response};
use crate::observability;

/// `GET /loglevel`
pub(super) fn show(_: &Request, _: &AdminState) -> Response {
    Response::text(StatusCode::OK, observability::log_level())
}

/// `PUT /loglevel`: the body is a filter, as in the option `log_level`.
pub(super) fn change(request: &Request, _: &AdminState) -> Response {
    match observability::set_log_level(&String::from_utf8_lossy(&request.body)) {
        Ok(()) => Response::text(StatusCode::OK, observability::log_level()),
        Err(reason) => Response::text(StatusCode::BAD_REQUEST, reason),
    }
}
