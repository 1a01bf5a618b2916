//! `debug`: what somebody needs who looks for a fault in a node, running or not.

mod bundle;
mod http;
mod log_level;

use super::arguments::DebugCommand;
use super::failure::Failure;

/// Does what a `debug` command says.
pub(super) fn run(command: &DebugCommand) -> Result<(), Failure> {
    match command {
        DebugCommand::Bundle(arguments) => bundle::run(arguments),
        DebugCommand::LogLevel(arguments) => log_level::run(arguments),
    }
}
