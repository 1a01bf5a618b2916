//! What a shard does by the clock: deadlines of produce requests, upkeep of the store, retention, idle connections.
//!
//! What must hold: each turn does a bounded amount, so that it never holds up requests.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use ringmain_storage::ChangeError;

use super::{Partition, Shard};
use crate::runtime;

/// How often partitions are told that time has passed, if they wait for something.
const DEADLINE_PERIOD: Duration = Duration::from_millis(100);
/// How often the store settles, checkpoints and gives back.
const UPKEEP_PERIOD: Duration = Duration::from_secs(1);
/// Freed buffers that are worth asking the allocator for: small ones lie between others that are in use, and it would keep
/// their pages for good.
const TRIM_BYTES_MIN: usize = 4 << 20;
/// How often idle connections are looked for.
const IDLE_PERIOD: Duration = Duration::from_secs(5);

impl Shard {
    /// Starts all periodic work of the shard.
    pub(crate) fn start_maintenance(self: &Rc<Self>) {
        runtime::spawn(self.clone().keep_deadlines());
        runtime::spawn(self.clone().keep_store());
        runtime::spawn(self.clone().keep_retention());
        runtime::spawn(self.clone().keep_compacted());
        runtime::spawn(self.clone().close_idle_connections());
        runtime::spawn(self.clone().flush_cached());
        runtime::spawn(self.clone().keep_group_deadlines());
    }

    async fn keep_deadlines(self: Rc<Self>) {
        while !self.is_stopping() {
            self.sleep_and_note_delay(DEADLINE_PERIOD).await;
            for partition in self.partitions_to_tick() {
                partition.tick(&self);
            }
        }
    }

    /// Sleeps, and takes note of how much later than asked the shard came to it: so long would a request have waited.
    async fn sleep_and_note_delay(&self, period: Duration) {
        let began = self.clock.read();
        runtime::sleep(period).await;
        let slept = Duration::from_nanos(self.clock.nanoseconds(began, self.clock.read()));
        let late = slept.saturating_sub(period).as_nanos();
        self.delays.add(u64::try_from(late).unwrap_or(u64::MAX), 1);
    }

    async fn keep_store(self: Rc<Self>) {
        let mut kept_by_allocator = 0;
        while !self.is_stopping() {
            runtime::sleep(UPKEEP_PERIOD).await;
            match self.store.maintain(runtime::unix_ms()).await {
                // Only once nothing more comes: it takes some milliseconds.
                Ok(0) if kept_by_allocator >= TRIM_BYTES_MIN => {
                    kept_by_allocator = 0;
                    runtime::run_blocking(runtime::give_freed_memory_back).await;
                }
                Ok(given_back) => kept_by_allocator += given_back,
                Err(error) => tracing::error!(shard = self.id.0, %error, "maintain the store"),
            }
        }
    }

    /// What `write.caching` left unflushed is flushed within the shortest `flush.ms` of the shard's topics.
    async fn flush_cached(self: Rc<Self>) {
        while !self.is_stopping() {
            runtime::sleep(self.flush_period()).await;
            match self.store.flush_cached().await {
                Ok(flushed) => self.report(flushed, true),
                Err(error) => tracing::error!(shard = self.id.0, %error, "flush what write.caching left"),
            }
        }
    }

    async fn keep_retention(self: Rc<Self>) {
        let period = Duration::from_millis(self.config().storage.retention_check_ms);
        while !self.is_stopping() {
            runtime::sleep(period).await;
            for partition in self.all_partitions() {
                self.retain(&partition).await;
                runtime::yield_to_reactor().await;
            }
        }
    }

    /// Each replica by itself, as in Kafka: below the high watermark all have the same, and the oldest goes first everywhere.
    async fn retain(&self, partition: &Partition) {
        let (log, high_watermark) = (partition.log(), partition.high_watermark());
        let index = partition.key().partition;
        let applied = log.apply_retention(runtime::unix_ms(), high_watermark).await;
        if log.log_start_offset() > partition.known_log_start() {
            partition.log_start_advanced(self);
        }
        match applied {
            Ok(report) if report.segments > 0 => tracing::info!(
                topic = partition.topic(),
                partition = index,
                segments = report.segments,
                bytes = report.bytes,
                log_start_offset = report.log_start_offset.value(),
                "retention deleted segments"
            ),
            // The log was cut meanwhile.
            Ok(_) | Err(ChangeError::OutOfRange { .. }) => {}
            Err(error) => {
                tracing::error!(topic = partition.topic(), partition = index, %error, "apply retention");
            }
        }
    }

    async fn close_idle_connections(self: Rc<Self>) {
        let idle_max = Duration::from_millis(self.config().limits.connection_idle_ms);
        let period = IDLE_PERIOD.min(idle_max);
        while !self.is_stopping() {
            runtime::sleep(period).await;
            let now = Instant::now();
            for connection in self.connections().all() {
                let idle = connection.idle_for(now) >= idle_max && !connection.is_answering();
                if idle || connection.is_stalled(now) {
                    self.counters().connections_idle_closed.increment();
                    connection.close();
                }
            }
        }
    }
}
