//! What a running node says of itself, by HTTP and by Kafka's protocol.

use std::time::Duration;

use super::super::http;
use super::Context;
use crate::cli::cluster;
use crate::config::HostPort;

/// For one answer: a node in trouble must not hold the rest up.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn metrics(context: &Context) -> Result<String, String> {
    get(context, "/metrics")
}

/// Several small answers, each under its path.
pub(super) fn health(context: &Context) -> Result<String, String> {
    let mut text = String::new();
    for path in ["/healthz", "/readyz", "/loglevel"] {
        let answer = http::ask(admin(context)?, "GET", path, "", TIMEOUT)?;
        text.push_str(&format!("{path}: {} {}\n", answer.status, answer.body.trim()));
    }
    Ok(text)
}

pub(super) fn cluster(context: &Context) -> Result<String, String> {
    let listen = &context.config()?.network.listen;
    let host = if listen.is_wildcard() { "127.0.0.1" } else { &listen.host };
    let address = HostPort { host: host.to_owned(), port: listen.port };
    let status = cluster::status_json(&address, TIMEOUT).map_err(|error| error.to_string())?;
    Ok(format!("{status:#}\n"))
}

fn get(context: &Context, path: &str) -> Result<String, String> {
    let answer = http::ask(admin(context)?, "GET", path, "", TIMEOUT)?;
    if answer.status == 200 { Ok(answer.body) } else { Err(format!("{path} answers {}", answer.status)) }
}

fn admin(context: &Context) -> Result<&HostPort, String> {
    context.admin.as_ref().ok_or_else(|| "no admin endpoint is known (--admin HOST:PORT)".to_owned())
}
