//! `--watch`: the same look again and again.
//!
//! On a terminal each look is drawn over the one before, without anything that would have to be undone: Ctrl-C may come
//! at any moment. Into a file or a pipe looks are appended. It ends when whoever reads it goes away.

use std::io::{self, IsTerminal};

use serde_json::Value;

use crate::cli::arguments::WatchArguments;
use crate::cli::failure::Failure;
use crate::cli::output::{print, wait_until_closed};
use crate::cli::time;

/// What one look shows.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) shown: Shown,
    /// What could not be shown, once the rest is.
    pub(super) failure: Option<Failure>,
}

/// For people or for programs.
#[derive(Debug)]
pub(super) enum Shown {
    Text(String),
    Json(Value),
}

/// Shows one look, or one every interval until it is stopped.
pub(super) fn watch(
    arguments: WatchArguments,
    mut look: impl FnMut() -> Result<Look, Failure>,
) -> Result<(), Failure> {
    let Some(interval) = arguments.watch else {
        let Look { shown, failure } = look()?;
        print(&match shown {
            Shown::Text(text) => text,
            Shown::Json(value) => format!("{value:#}\n"),
        })?;
        return failure.map_or(Ok(()), Err);
    };
    let is_terminal = io::stdout().is_terminal();
    let mut is_first = true;
    loop {
        let (shown, failure) = match look() {
            Ok(Look { shown, failure }) => (Some(shown), failure),
            Err(failure) => (None, Some(failure)),
        };
        match failure {
            // What never worked is told at once; later it may be a restart that is being watched.
            Some(failure) if is_first || matches!(failure, Failure::BrokenPipe) => {
                if let Some(shown) = shown {
                    print(&block(&shown))?;
                }
                return Err(failure);
            }
            Some(failure) => eprintln!("ringmain: {failure}"),
            None => {}
        }
        match shown {
            Some(Shown::Text(text)) if is_terminal => print(&frame(&text, is_first, terminal_rows()))?,
            Some(shown) => print(&block(&shown))?,
            None => {}
        }
        is_first = false;
        wait_until_closed(interval)?;
    }
}

/// What is appended where nothing can be drawn over.
fn block(shown: &Shown) -> String {
    match shown {
        Shown::Text(text) => format!("{}\n{text}\n", time::shown(time::now_ms())),
        Shown::Json(value) => format!("{value}\n"),
    }
}

/// A look drawn over the one before: every line is cleared behind its text, and what is below the last one.
fn frame(text: &str, is_first: bool, rows: usize) -> String {
    let mut frame = String::from(if is_first { "\x1b[2J\x1b[H" } else { "\x1b[H" });
    let heading = format!("{}  (Ctrl-C ends)", time::shown(time::now_ms()));
    let lines: Vec<&str> = text.lines().collect();
    // One line is the heading's, and the cursor stands on one.
    let room = rows.saturating_sub(2).max(1);
    let is_cut = lines.len() > room;
    let whole = if is_cut { room - 1 } else { lines.len() };
    let rest = format!("... {} more lines", lines.len() - whole);
    let cut = is_cut.then_some(rest.as_str());
    for line in [heading.as_str()].into_iter().chain(lines[..whole].iter().copied()).chain(cut) {
        frame.push_str(line);
        frame.push_str("\x1b[K\n");
    }
    frame.push_str("\x1b[J");
    frame
}

/// Lines of the terminal; of the smallest usual one when it does not tell.
fn terminal_rows() -> usize {
    let told = rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_row));
    if told == 0 { 24 } else { told }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_fits_the_terminal() {
        let text = "one\ntwo\nthree\nfour\n";
        let whole = frame(text, true, 24);
        assert!(whole.starts_with("\x1b[2J\x1b[H") && whole.ends_with("four\x1b[K\n\x1b[J"), "{whole:?}");
        let cut = frame(text, false, 5);
        assert!(cut.starts_with("\x1b[H2"), "{cut:?}");
        assert!(cut.ends_with("two\x1b[K\n... 2 more lines\x1b[K\n\x1b[J"), "{cut:?}");
        assert_eq!(cut.matches('\n').count(), 4);
    }
}
