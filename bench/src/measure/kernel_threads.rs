//! CPU time of the kernel's own threads: write-back, journals, block devices.
//!
//! They work on behalf of the processes that write, so they are not "others". (Workers of io_uring
//! are threads of the process that uses it, and counted there by the kernel.)

use std::fs;
use std::io;
use std::time::Duration;

use crate::system;

/// Set in the flags of `/proc/PID/stat` for threads of the kernel.
const FLAG_KERNEL_THREAD: u64 = 0x0020_0000;

/// CPU time that all of them used so far. Reads a file for each process: milliseconds.
pub(crate) fn cpu_time() -> io::Result<Duration> {
    let mut ticks = 0;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if name.to_str().is_none_or(|name| name.parse::<u32>().is_err()) {
            continue;
        }
        // A process may have ended since the folder was read.
        if let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", name.to_string_lossy())) {
            ticks += kernel_ticks(&stat).unwrap_or_default();
        }
    }
    Ok(Duration::from_secs_f64(ticks as f64 / system::clock_ticks_per_second()? as f64))
}

/// Ticks of a thread of the kernel; `None` for a process.
fn kernel_ticks(stat: &str) -> Option<u64> {
    // The name in parentheses may contain blanks; fields are counted from behind it, the state is 0.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    (number(6)? & FLAG_KERNEL_THREAD != 0).then_some(number(11)? + number(12)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_threads_of_the_kernel_count() {
        let stat = |flags: u64| format!("12 (a) b) S 2 0 0 0 -1 {flags} 0 0 0 0 250 50 0 0 20 0");
        assert_eq!(kernel_ticks(&stat(FLAG_KERNEL_THREAD | 0x40)), Some(300));
        assert_eq!(kernel_ticks(&stat(0x40)), None);
        assert_eq!(kernel_ticks("12 (a) S 2"), None);
        cpu_time().expect("readable");
    }
}
