//! What a run says while it runs: one line, a second apart, on the error output.
//!
//! On a terminal the line is rewritten in place; elsewhere each is a line of its own.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Time from one line to the next.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// Where the lines go.
#[derive(Debug)]
pub(crate) struct Progress {
    is_terminal: bool,
    is_silent: bool,
    last_line: Cell<Option<Instant>>,
}

impl Progress {
    /// To the error output.
    pub(crate) fn to_stderr() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), is_silent: false, last_line: Cell::new(None) }
    }

    /// To nowhere.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self { is_terminal: false, is_silent: true, last_line: Cell::new(None) }
    }

    /// Shows where a run stands, unless the last line is too young.
    pub(crate) fn tick(&self, now: Instant, line: impl FnOnce() -> String) {
        let is_due = self.last_line.get().is_none_or(|last| now.duration_since(last) >= LINE_INTERVAL);
        if self.is_silent || !is_due {
            return;
        }
        self.last_line.set(Some(now));
        let line = line();
        self.write(&if self.is_terminal { format!("\r\x1b[K{line}") } else { format!("{line}\n") });
    }

    /// Says something that stays.
    pub(crate) fn say(&self, line: &str) {
        if self.is_silent {
            return;
        }
        self.clear();
        self.write(&format!("{line}\n"));
    }

    /// Takes the line that is rewritten away.
    pub(crate) fn clear(&self) {
        if self.is_terminal && !self.is_silent {
            self.write("\r\x1b[K");
        }
    }

    /// Progress is a courtesy: a closed error output must not end a measurement.
    fn write(&self, text: &str) {
        let _closed = io::stderr().lock().write_all(text.as_bytes());
    }
}
