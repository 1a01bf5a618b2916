//! Diagnostics on standard error or in the journal, and the end of the process after a panic.
//!
//! What must hold: a line that is written often cannot fill a disk or hold up a shard ([`repeats`], and [`journal`], which
//! never waits); what is written can be changed while the process runs. Does not do: the meaning of a filter
//! ([`LogFilter`]).

mod journal;
mod json;
mod line;
mod repeats;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use self::journal::Journal;
use self::json::Json;
use self::repeats::Repeats;
use crate::config::{LogFilter, LogFormat, LogLevel, NodeConfig};

/// What all of our crates' modules begin with.
const OWN: &str = "ringmain";

/// How the levels of this process can be changed; set when diagnostics begin.
static LEVELS: OnceLock<Levels> = OnceLock::new();

struct Levels {
    filter: Mutex<LogFilter>,
    handle: reload::Handle<Targets, Registry>,
}

type Output<S> = Box<dyn Layer<S> + Send + Sync>;

/// Begins to write diagnostics as the configuration says, and makes a panic in any thread end the process: a shard whose
/// invariant is broken must not go on, and the others could not do without it.
pub fn init(config: &NodeConfig) {
    let (levels, handle) = reload::Layer::new(targets(&config.log_level));
    let layers = tracing_subscriber::registry().with(levels).with(Repeats::default());
    layers.with(output(config.log_format, config.node_id)).init();
    let levels = Levels { filter: Mutex::new(config.log_level.clone()), handle };
    if LEVELS.set(levels).is_err() {
        unreachable!("a second subscriber would have been refused");
    }
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        default(panic);
        std::process::abort();
    }));
}

/// Writes by another filter from now on; the error is a sentence.
pub(crate) fn set_log_level(filter: &str) -> Result<(), String> {
    let filter = LogFilter::parse(filter)?;
    let levels = LEVELS.get().ok_or("diagnostics have not begun")?;
    let mut current = levels.filter.lock().expect("nothing panics with the lock");
    levels.handle.reload(targets(&filter)).map_err(|error| error.to_string())?;
    if *current != filter {
        tracing::warn!(before = %current, now = %filter, "the level of the diagnostics was changed");
        *current = filter;
    }
    Ok(())
}

/// The filter that holds.
pub(crate) fn log_level() -> String {
    let current =
        LEVELS.get().map(|levels| levels.filter.lock().expect("nothing panics with the lock").to_string());
    current.unwrap_or_default()
}

fn targets(filter: &LogFilter) -> Targets {
    // Of the consensus only what stops it: that a peer is away is said once, by what is ours, and not with every heartbeat.
    let others = Targets::new().with_default(LevelFilter::WARN).with_target("openraft", LevelFilter::ERROR);
    let own = others.with_target(OWN, level_filter(filter.level()));
    filter.modules().fold(own, |all, (module, level)| all.with_target(module, level_filter(level)))
}

fn level_filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

fn output<S>(format: LogFormat, node_id: i32) -> Output<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let is_journal = match format {
        LogFormat::Journal => true,
        LogFormat::Auto => is_standard_error_of_journal(),
        LogFormat::Text | LogFormat::Json => false,
    };
    if is_journal {
        match Journal::open(Path::new(journal::SOCKET), node_id) {
            Ok(journal) => return Box::new(journal),
            Err(error) => {
                eprintln!(
                    "ringmain: the journal at {} cannot be used, so this goes to standard error: {error}",
                    journal::SOCKET
                );
            }
        }
    }
    if format == LogFormat::Json {
        return Box::new(Json { node_id });
    }
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).with_target(false);
    // Whoever read the diagnostics may be gone; to say so there would be a panic.
    Box::new(lines.log_internal_errors(false))
}

/// Whether what is written to standard error goes to the journal, as systemd tells those that it starts.
fn is_standard_error_of_journal() -> bool {
    let Ok(announced) = std::env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(io::stderr()).is_ok_and(|file| announced == format!("{}:{}", file.st_dev, file.st_ino))
}
