//! Where all clients of a run write down what they saw, with the run's own clock.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::history::{Contradiction, History};

/// A history that is being written, and the word that the run is over.
pub(crate) struct Recorder {
    begin: Instant,
    begin_wall: Duration,
    history: Mutex<History>,
    producers: AtomicU32,
    operations: AtomicU64,
    is_over: AtomicBool,
    acknowledgements: Mutex<Gaps>,
}

/// When records were acknowledged, by any node for any producer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gaps {
    pub(crate) records: u64,
    last: Option<Duration>,
    pub(crate) longest: Duration,
    pub(crate) longest_until: Duration,
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
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.begin.elapsed()
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

    pub(crate) fn acknowledged(&self, records: u32) {
        let now = self.now();
        let mut gaps = self.acknowledgements.lock().unwrap_or_else(PoisonError::into_inner);
        gaps.records += u64::from(records);
        let gap = now.saturating_sub(gaps.last.unwrap_or(now));
        if gap > gaps.longest {
            (gaps.longest, gaps.longest_until) = (gap, now);
        }
        gaps.last = Some(now);
    }

    pub(crate) fn gaps(&self) -> Gaps {
        *self.acknowledgements.lock().unwrap_or_else(PoisonError::into_inner)
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
