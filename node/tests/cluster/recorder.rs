//! Where all clients of a run write down what they saw, with the run's own clock.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::history::{Contradiction, History};

/// More than any run of minutes makes; a bound on the memory of one of hours.
const REMARKS_MAX: usize = 200_000;

/// A history that is being written, and the word that the run is over.
pub(crate) struct Recorder {
    begin: Instant,
    begin_wall: Duration,
    history: Mutex<History>,
    producers: AtomicU32,
    operations: AtomicU64,
    is_over: AtomicBool,
    acknowledgements: Mutex<Acknowledgements>,
    remarks: Mutex<Vec<Remark>>,
}

/// When records were acknowledged, by any node for any producer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Acknowledgements {
    pub(crate) records: u64,
    pub(crate) of_all: Stretch,
    pub(crate) of_partitions: BTreeMap<i32, Stretch>,
}

/// Acknowledgements one after the other, and the time between them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stretch {
    last: Option<Duration>,
    pub(crate) longest: Gap,
}

/// A time in which nothing was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Gap {
    pub(crate) from: Duration,
    pub(crate) until: Duration,
}

/// What a client noticed that is no part of the history: why it waited.
#[derive(Debug, Clone)]
pub(crate) struct Remark {
    pub(crate) at: Duration,
    pub(crate) text: String,
}

impl Gap {
    pub(crate) fn length(self) -> Duration {
        self.until.saturating_sub(self.from)
    }
}

impl Stretch {
    fn add(&mut self, now: Duration) {
        let gap = Gap { from: self.last.unwrap_or(now), until: now };
        if gap.length() > self.longest.length() {
            self.longest = gap;
        }
        self.last = Some(now);
    }
}

impl Acknowledgements {
    /// The partition that waited longest.
    pub(crate) fn worst_partition(&self) -> Option<(i32, Gap)> {
        let gaps = self.of_partitions.iter().map(|(partition, stretch)| (*partition, stretch.longest));
        gaps.max_by_key(|(_, gap)| gap.length())
    }
}

impl Recorder {
    pub(crate) fn new() -> Recorder {
        Recorder {
            begin: Instant::now(),
            begin_wall: SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970"),
            history: Mutex::default(),
            producers: AtomicU32::new(0),
            operations: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            acknowledgements: Mutex::default(),
            remarks: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    /// When the run began, in the time of day.
    pub(crate) fn begin_wall(&self) -> Duration {
        self.begin_wall
    }

    /// A time of day, in milliseconds since 1970, on the run's clock.
    pub(crate) fn at(&self, wall_ms: u64) -> Duration {
        Duration::from_millis(wall_ms).saturating_sub(self.begin_wall)
    }

    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        // A client that panicked fails the run; what it wrote down is still wanted.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a new incarnation of a producer.
    pub(crate) fn next_producer(&self) -> u32 {
        self.producers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Counts something that was asked for and answered, in whichever way.
    pub(crate) fn count(&self) {
        self.operations.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    /// A partition's leader acknowledged so many records.
    pub(crate) fn acknowledged(&self, partition: i32, records: u32) {
        let now = self.now();
        let mut acknowledged = self.acknowledgements.lock().unwrap_or_else(PoisonError::into_inner);
        acknowledged.records += u64::from(records);
        acknowledged.of_all.add(now);
        acknowledged.of_partitions.entry(partition).or_default().add(now);
    }

    pub(crate) fn acknowledgements(&self) -> Acknowledgements {
        self.acknowledgements.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes why a client waits; those who note too much are not heard any more.
    pub(crate) fn remark(&self, text: impl FnOnce() -> String) {
        let at = self.now();
        let mut remarks = self.remarks.lock().unwrap_or_else(PoisonError::into_inner);
        if remarks.len() < REMARKS_MAX {
            remarks.push(Remark { at, text: text() });
        }
    }

    pub(crate) fn remarks(&self) -> Vec<Remark> {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn contradiction(&self, client: &str, partition: i32, said: String) {
        let said = format!("{said} (after {:.3} s)", self.now().as_secs_f64());
        self.history().contradictions.push(Contradiction { client: client.to_owned(), partition, said });
    }

    /// From now on clients only end what they have begun.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}
