//! The command line: one binary for the node and for the tools that speak to it.
//!
//! [`run`] parses the arguments and does what they say, except serving: a node's checked configuration goes back to
//! `main`, which owns the server. Exit codes: 0 done, 1 failed (the reason is on standard error), 2 wrong usage or
//! configuration.

mod arguments;
mod cert;
mod check;
mod cluster;
mod debug;
mod failure;
mod generate;
mod group;
mod inspect;
mod local_cluster;
mod node;
mod output;
mod time;
mod topic;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use self::arguments::{Arguments, Command};
pub use self::failure::Failure;
use crate::config::{ConfigSources, NodeConfig};

/// What `main` has to do after the arguments were dealt with.
#[derive(Debug)]
pub enum Outcome {
    /// Serve as a node.
    Serve(Box<Serve>),
    /// End with this code.
    Exit(ExitCode),
}

/// What a node is to serve with.
#[derive(Debug)]
pub struct Serve {
    /// Checked.
    pub config: NodeConfig,
    /// Where it is read from again while the node runs, if there is a file.
    pub reload_from: Option<ConfigSources>,
}

/// Exit code of a command that could not do what it was told.
const FAILED: u8 = 1;
/// Exit code where somebody has to change something before it makes sense to try again: wrong usage, as the parser of the
/// arguments has it, and a wrong configuration. The service is not restarted after it.
pub const WRONG_USAGE: u8 = 2;

/// Does what the arguments say. Wrong usage and `--help` end the process, as every command line does.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Outcome {
    let done = match Arguments::parse_from(arguments).command {
        Command::Dev(dev) if local_cluster::is_asked_for(&dev) => local_cluster::run(dev),
        Command::Dev(dev) => return served(node::dev(dev)),
        Command::Start(start) if start.check => node::check(&start),
        Command::Start(start) => return served(node::start(&start)),
        Command::Topic(command) => topic::run(command),
        Command::Group(command) => group::run(command),
        Command::Cluster(command) => cluster::run(command),
        Command::Inspect(command) => inspect::run(command),
        Command::Cert(command) => cert::run(command),
        Command::Check(command) => check::run(&command),
        Command::Debug(command) => debug::run(&command),
        Command::Generate(arguments) => generate::run(&arguments),
    };
    Outcome::Exit(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    })
}

fn served(serve: Result<Serve, Failure>) -> Outcome {
    match serve {
        Ok(serve) => Outcome::Serve(Box::new(serve)),
        Err(failure) => Outcome::Exit(report(&failure)),
    }
}

fn report(failure: &Failure) -> ExitCode {
    // The reader of our output has gone away: it has what it wanted.
    if matches!(failure, Failure::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    eprintln!("ringmain: {failure}");
    ExitCode::from(if matches!(failure, Failure::Config(_)) { WRONG_USAGE } else { FAILED })
}

#[cfg(test)]
mod tests;
