//! What to measure of a disk, and where.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::matrix::{Row, WorkKind};

/// What direct reads and writes have to be multiples of: the block of ext4 and XFS, whatever smaller
/// sector a device offers.
pub(super) const BLOCK_BYTES: usize = 4096;
/// Larger requests are split by every device and file system.
const SIZE_MAX: usize = 16 << 20;
/// More under way at once only makes each one slower.
const DEPTH_MAX: usize = 256;
/// Each is open, and the limit of open files is often 1,024.
const FILES_MAX: usize = 900;

/// What to measure of a disk, and where.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct DiskSettings {
    /// Directory on the disk to measure; the folder `ringmain-bench-disk` is made in it, and removed.
    #[arg(long)]
    pub(crate) directory: PathBuf,
    /// Kinds of work; all by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(super) work: Vec<WorkKind>,
    /// Sizes of an operation: bytes, or a number with KiB or MiB; multiples of 4 KiB.
    #[arg(long, value_delimiter = ',', default_value = "4KiB,64KiB,1MiB", value_parser = operation_size)]
    pub(super) sizes: Vec<usize>,
    /// Operations under way at once.
    #[arg(long, value_delimiter = ',', default_value = "1,4,16", value_parser = depth)]
    pub(super) depths: Vec<usize>,
    /// Seconds for each row; rows that use a file up end before.
    #[arg(long = "seconds", default_value = "0.5", value_parser = seconds)]
    #[serde(rename = "seconds")]
    pub(super) row_duration: Duration,
    /// Size of the file of a row.
    #[arg(long, default_value = "1GiB", value_parser = file_size)]
    pub(super) file_size: usize,
    /// Zeros written at once ahead of a growing file's end.
    #[arg(long, default_value = "1MiB", value_parser = operation_size)]
    pub(super) zeros_ahead: usize,
    /// Files that get a block each, where one flush is to cover them all.
    #[arg(long, default_value_t = 256, value_parser = files)]
    pub(super) files: usize,
}

impl DiskSettings {
    /// What the rows need at once, at the most: a file that was written before, and one of the row's.
    pub(super) fn space_bytes(&self) -> u64 {
        2 * self.file_size as u64
    }

    /// Refuses a journal write that would be larger than any operation may be.
    pub(super) fn check(&self, rows: &[Row]) -> io::Result<()> {
        let largest =
            rows.iter().map(|row| if let Row::Many(row) = row { row.round_bytes() } else { 0 }).max();
        if largest.is_none_or(|largest| largest <= SIZE_MAX) {
            return Ok(());
        }
        let words = format!("a block for each of {} files is more than 16 MiB", self.files);
        Err(io::Error::new(io::ErrorKind::InvalidInput, words))
    }
}

fn bytes(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        other => return Err(format!("{text}: {other} is not KiB, MiB or GiB")),
    };
    let number: usize = digits.parse().map_err(|error| format!("{text}: {error}"))?;
    number.checked_mul(unit).ok_or_else(|| format!("{text} is too large"))
}

fn operation_size(text: &str) -> Result<usize, String> {
    let size = bytes(text)?;
    let is_sound = size.is_multiple_of(BLOCK_BYTES) && (BLOCK_BYTES..=SIZE_MAX).contains(&size);
    if is_sound { Ok(size) } else { Err(format!("{text} is not a multiple of 4 KiB up to 16 MiB")) }
}

/// A file holds several of the largest operations, or the ends of files would be what is measured.
fn file_size(text: &str) -> Result<usize, String> {
    let size = bytes(text)?;
    let is_sound = size.is_multiple_of(SIZE_MAX) && size > 0;
    if is_sound { Ok(size) } else { Err(format!("{text} is not a multiple of 16 MiB")) }
}

fn depth(text: &str) -> Result<usize, String> {
    within(text, DEPTH_MAX)
}

fn files(text: &str) -> Result<usize, String> {
    within(text, FILES_MAX)
}

fn within(text: &str, greatest: usize) -> Result<usize, String> {
    let number = text.parse().map_err(|error| format!("{text}: {error}"))?;
    if (1..=greatest).contains(&number) { Ok(number) } else { Err(format!("{text} is not 1 to {greatest}")) }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|error| format!("{text}: {error}"))?;
    let duration = Duration::try_from_secs_f64(number).map_err(|error| format!("{text}: {error}"))?;
    if duration.is_zero() { Err("a row needs some time".into()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(operation_size("4KiB"), Ok(4096));
        assert_eq!(operation_size("65536"), Ok(65_536));
        assert_eq!(file_size("1GiB"), Ok(1 << 30));
        for wrong in ["", "KiB", "5", "0", "4kb", "17MiB", "99999999999999999999KiB", "18014398509481984KiB"]
        {
            assert!(operation_size(wrong).is_err(), "{wrong}");
        }
        assert!(file_size("1MiB").is_err());
    }

    #[test]
    fn counts_have_limits() {
        assert_eq!(depth("16"), Ok(16));
        assert!(
            depth("0").is_err() && depth("257").is_err() && files("1000").is_err() && seconds("0").is_err()
        );
    }
}
