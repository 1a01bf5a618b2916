//! `debug log-level`: which diagnostics a running node writes.

use std::time::Duration;

use super::http;
use crate::cli::arguments::LogLevelArguments;
use crate::cli::failure::Failure;
use crate::cli::output::print;
use crate::config::{HostPort, LogFilter};

/// The node answers from memory.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Shows or changes it.
pub(super) fn run(arguments: &LogLevelArguments) -> Result<(), Failure> {
    let address = HostPort::parse(&arguments.admin).map_err(Failure::Other)?;
    let answer = match &arguments.filter {
        None => http::ask(&address, "GET", "/loglevel", "", TIMEOUT),
        Some(filter) => {
            // What is wrong is told without asking anybody.
            let filter = LogFilter::parse(filter).map_err(Failure::Other)?;
            http::ask(&address, "PUT", "/loglevel", &filter.to_string(), TIMEOUT)
        }
    };
    let answer =
        answer.map_err(|error| Failure::Other(format!("cannot reach the node's admin endpoint: {error}")))?;
    match answer.status {
        200 => print(&format!("{}\n", answer.body.trim())),
        status => Err(Failure::Other(format!("the node refused ({status}): {}", answer.body.trim()))),
    }
}
