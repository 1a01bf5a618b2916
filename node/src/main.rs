//! The one binary: parses the command line, and serves as a node where that is what it says.
//!
//! Exit codes: 0 done, or stopped as told; 1 failed, with the reason on standard error; 2 wrong usage or configuration.

use std::io::Write;
use std::process::ExitCode;

use ringmain::{
    cli, init_logging, prepare_process,
    server::{self, Summary},
};

fn main() -> ExitCode {
    match cli::run(std::env::args_os()) {
        cli::Outcome::Serve(it) => serve(*it),
        cli::Outcome::Exit(code) => code,
    }
}

fn serve(cli::Serve { config, reload_from }: cli::Serve) -> ExitCode {
    prepare_process();
    init_logging(&config);
    match server::run(config, reload_from, announce) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringmain: {error}");
            if error.needs_operator() { ExitCode::from(cli::WRONG_USAGE) } else { ExitCode::FAILURE }
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
