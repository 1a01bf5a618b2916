//! Whether the shards of this node get anything done. A disk that takes a write and never ends it leaves a process that
//! answers heartbeats and commits nothing: its leaderships would stand still for as long as it lives.
//!
//! Each shard says a few times a second that its rounds of group commit end, or that there was none. A node of which one has
//! not said so for as long as a follower may lag asks to be fenced: its leaderships go to replicas that are in sync. It
//! asks for its place again as soon as all shards go on. What must hold: a shard that has not begun yet counts as well.
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When each shard was last seen to go on.
#[derive(Debug)]
pub(super) struct Health {
    begun: Instant,
    /// Milliseconds since `begun`; [`NEVER`] before the first time.
    well_at: Box<[AtomicU64]>,
}

/// Of a shard that has not begun.
const NEVER: u64 = u64::MAX;

impl Health {
    pub(super) fn new(shards: usize) -> Self {
        Self { begun: Instant::now(), well_at: (0..shards).map(|_| AtomicU64::new(NEVER)).collect() }
    }

    /// A shard goes on.
    pub(super) fn is_well(&self, shard: u16) {
        self.is_well_at(shard, self.begun.elapsed());
    }

    fn is_well_at(&self, shard: u16, now: Duration) {
        if let Some(well_at) = self.well_at.get(usize::from(shard)) {
            well_at.store(u64::try_from(now.as_millis()).unwrap_or(NEVER), Ordering::Relaxed);
        }
    }

    /// For how long the shard that is worst off has not gone on.
    pub(super) fn longest_silence(&self) -> Duration {
        self.longest_silence_at(self.begun.elapsed())
    }

    fn longest_silence_at(&self, now: Duration) -> Duration {
        let well_at = self.well_at.iter().map(|well_at| well_at.load(Ordering::Relaxed));
        let begun = well_at.filter(|well_at| *well_at != NEVER);
        begun.map(|well_at| now.saturating_sub(Duration::from_millis(well_at))).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_shard_counts_once_it_has_begun() {
        let (health, second) = (Health::new(3), Duration::from_secs(1));
        assert_eq!(health.longest_silence_at(9 * second), Duration::ZERO, "none has begun");
        health.is_well_at(0, 10 * second);
        health.is_well_at(2, 12 * second);
        assert_eq!(health.longest_silence_at(13 * second), 3 * second);
        health.is_well_at(0, 13 * second);
        assert_eq!(health.longest_silence_at(13 * second), second);
    }
}
