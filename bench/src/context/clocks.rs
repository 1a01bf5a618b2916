//! What `/proc` says at one moment: the broker's CPU time and memory, and the machine's.
//!
//! CPU times come in clock ticks (a hundredth of a second), so a measurement should last seconds.

use std::fs;
use std::io;
use std::time::Duration;

use super::machine::kibibytes;
use crate::system;

/// CPU time of a process, since it began or between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct CpuTime {
    /// In user mode.
    pub(crate) user: Duration,
    /// In the kernel on the process's behalf.
    pub(crate) system: Duration,
}

impl CpuTime {
    /// Both together.
    pub(crate) fn total(self) -> Duration {
        self.user + self.system
    }

    /// Together with that of another process.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { user: self.user + other.user, system: self.system + other.system }
    }

    /// What was added since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }
}

/// CPU time that the process used so far, all its threads together.
pub(crate) fn process_cpu_time(pid: u32) -> io::Result<CpuTime> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).map_err(|error| named(&path, &error))?;
    let (user, system) = parse_process_ticks(&stat).ok_or_else(|| malformed(&path))?;
    let ticks_per_second = system::clock_ticks_per_second()?;
    Ok(CpuTime { user: ticks(user, ticks_per_second), system: ticks(system, ticks_per_second) })
}

/// Memory of the process that is present, in bytes.
pub(crate) fn process_rss_bytes(pid: u32) -> io::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).map_err(|error| named(&path, &error))?;
    kibibytes(&status, "VmRSS").ok_or_else(|| malformed(&path))
}

/// CPU time of the whole machine so far, summed over its processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MachineTime {
    /// Spent on anything, interrupts included, but not waiting and not taken by the host.
    pub(crate) busy: Duration,
    /// Taken by the host for other machines.
    pub(crate) stolen: Duration,
}

/// CPU time of the whole machine so far.
pub(crate) fn machine_time() -> io::Result<MachineTime> {
    let path = "/proc/stat";
    let stat = fs::read_to_string(path).map_err(|error| named(path, &error))?;
    let (busy, stolen) = parse_machine_ticks(&stat).ok_or_else(|| malformed(path))?;
    let ticks_per_second = system::clock_ticks_per_second()?;
    Ok(MachineTime { busy: ticks(busy, ticks_per_second), stolen: ticks(stolen, ticks_per_second) })
}

/// User and system ticks of a line of `/proc/PID/stat`. The name in parentheses may itself contain
/// blanks and parentheses, so fields are counted from the last one.
fn parse_process_ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Busy and stolen ticks of the first line of `/proc/stat`.
fn parse_machine_ticks(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields =
        line.split_ascii_whitespace().map(|field| field.parse().ok()).collect::<Option<Vec<u64>>>()?;
    // Guest time, which follows, is counted in user time already.
    let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = fields[..] else { return None };
    Some((user + nice + system + irq + softirq, steal))
}

fn ticks(count: u64, ticks_per_second: u64) -> Duration {
    Duration::from_secs_f64(count as f64 / ticks_per_second as f64)
}

fn named(path: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{path}: {error}"))
}

fn malformed(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{path} has not the form expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_fields() {
        let stat = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0";
        assert_eq!(parse_process_ticks(stat), Some((250, 50)));
        assert_eq!(parse_process_ticks("12 (a) S 1 2"), None);
    }

    #[test]
    fn machine_is_busy_with_all_but_idling_waiting_and_steal() {
        let stat = "cpu  100 20 30 9000 400 5 6 7 50 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(parse_machine_ticks(stat), Some((161, 7)));
        assert_eq!(parse_machine_ticks("cpu0 1 2\n"), None);
    }

    #[test]
    fn own_process_can_be_read() {
        let pid = std::process::id();
        assert!(process_rss_bytes(pid).expect("readable") > 0);
        let cpu = process_cpu_time(pid).expect("readable");
        assert!(cpu.total() <= system::own_cpu_time().expect("readable") + Duration::from_secs(1));
        assert!(machine_time().expect("readable").busy > Duration::ZERO);
    }
}
