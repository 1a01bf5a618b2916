//! Which path is answered by what, and who may ask.
//!
//! What must hold: a request that a page of another origin makes a browser send is refused, also where that page gave its
//! own name this machine's address (DNS rebinding); what changes the node is refused unless `admin.writable` is set, but
//! for what the on-call needs and asks from this machine.

use std::net::{IpAddr, SocketAddr};

use hyper::{Method, StatusCode};

use super::{AdminState, Request, Response, api, health, log_level, page};
use crate::observability;

/// Answers a request. Runs on a thread that may wait.
type Handler = fn(&Request, &AdminState) -> Response;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Whoever reaches the port.
    Read,
    /// Whoever is on this machine, and everybody where `admin.writable` is set.
    OnCall,
}

/// How long an answer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// At once: collectors and supervisors wait for it.
    Prompt,
    /// It may ask other nodes; so few run at a time that there is always room for the others.
    Patient,
}

/// A path, a method, and what answers.
pub(super) struct Route {
    method: Method,
    path: &'static str,
    access: Access,
    pub(super) pace: Pace,
    handler: Handler,
}

impl Route {
    const fn prompt(path: &'static str, handler: Handler) -> Self {
        Self { method: Method::GET, path, access: Access::Read, pace: Pace::Prompt, handler }
    }

    /// What somebody on call changes, at once.
    const fn on_call(path: &'static str, handler: Handler) -> Self {
        Self { method: Method::PUT, path, access: Access::OnCall, pace: Pace::Prompt, handler }
    }

    const fn patient(path: &'static str, handler: Handler) -> Self {
        Self { method: Method::GET, path, access: Access::Read, pace: Pace::Patient, handler }
    }
}

/// Every route. A path that takes `GET` takes `HEAD` too.
const ROUTES: &[Route] = &[
    Route::prompt("/", page::console),
    Route::prompt("/healthz", health::healthz),
    Route::prompt("/readyz", health::readyz),
    Route::prompt("/metrics", metrics),
    Route::prompt("/loglevel", log_level::show),
    Route::on_call("/loglevel", log_level::change),
    Route::patient("/api/v1/cluster", api::cluster),
    Route::patient("/api/v1/topics", api::topics),
    Route::patient("/api/v1/topic", api::topic),
    Route::patient("/api/v1/partitions", api::partitions),
    Route::patient("/api/v1/groups", api::groups),
    Route::patient("/api/v1/group", api::group),
    Route::patient("/api/v1/records", api::records),
    Route::prompt("/api/v1/plots", api::plots),
];

fn metrics(request: &Request, state: &AdminState) -> Response {
    let (kind, text) = observability::metrics_answer(&state.node, &request.accept);
    Response::of_kind(kind, text)
}

/// The route of a request, or why there is none.
pub(super) fn find(request: &Request, state: &AdminState) -> Result<&'static Route, Response> {
    check_origin(request, state.address)?;
    let wanted = if request.method == Method::HEAD { &Method::GET } else { &request.method };
    let mut allowed = Vec::new();
    for route in ROUTES.iter().filter(|route| route.path == request.path) {
        if route.method == wanted {
            check_access(route.access, request, state.node.config.admin_writable)?;
            return Ok(route);
        }
        allowed.push(route.method.as_str());
    }
    if allowed.is_empty() {
        return Err(Response::text(StatusCode::NOT_FOUND, "not found"));
    }
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    Err(Response::wrong_method(allowed.join(", ")))
}

/// Answers by a route.
pub(super) fn answer(route: &Route, request: &Request, state: &AdminState) -> Response {
    (route.handler)(request, state)
}

fn check_access(access: Access, request: &Request, is_writable: bool) -> Result<(), Response> {
    match access {
        Access::Read => Ok(()),
        Access::OnCall if is_writable || request.is_local() => Ok(()),
        Access::OnCall => {
            let reason = "this changes the node: ask from its own machine, or set admin.writable";
            Err(Response::text(StatusCode::FORBIDDEN, reason))
        }
    }
}

/// A browser that was led here by another page is not an operator.
fn check_origin(request: &Request, bound: SocketAddr) -> Result<(), Response> {
    if bound.ip().to_canonical().is_loopback() && !names_this_machine(&request.host) {
        let reason =
            "this endpoint is bound to loopback and answers to 'localhost' and addresses of loopback only";
        return Err(Response::text(StatusCode::MISDIRECTED_REQUEST, reason));
    }
    let asks_itself = |origin: &str| {
        origin.split_once("://").is_some_and(|(_, host)| host.eq_ignore_ascii_case(&request.host))
    };
    match &request.origin {
        Some(origin) if !asks_itself(origin) => {
            Err(Response::text(StatusCode::FORBIDDEN, "pages of other origins may not ask"))
        }
        _ => Ok(()),
    }
}

/// Whether a `Host` header means this machine, on any port: a tunnel ends elsewhere than it begins. Clients that say
/// nothing are no browsers.
fn names_this_machine(host: &str) -> bool {
    if host.is_empty() {
        return true;
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    let is_local = |address: IpAddr| address.to_canonical().is_loopback();
    let name = name.strip_suffix('.').unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(is_local)
}

#[cfg(test)]
mod tests {
    use super::super::request::request;
    use super::*;

    const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9644);
    const EVERYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 9644);

    #[test]
    fn only_names_of_this_machine_reach_loopback() {
        for host in [
            "localhost",
            "LocalHost:8080",
            "localhost.:1",
            "127.0.0.1",
            "127.1.2.3:9644",
            "[::1]:9644",
            "[::1]",
            "",
        ] {
            assert!(names_this_machine(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9644",
            "localhost.evil.example",
            "127.0.0.1.evil.example:1",
            "10.0.0.1",
        ] {
            assert!(!names_this_machine(host), "{host}");
            let asked = Request { host: host.into(), ..request(Method::GET, "/") };
            assert_eq!(
                check_origin(&asked, LOOPBACK).map_err(|it| it.status),
                Err(StatusCode::MISDIRECTED_REQUEST)
            );
            assert!(check_origin(&asked, EVERYWHERE).is_ok());
        }
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let asked = |origin: &str| Request {
            host: "127.0.0.1:9644".into(),
            origin: Some(origin.into()),
            ..request(Method::GET, "/")
        };
        assert!(check_origin(&asked("http://127.0.0.1:9644"), LOOPBACK).is_ok());
        for origin in ["http://evil.example", "http://127.0.0.1:80", "null", ""] {
            assert_eq!(
                check_origin(&asked(origin), LOOPBACK).map_err(|it| it.status),
                Err(StatusCode::FORBIDDEN)
            );
        }
    }

    #[test]
    fn changes_need_this_machine_or_the_option() {
        let local = request(Method::PUT, "/loglevel");
        let remote = Request { peer: SocketAddr::from(([192, 0, 2, 1], 1)), ..local.clone() };
        assert!(check_access(Access::OnCall, &local, false).is_ok());
        assert!(check_access(Access::OnCall, &remote, true).is_ok());
        let refused = check_access(Access::OnCall, &remote, false);
        assert_eq!(refused.map_err(|it| it.status), Err(StatusCode::FORBIDDEN));
        assert!(check_access(Access::Read, &remote, false).is_ok());
    }

    #[test]
    fn each_path_and_method_has_one_route() {
        for (index, route) in ROUTES.iter().enumerate() {
            let same = |other: &&Route| other.path == route.path && other.method == route.method;
            assert_eq!(ROUTES[..index].iter().find(same).map(|it| it.path), None);
        }
    }
}
