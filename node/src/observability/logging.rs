//! Diagnostics on standard error, and the end of the process after a panic.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Begins to write diagnostics of at least this level, and makes a panic in any thread end the process: a shard whose
/// invariant is broken must not go on, and the others could not do without it.
pub fn init(level: &str) {
    // Of the consensus only what stops it: that a peer is away is said once, by what is ours, and not with every heartbeat.
    let filter = EnvFilter::try_new(format!("warn,openraft=error,ringmain={level}"))
        .expect("the level was checked with the configuration");
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // Whoever read the diagnostics may be gone; to say so there would be a panic.
        .log_internal_errors(false)
        .init();
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        default(panic);
        std::process::abort();
    }));
}
