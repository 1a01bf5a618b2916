//! The one binary: parses the command line, and serves as a node where that is what it says.
//!
//! Exit codes: 0 done, or stopped as told; 1 failed, with the reason on standard error; 2 wrong usage.

use std::io::Write;
use std::process::ExitCode;

use ringmain::{
    cli,
    config::NodeConfig,
    init_logging, prepare_process,
    server::{self, Summary},
};

fn main() -> ExitCode {
    match cli::run(std::env::args_os()) {
        cli::Outcome::Serve(config) => serve(*config),
        cli::Outcome::Exit(code) => code,
    }
}

fn serve(config: NodeConfig) -> ExitCode {
    prepare_process();
    init_logging(&config.log_level);
    match server::run(config, announce) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringmain: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says that the node is ready. That nobody reads it is no reason to end.
fn announce(summary: &Summary) {
    let mut output = std::io::stdout();
    if let Err(error) = writeln!(output, "{summary}").and_then(|()| output.flush()) {
        tracing::warn!(%error, "cannot write to standard output");
    }
}
