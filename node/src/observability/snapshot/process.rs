//! The process as the kernel sees it, and the disk that holds the data. What cannot be read is not shown.

use std::{
    fs,
    path::Path,
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

/// This process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ProcessNumbers {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: u64,
    pub(crate) virtual_bytes: u64,
    pub(crate) open_files: u64,
    /// `None`: as many as it likes.
    pub(crate) open_files_max: Option<u64>,
    pub(crate) threads: u64,
    /// Since the Unix epoch.
    pub(crate) start_seconds: f64,
}

/// A file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DiskSpace {
    pub(crate) size_bytes: u64,
    /// What this process may use of it.
    pub(crate) free_bytes: u64,
    pub(crate) free_inodes: u64,
}

impl ProcessNumbers {
    /// Reads what `/proc` says of this process.
    pub(super) fn of_this_process() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let limits = fs::read_to_string("/proc/self/limits").ok()?;
        let open_files = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
        Self::parse(&stat, &limits, open_files)
    }

    fn parse(stat: &str, limits: &str, open_files: u64) -> Option<Self> {
        // The name of the program stands in brackets and may have any character in it.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        // As numbered in proc(5), where the first of these is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
        let clock = *CLOCK;
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) as f64 / clock.ticks_per_second,
            threads: field(20)?,
            start_seconds: clock.booted_seconds + field(22)? as f64 / clock.ticks_per_second,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * clock.page_bytes,
            open_files,
            open_files_max: limit.split_ascii_whitespace().next()?.parse().ok(),
        })
    }
}

/// What does not change while the machine runs.
#[derive(Debug, Clone, Copy)]
struct MachineClock {
    ticks_per_second: f64,
    page_bytes: u64,
    booted_seconds: f64,
}

static CLOCK: LazyLock<MachineClock> = LazyLock::new(|| {
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let uptime = uptime.split(' ').next().and_then(|seconds| seconds.parse::<f64>().ok()).unwrap_or(0.0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    MachineClock {
        ticks_per_second: rustix::param::clock_ticks_per_second() as f64,
        page_bytes: rustix::param::page_size() as u64,
        booted_seconds: now.as_secs_f64() - uptime,
    }
});

impl DiskSpace {
    /// The file system that holds `directory`.
    pub(super) fn of(directory: &Path) -> Option<Self> {
        let found = rustix::fs::statvfs(directory).ok()?;
        Some(Self {
            size_bytes: found.f_blocks * found.f_frsize,
            free_bytes: found.f_bavail * found.f_frsize,
            free_inodes: found.f_favail,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_read() {
        let numbers = ProcessNumbers::of_this_process().expect("/proc is there");
        assert!(numbers.resident_bytes > 1 << 20 && numbers.virtual_bytes >= numbers.resident_bytes);
        assert!(numbers.open_files > 3 && numbers.threads >= 1 && numbers.cpu_seconds >= 0.0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
        assert!((now - 86_400.0..=now + 2.0).contains(&numbers.start_seconds), "{numbers:?}");
    }

    #[test]
    fn a_name_with_brackets_is_no_field() {
        let stat = "7 (a ) 1 (b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 300 1000000 20 0";
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096                 files\n";
        let numbers = ProcessNumbers::parse(stat, limits, 12).expect("parses");
        assert_eq!((numbers.threads, numbers.virtual_bytes), (9, 1_000_000));
        assert_eq!(numbers.resident_bytes, 20 * CLOCK.page_bytes);
        assert_eq!(numbers.open_files_max, Some(1024));
        assert_eq!(ProcessNumbers::parse("7 (a) S", limits, 12), None);
    }

    #[test]
    fn a_disk_has_a_size() {
        let space = DiskSpace::of(Path::new("/")).expect("the root is there");
        assert!(space.size_bytes >= space.free_bytes && space.size_bytes > 0);
        assert_eq!(DiskSpace::of(Path::new("/no/such/folder")), None);
    }
}
