//! How far the node is, and whether its shards get anything done.
//!
//! A disk that takes a write and never ends it leaves a process that answers heartbeats and commits nothing: its leaderships
//! would stand still for as long as it lives. So each shard says a few times a second that its loop turns and that its disk
//! answers, from the moment on at which it begins to open its logs. Three listen: the watchdog (systemd), the heartbeats of
//! a node in a cluster (its leaderships go to others), and the admin endpoint.
//!
//! What must hold: a shard that has not begun yet counts as one that goes on; reading and writing never wait for each other.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A shard that says nothing for so long is stuck: it would have done so a hundred times.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// How far the node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Limits, disk, metadata.
    Checking,
    /// What the journals hold goes to the segments.
    Replaying,
    /// Every shard opens its logs.
    Recovering,
    /// A node of a cluster waits until the controller has registered it and given it its roles.
    Joining,
    /// Clients are served, as the text says.
    Serving(String),
    /// The configuration is read again; clients are served meanwhile.
    Reloading,
    /// It is to stop, for this reason, and others take over what it leads.
    HandingOver(String),
    /// It is to stop: what is under way is answered, the logs are settled.
    Draining,
    /// It ends for this reason.
    Failed(String),
}

/// What the node knows of itself while it starts, serves and stops.
#[derive(Debug)]
pub struct Progress {
    begun: Instant,
    phase: Mutex<Phase>,
    shards: Box<[ShardProgress]>,
}

#[derive(Debug)]
struct ShardProgress {
    /// When it last went on, in milliseconds since `begun`; [`NEVER`] before the first time.
    went_on_at: AtomicU64,
    /// How often it went on.
    turns: AtomicU64,
    /// Disk operations that have ended.
    disk_operations: AtomicU64,
    logs_found: AtomicUsize,
    logs_opened: AtomicUsize,
}

/// Of a shard that has not begun.
const NEVER: u64 = u64::MAX;

impl Progress {
    /// Of a node that begins to start.
    pub fn new(shards: usize) -> Self {
        let shard = || ShardProgress {
            went_on_at: AtomicU64::new(NEVER),
            turns: AtomicU64::new(0),
            disk_operations: AtomicU64::new(0),
            logs_found: AtomicUsize::new(0),
            logs_opened: AtomicUsize::new(0),
        };
        Self {
            begun: Instant::now(),
            phase: Mutex::new(Phase::Checking),
            shards: (0..shards).map(|_| shard()).collect(),
        }
    }

    /// How many shards there are.
    pub fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// How far the node is.
    pub fn phase(&self) -> Phase {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether clients are served.
    pub fn is_ready(&self) -> bool {
        matches!(self.phase(), Phase::Serving(_) | Phase::Reloading)
    }

    pub(super) fn enter(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// The loop of a shard turns and its disk answers; so many operations of the disk have ended so far.
    pub(crate) fn went_on(&self, shard: u16, disk_operations: u64) {
        self.went_on_at(shard, disk_operations, self.begun.elapsed());
    }

    fn went_on_at(&self, shard: u16, disk_operations: u64, now: Duration) {
        if let Some(shard) = self.shards.get(usize::from(shard)) {
            shard.disk_operations.store(disk_operations, Ordering::Relaxed);
            shard.turns.fetch_add(1, Ordering::Relaxed);
            shard.went_on_at.store(milliseconds(now), Ordering::Relaxed);
        }
    }

    /// A shard begins to open so many logs.
    pub(crate) fn found_logs(&self, shard: u16, logs: usize) {
        if let Some(shard) = self.shards.get(usize::from(shard)) {
            shard.logs_found.fetch_add(logs, Ordering::Relaxed);
        }
    }

    /// A shard has opened one of them, or found out that it cannot be opened.
    pub(crate) fn opened_log(&self, shard: u16) {
        if let Some(shard) = self.shards.get(usize::from(shard)) {
            shard.logs_opened.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often a shard has gone on.
    pub fn turns(&self, shard: usize) -> u64 {
        self.shards.get(shard).map_or(0, |it| it.turns.load(Ordering::Relaxed))
    }

    /// For how long a shard has not gone on; nothing for one that has not begun.
    pub fn silence(&self, shard: usize) -> Duration {
        self.silence_at(shard, self.begun.elapsed())
    }

    fn silence_at(&self, shard: usize, now: Duration) -> Duration {
        let went_on_at = self.shards.get(shard).map_or(NEVER, |it| it.went_on_at.load(Ordering::Relaxed));
        if went_on_at == NEVER {
            Duration::ZERO
        } else {
            now.saturating_sub(Duration::from_millis(went_on_at))
        }
    }

    /// The shard that is worst off, and for how long it has not gone on.
    pub fn longest_silence(&self) -> (usize, Duration) {
        self.longest_silence_at(self.begun.elapsed())
    }

    fn longest_silence_at(&self, now: Duration) -> (usize, Duration) {
        let silences = (0..self.shards.len()).map(|shard| (shard, self.silence_at(shard, now)));
        silences.max_by_key(|(_, silence)| *silence).unwrap_or_default()
    }

    /// A shard that gets nothing done, and for how long.
    pub fn stuck_shard(&self) -> Option<(usize, Duration)> {
        Some(self.longest_silence()).filter(|(_, silence)| *silence >= SILENCE_MAX)
    }

    /// A number that grows while a start gets on.
    pub(super) fn work(&self) -> u64 {
        let work = |shard: &ShardProgress| {
            shard.disk_operations.load(Ordering::Relaxed) + shard.logs_opened.load(Ordering::Relaxed) as u64
        };
        self.shards.iter().map(work).sum()
    }

    /// Logs opened and found, and the shard that has most of them left, with how many.
    fn logs(&self) -> (usize, usize, usize, usize) {
        let (mut opened, mut found, mut worst, mut left) = (0, 0, 0, 0);
        for (number, shard) in self.shards.iter().enumerate() {
            let of_shard = shard.logs_opened.load(Ordering::Relaxed);
            let all = shard.logs_found.load(Ordering::Relaxed).max(of_shard);
            (opened, found) = (opened + of_shard, found + all);
            if all - of_shard > left {
                (worst, left) = (number, all - of_shard);
            }
        }
        (opened, found, worst, left)
    }
}

impl fmt::Display for Progress {
    /// One line for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.phase() {
            Phase::Checking => f.write_str("checking disk and metadata"),
            Phase::Replaying => write!(f, "replaying journals, {} disk operations so far", self.work()),
            Phase::Recovering => match self.logs() {
                (opened, found, _, 0) => write!(f, "recovering, {opened} of {found} logs done"),
                (opened, found, shard, left) => {
                    write!(f, "recovering {opened} of {found} logs, {left} left on shard {shard}")
                }
            },
            Phase::Joining => f.write_str("waiting for the cluster: its controller has to know this start"),
            Phase::Serving(how) => f.write_str(&how),
            Phase::Reloading => f.write_str("reading the configuration again"),
            Phase::HandingOver(reason) => {
                write!(f, "stopping ({reason}): others take over what this node leads")
            }
            Phase::Draining => f.write_str("stopping: answering what is under way, settling the logs"),
            Phase::Failed(reason) => f.write_str(&reason),
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_worst_shard_counts_once_it_has_begun() {
        let progress = Progress::new(3);
        assert_eq!(progress.longest_silence_at(9 * SECOND).1, Duration::ZERO, "none has begun");
        progress.went_on_at(0, 0, 10 * SECOND);
        progress.went_on_at(2, 0, 12 * SECOND);
        assert_eq!(progress.longest_silence_at(13 * SECOND), (0, 3 * SECOND));
        progress.went_on_at(0, 0, 13 * SECOND);
        assert_eq!(progress.longest_silence_at(13 * SECOND), (2, SECOND));
        assert_eq!(progress.silence_at(1, 99 * SECOND), Duration::ZERO, "it has not begun");
        assert_eq!((progress.turns(0), progress.turns(1), progress.turns(2)), (2, 0, 1));
    }

    #[test]
    fn a_start_says_how_far_it_is() {
        let progress = Progress::new(2);
        progress.enter(Phase::Recovering);
        progress.found_logs(0, 100);
        progress.found_logs(1, 300);
        let before = progress.work();
        (0..100).for_each(|_| progress.opened_log(0));
        (0..20).for_each(|_| progress.opened_log(1));
        assert_eq!(progress.to_string(), "recovering 120 of 400 logs, 280 left on shard 1");
        progress.went_on(0, 7);
        assert_eq!(progress.work() - before, 127);
        assert!(!progress.is_ready());
        progress.enter(Phase::Serving("serving".into()));
        assert!(progress.is_ready());
    }
}
