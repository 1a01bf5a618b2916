//! How far a long command is: a line on standard error that is written over, for a terminal only.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::cli::output::{grouped, sized};

/// Time between updates: often enough to look alive.
const UPDATE_EVERY: Duration = Duration::from_millis(200);

/// Counts what was done, and shows it.
#[derive(Debug)]
pub(super) struct Progress {
    started: Instant,
    updated: Instant,
    is_shown: bool,
    pub(super) records: u64,
    pub(super) bytes: u64,
}

impl Progress {
    /// Shows something only if it is wanted and somebody can see it.
    pub(super) fn new(is_wanted: bool) -> Self {
        let now = Instant::now();
        let is_shown = is_wanted && io::stderr().is_terminal();
        Self { started: now, updated: now, is_shown, records: 0, bytes: 0 }
    }

    /// Shows the state if it is time to.
    pub(super) fn update(&mut self) {
        if !self.is_shown {
            return;
        }
        let now = Instant::now();
        if now - self.updated < UPDATE_EVERY {
            return;
        }
        self.updated = now;
        // Nothing depends on what a terminal shows.
        let _ = write!(io::stderr(), "\r\x1b[K{}", self.summary());
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    /// What was done, in how long, and how fast.
    pub(super) fn summary(&self) -> String {
        let seconds = self.seconds();
        #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
        let bytes = self.bytes as f64;
        format!(
            "{} records, {} in {seconds:.1} s ({}/s)",
            grouped(self.records),
            sized(bytes),
            sized(bytes / seconds.max(1e-9)),
        )
    }

    /// Seconds since the beginning.
    pub(super) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}
