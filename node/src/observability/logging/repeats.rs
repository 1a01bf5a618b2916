//! Warnings and errors that repeat: each place of the code may write so many lines in so many seconds, the rest is counted.
//!
//! A disk that fails may fail for each of ten thousand partitions, ten times a second: the first lines say all, the others
//! would fill the disk of the diagnostics and hold up the shards. What is asked for (info and below) is not limited.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines of one place in one [`WINDOW`]: enough to name the partitions of a failure that is not a flood.
const LINES_MAX: u32 = 50;

/// How long a place that wrote too much is silent at most.
const WINDOW: Duration = Duration::from_secs(10);

/// Leaves out what repeats too often. Holds one entry for each place of the code that warns.
#[derive(Default)]
pub(super) struct Repeats(Mutex<HashMap<Identifier, Window>>);

struct Window {
    began: Instant,
    lines: u32,
    left_out: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admission {
    Write,
    /// Lines were left out in the window before.
    WriteAfter {
        left_out: u64,
    },
    LeaveOut,
}

impl Window {
    fn new(now: Instant) -> Self {
        Self { began: now, lines: 0, left_out: 0 }
    }

    fn admit(&mut self, now: Instant) -> Admission {
        if now.saturating_duration_since(self.began) >= WINDOW {
            let left_out = self.left_out;
            *self = Self { lines: 1, ..Self::new(now) };
            return if left_out == 0 { Admission::Write } else { Admission::WriteAfter { left_out } };
        }
        if self.lines < LINES_MAX {
            self.lines += 1;
            return Admission::Write;
        }
        self.left_out += 1;
        Admission::LeaveOut
    }
}

impl<S: Subscriber> Layer<S> for Repeats {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        let place = event.metadata();
        // The more severe is the smaller one.
        if *place.level() > Level::WARN {
            return true;
        }
        let now = Instant::now();
        let admission = {
            let mut windows = self.0.lock().expect("nothing panics with the lock");
            windows.entry(place.callsite()).or_insert_with(|| Window::new(now)).admit(now)
        };
        if let Admission::WriteAfter { left_out } = admission {
            let (file, line) = (place.file().unwrap_or_default(), place.line().unwrap_or_default());
            tracing::warn!(left_out, place = %format_args!("{file}:{line}"), "lines like the next one were left out");
        }
        admission != Admission::LeaveOut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_told_in_the_next_window() {
        let begin = Instant::now();
        let mut window = Window::new(begin);
        for _ in 0..LINES_MAX {
            assert_eq!(window.admit(begin), Admission::Write);
        }
        for _ in 0..3 {
            assert_eq!(window.admit(begin + WINDOW / 2), Admission::LeaveOut);
        }
        assert_eq!(window.admit(begin + WINDOW), Admission::WriteAfter { left_out: 3 });
        assert_eq!(window.admit(begin + WINDOW), Admission::Write);
        assert_eq!(window.admit(begin + WINDOW * 3), Admission::Write, "nothing was left out");
    }
}
