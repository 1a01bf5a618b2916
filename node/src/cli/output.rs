//! What the tools print: aligned columns for people, JSON for scripts.

use std::io::{self, Write};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

use super::failure::Failure;
pub(super) use crate::client::printable;

/// Prints text to standard output.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::output)
}

/// Prints a JSON value, indented.
pub(super) fn print_json(value: &Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}

/// Waits so long; fails with [`Failure::BrokenPipe`] as soon as whoever reads standard output has gone away.
///
/// A write would tell too, but a command that has nothing to write yet would never learn it.
pub(super) fn wait_until_closed(wait: Duration) -> Result<(), Failure> {
    let output = io::stdout();
    // Errors and hang-ups are told without being asked for, and nothing else is wanted.
    let mut watched = [PollFd::new(&output, PollFlags::empty())];
    let timeout = Timespec::try_from(wait).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
    match poll(&mut watched, Some(&timeout)) {
        Ok(0) | Err(rustix::io::Errno::INTR) => Ok(()),
        Ok(_) => Err(Failure::BrokenPipe),
        Err(error) => Err(Failure::output(error.into())),
    }
}

/// Rows under a heading, each column as wide as its widest cell.
pub(super) fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heading[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut text = line(&mut heading.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// A number with a comma after each thousand.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size with one decimal and the largest fitting unit.
pub(super) fn sized(bytes: f64) -> String {
    let mut size = bytes;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = larger;
    }
    if unit == "B" { format!("{size:.0} B") } else { format!("{size:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["longer".to_owned(), "22".to_owned()]];
        assert_eq!(table(&["NAME", "N"], &rows), "NAME    N\na       1\nlonger  22\n");
    }

    #[test]
    fn names_cannot_steer_a_terminal() {
        assert_eq!(printable("gr\u{fc}ppe/1 :%"), "gr\u{fc}ppe/1 :%");
        assert_eq!(printable("a\x1b[2J\nb"), "a\\u{1b}[2J\\nb");
    }

    #[test]
    fn numbers_are_readable() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(sized(0.0), "0 B");
        assert_eq!(sized(1536.0), "1.5 KiB");
        assert_eq!(sized(5.0 * 1024.0 * 1024.0 * 1024.0), "5.0 GiB");
    }
}
