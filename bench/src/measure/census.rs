//! CPU time of every process at one moment, and who used the machine between two.
//!
//! "Others" are all processes but the broker's, this one and the kernel's own threads, each counted by the
//! time that the scheduler gave it (`utime` and `stime` of `/proc/PID/stat`, which the kernel scales to the
//! nanoseconds that it measured, in steps of 10 ms). The machine's busy time in `/proc/stat` is no measure of
//! it: where the kernel samples that at clock ticks, whoever wakes in step with the tick is always or never
//! seen, and a client that sends a thousand records a second is off by a third of the machine.
//!
//! - **Short-lived processes** are found in the sum of whoever waited for them (`cutime` and `cstime`). Missed
//!   are only children of a process that ignores their end.
//! - **The kernel's threads** (write-back, journals, block devices, `ksoftirqd`) work on behalf of those who
//!   write or send: they are not others, and have a share of their own. Workers of io_uring are threads of the
//!   process that uses it.
//! - **Interrupts** and what follows them (`softirq`) belong to whoever they interrupt, or to nobody on an idle
//!   processor and in a kernel that counts them apart. Over loopback the receiver's work is done in the sender's
//!   call, thus the sender's. A process of others that runs beside a busy device is charged for its
//!   interrupts: it is others' work that made the round doubtful in the first place.
//! - **Steal** is the host's, and in `context/clocks.rs`.
//!
//! What must hold: each process counts once, as itself or in its parent's sum. What this cannot see are
//! processes outside a container or of other users behind `hidepid`; there the kernel's threads are not
//! seen either, [`sees_all`](Census::sees_all) says so, and the clock ticks have to do.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use crate::processes::Processes;
use crate::system;

/// Set in the flags of `/proc/PID/stat` for threads of the kernel.
const FLAG_KERNEL_THREAD: u64 = 0x0020_0000;

/// A process that ends while the others are read is in nobody's sum yet; all are read again, so often at most.
const ATTEMPTS_MAX: usize = 5;

/// What has ended is told of under this name.
const ENDED: &str = "ended processes";

/// All processes at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Census {
    at: Instant,
    ticks_per_second: u64,
    processes: BTreeMap<Identity, Process>,
}

/// Process ids are used again; together with the begin they are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    pid: u32,
    started_ticks: u64,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    name: String,
    role: Role,
    /// Of all its threads, those that ended too.
    own_ticks: u64,
    /// Of its children that ended and were waited for, and theirs.
    reaped_ticks: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Kernel,
    /// The broker, or this process.
    Measured,
    Other,
}

/// What was used between two censuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spent {
    /// Time between them.
    pub(crate) elapsed: Duration,
    /// By the kernel's own threads.
    pub(crate) kernel: Duration,
    /// By others.
    pub(crate) others: Duration,
    /// The same by name, the greatest first.
    pub(crate) by_name: Vec<(String, Duration)>,
}

impl Census {
    /// Reads all processes; `broker` and this one are what is measured. Takes milliseconds.
    pub(crate) fn take(broker: &Processes) -> io::Result<Self> {
        let ticks_per_second = system::clock_ticks_per_second()?;
        let mut attempts = 1;
        loop {
            let mut processes = BTreeMap::new();
            let mut is_whole = true;
            // The list comes first: who ends after it is noticed.
            let names = fs::read_dir("/proc")?.map(|entry| Ok(entry?.file_name()));
            let names = names.collect::<io::Result<Vec<_>>>()?;
            for pid in names.iter().filter_map(|name| name.to_str()?.parse::<u32>().ok()) {
                let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
                    is_whole = false;
                    continue;
                };
                let (started_ticks, process) = parse(&stat, is_measured(pid, broker)).ok_or_else(|| {
                    let text = format!("/proc/{pid}/stat has not the form expected");
                    io::Error::new(io::ErrorKind::InvalidData, text)
                })?;
                processes.insert(Identity { pid, started_ticks }, process);
            }
            if is_whole || attempts == ATTEMPTS_MAX {
                return Ok(Self { at: Instant::now(), ticks_per_second, processes });
            }
            attempts += 1;
        }
    }

    /// Whether all of the machine's processes are seen: then the kernel's threads are among them.
    pub(crate) fn sees_all(&self) -> bool {
        self.processes.values().any(|process| process.role == Role::Kernel)
    }

    /// What was used since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Spent {
        let time = |ticks: u64| Duration::from_secs_f64(ticks as f64 / self.ticks_per_second as f64);
        let ticks = self.ticks_since(earlier);
        let mut by_name: Vec<_> =
            ticks.others.into_iter().map(|(name, ticks)| (name.to_owned(), time(ticks))).collect();
        by_name.retain(|(_, used)| *used > Duration::ZERO);
        by_name.sort_by_key(|(_, used)| std::cmp::Reverse(*used));
        Spent {
            elapsed: self.at.saturating_duration_since(earlier.at),
            kernel: time(ticks.kernel),
            others: by_name.iter().map(|(_, used)| *used).sum(),
            by_name,
        }
    }

    fn ticks_since<'a>(&'a self, earlier: &'a Self) -> Ticks<'a> {
        let mut ticks = Ticks::default();
        let mut reaped = 0;
        for (identity, process) in &self.processes {
            let before = earlier.processes.get(identity);
            let own = process.own_ticks.saturating_sub(before.map_or(0, |before| before.own_ticks));
            match process.role {
                Role::Kernel => ticks.kernel += own,
                Role::Measured => {}
                Role::Other => *ticks.others.entry(&process.name).or_default() += own,
            }
            reaped += process.reaped_ticks.saturating_sub(before.map_or(0, |before| before.reaped_ticks));
        }
        // Who has ended took all its time along into the sum of its parent, also what it had used before.
        let gone = earlier.processes.iter().filter(|(identity, _)| !self.processes.contains_key(identity));
        let used_before: u64 = gone.map(|(_, process)| process.own_ticks + process.reaped_ticks).sum();
        ticks.others.insert(ENDED, reaped.saturating_sub(used_before));
        ticks
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Ticks<'a> {
    kernel: u64,
    others: BTreeMap<&'a str, u64>,
}

fn is_measured(pid: u32, broker: &Processes) -> bool {
    pid == std::process::id() || broker.ids().contains(&pid)
}

/// When the process began, and the process, of a line of `/proc/PID/stat`.
fn parse(stat: &str, is_measured: bool) -> Option<(u64, Process)> {
    // The name in parentheses may contain blanks and parentheses; fields are counted from behind it, the
    // state is 0.
    let (before, behind) = stat.rsplit_once(") ")?;
    let (_, name) = before.split_once('(')?;
    let fields: Vec<&str> = behind.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let role = match number(6)? & FLAG_KERNEL_THREAD != 0 {
        true => Role::Kernel,
        false if is_measured => Role::Measured,
        false => Role::Other,
    };
    let process = Process {
        name: name.to_owned(),
        role,
        own_ticks: number(11)? + number(12)?,
        reaped_ticks: number(13)? + number(14)?,
    };
    Some((number(19)?, process))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn census(processes: &[(u32, &str, Role, u64, u64)]) -> Census {
        let processes = processes.iter().map(|&(pid, name, role, own_ticks, reaped_ticks)| {
            let process = Process { name: name.into(), role, own_ticks, reaped_ticks };
            (Identity { pid, started_ticks: 1 }, process)
        });
        Census { at: Instant::now(), ticks_per_second: 100, processes: processes.collect() }
    }

    #[test]
    fn fields_are_counted_from_behind_the_name() {
        let stat = |flags: u64| format!("12 (a) b) S 2 0 0 0 -1 {flags} 0 0 0 0 250 50 7 8 20 0 1 0 99 0");
        let process = |role| Process { name: "a) b".into(), role, own_ticks: 300, reaped_ticks: 15 };
        let kernel = parse(&stat(FLAG_KERNEL_THREAD | 0x40), false);
        assert_eq!(kernel, Some((99, process(Role::Kernel))));
        assert_eq!(parse(&stat(0x40), false), Some((99, process(Role::Other))));
        assert_eq!(parse(&stat(0x40), true), Some((99, process(Role::Measured))));
        assert_eq!(parse("12 (a) S 2", false), None);
    }

    #[test]
    fn broker_client_and_kernel_are_not_others() {
        let before = [
            (1, "broker", Role::Measured, 10, 0),
            (2, "worker", Role::Kernel, 20, 0),
            (3, "a", Role::Other, 5, 0),
        ];
        let after = [
            (1, "broker", Role::Measured, 110, 0),
            (2, "worker", Role::Kernel, 27, 0),
            (3, "a", Role::Other, 8, 0),
            (4, "a", Role::Other, 2, 0),
        ];
        let (before, after) = (census(&before), census(&after));
        let ticks = after.ticks_since(&before);
        assert_eq!((ticks.kernel, ticks.others), (7, BTreeMap::from([("a", 5), (ENDED, 0)])));
        assert!(after.sees_all());
        assert!(!census(&[(1, "a", Role::Other, 0, 0)]).sees_all());
    }

    #[test]
    fn who_ended_counts_once_and_only_from_the_first_census() {
        // The child had used 50 and reaped 4 when it was first seen, and used 6 more; another came and
        // went in between with 9.
        let before = census(&[(1, "parent", Role::Other, 1, 100), (2, "child", Role::Other, 50, 4)]);
        let after = census(&[(1, "parent", Role::Other, 3, 100 + 60 + 9)]);
        let others = after.ticks_since(&before).others;
        assert_eq!(others, BTreeMap::from([("parent", 2), (ENDED, 15)]));
        // Nobody waited for this one: what it used before must not hide what others use.
        let unnoticed = census(&[(1, "parent", Role::Other, 3, 100)]);
        assert_eq!(unnoticed.ticks_since(&before).others, BTreeMap::from([("parent", 2), (ENDED, 0)]));
    }

    #[test]
    fn an_id_that_is_used_again_is_another_process() {
        let before = census(&[(1, "a", Role::Other, 90, 0)]);
        let mut after = census(&[(2, "init", Role::Other, 0, 90)]);
        let process = Process { name: "b".into(), role: Role::Other, own_ticks: 3, reaped_ticks: 0 };
        after.processes.insert(Identity { pid: 1, started_ticks: 2 }, process);
        let ticks = after.ticks_since(&before);
        assert_eq!(ticks.others, BTreeMap::from([("init", 0), ("b", 3), (ENDED, 0)]));
    }

    #[test]
    fn a_child_that_came_and_went_is_seen() {
        let before = Census::take(&Processes::default()).expect("readable");
        // Ends itself once it has used a tenth of a second or so.
        let work = "until [ \"$(cut -d' ' -f14 /proc/$$/stat)\" -ge 10 ]; do \
                    n=0; while [ $n -lt 20000 ]; do n=$((n + 1)); done; done";
        let ended = Command::new("sh").args(["-c", work]).status().expect("there is a shell");
        assert!(ended.success());
        let after = Census::take(&Processes::default()).expect("readable");
        let spent = after.since(&before);
        let found = spent.by_name.iter().find(|(name, _)| name == ENDED).expect("somebody ended");
        assert!(found.1 >= Duration::from_millis(90), "{spent:?}");
        assert!(spent.others >= found.1);
    }
}
