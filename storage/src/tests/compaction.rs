//! Compaction against plain models: which offsets stay, what the last value of each key is, what a power cut leaves.
mod fixture;
mod model;
mod power_cut;
mod rules;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use ringmain_protocol::records::{ProducerState, RecordBatchHeader};

use self::model::{Model, Shape, random_batch};
use super::bed::*;
use crate::config::{CompactionConfig, LogConfig, StoreOptions};
use crate::disk::simulated::{Random, SimulatedDisk};
use crate::log::Log;
use crate::log::compaction::{Compaction, CompactionReport};
use crate::offset::{LeaderEpoch, Offset};
use crate::store::Store;

const RETENTION_MS: i64 = 10_000;

fn config() -> LogConfig {
    let compaction = CompactionConfig {
        min_dirty_millionths: 10_000,
        delete_retention_ms: RETENTION_MS,
        ..CompactionConfig::default()
    };
    LogConfig { compaction: Some(compaction), segment_ms: 2_000, ..small_config() }
}

/// A log under test, and what it should hold.
struct Bench {
    random: Random,
    disk: SimulatedDisk,
    options: StoreOptions,
    config: LogConfig,
    shape: Shape,
    store: Store<SimulatedDisk>,
    log: Log<SimulatedDisk>,
    model: Model,
    /// The sequence number that each producer uses next.
    sequences: BTreeMap<i64, i32>,
    now_ms: i64,
    epoch: i32,
}

impl Bench {
    async fn new(seed: u64, options: StoreOptions, shape: Shape) -> Bench {
        Bench::on(disk(seed), seed, options, shape).await
    }

    async fn on(disk: SimulatedDisk, seed: u64, options: StoreOptions, shape: Shape) -> Bench {
        let store = open(&disk, options).await;
        let log = store.open_log(identity("t", 0), config(), START_MS).await.expect("it opens");
        Bench {
            random: Random::new(seed),
            disk,
            options,
            config: config(),
            shape,
            store,
            log,
            model: Model::default(),
            sequences: BTreeMap::new(),
            now_ms: START_MS,
            epoch: 0,
        }
    }

    async fn append(&mut self) {
        let producer_id = self.random.below(5) as i64 - 2;
        let is_transactional = producer_id == 2 && self.random.chance(3);
        let producer = if producer_id < 0 {
            ProducerState::NONE
        } else {
            let base_sequence = *self.sequences.entry(producer_id).or_default();
            ProducerState { producer_id, producer_epoch: 0, base_sequence }
        };
        let batch = random_batch(&mut self.random, self.shape, self.now_ms, producer, is_transactional);
        self.append_batch(&batch).await;
    }

    async fn append_batch(&mut self, batch: &[u8]) {
        let header = RecordBatchHeader::peek(batch).expect("a header");
        let (producer_id, records) = (header.producer_id.get(), header.record_count.get());
        let epoch = LeaderEpoch::new(self.epoch);
        let appended = append_in_epoch(&self.store, &self.log, batch, epoch, self.now_ms).await;
        assert_eq!(appended.base_offset.value(), self.model.end());
        *self.sequences.entry(producer_id).or_default() += records;
        self.model.note(stamped(batch, appended.base_offset, epoch));
    }

    /// Upkeep and rounds until everything is settled, sealed and checkpointed.
    async fn settle(&mut self) {
        for _ in 0..4 {
            self.now_ms += 1_100;
            self.store.maintain(self.now_ms).await.expect("upkeep");
            while self.store.has_work() {
                round(&self.store).await;
            }
        }
    }

    /// Rolls the open segment by its age and makes all of it cleanable.
    async fn make_cleanable(&mut self) {
        self.now_ms += self.config.segment_ms + 1;
        self.log.roll_for_compaction(self.now_ms, self.log.log_end_offset());
        self.settle().await;
    }

    fn begin(&self) -> Option<Compaction<SimulatedDisk>> {
        self.log.begin_compaction(self.now_ms, self.log.flushed_offset())
    }

    /// A whole pass with nothing in between.
    async fn compact(&mut self) -> Option<CompactionReport> {
        let mut pass = self.begin()?;
        while !pass.step().await.expect("the pass goes on").is_over {}
        let report = pass.report();
        self.model = self.model.after_pass(&report, self.now_ms, RETENTION_MS);
        Some(report)
    }

    async fn contents(&self) -> Vec<u8> {
        read_all(&self.log, self.log.log_start_offset(), 1 << 20).await
    }

    async fn check(&self, what: &str) {
        let start = self.log.log_start_offset().value();
        for max_bytes in [1, 5_000, 1 << 20] {
            let bytes = read_all(&self.log, Offset::new(start), max_bytes).await;
            self.model.check(&bytes, start, what);
        }
    }

    /// Kills the node, or stops it, and starts it again.
    async fn restart(&mut self, closes: bool) {
        if closes {
            self.store.clone().close().await.expect("it closes");
        }
        self.disk = self.disk.restart();
        self.store = open(&self.disk, self.options).await;
        self.log = self.store.open_log(identity("t", 0), self.config, self.now_ms).await.expect("it opens");
        self.model.cut(self.log.log_end_offset().value());
        self.sequences.clear();
        for producer in self.log.producers() {
            self.sequences.insert(producer.producer_id, producer.last_sequence + 1);
        }
    }
}

const SHAPE: Shape = Shape { keys: 40, value_bytes: 800, without_key: true, codecs: true };

#[test]
fn what_stays_is_what_kafka_would_keep() {
    for seed in 0..12 {
        run(async {
            let options = match seed % 3 {
                // A map that is soon full.
                0 => StoreOptions { key_map_bytes_max: 0, ..small_options() },
                _ => small_options(),
            };
            let keys = if seed % 3 == 0 { 2_000 } else { 40 };
            let mut bench = Bench::new(seed, options, Shape { keys, ..SHAPE }).await;
            let (mut passes, mut removed) = (0, 0);
            for turn in 0..60 {
                for _ in 0..bench.random.below(40) {
                    bench.append().await;
                    if bench.random.chance(6) {
                        round(&bench.store).await;
                    }
                }
                if bench.random.chance(3) {
                    bench.epoch += 1;
                }
                if bench.random.chance(2) {
                    bench.make_cleanable().await;
                }
                if let Some(report) = bench.compact().await {
                    passes += 1;
                    removed += report.records_removed;
                    assert!(report.end_offset > report.dirty_offset, "{report:?}");
                    bench.check(&alloc::format!("seed {seed}, turn {turn}")).await;
                }
                if bench.random.chance(8) {
                    let closes = bench.random.chance(2);
                    let before = (bench.log.compacted_offset(), bench.log.flushed_offset());
                    bench.restart(closes).await;
                    assert_eq!(bench.log.compacted_offset(), before.0, "the dirty point survives a restart");
                    assert!(bench.log.log_end_offset() >= before.1);
                    bench.check(&alloc::format!("seed {seed}, turn {turn}, restarted")).await;
                }
            }
            assert!(passes > 5 && removed > 100, "seed {seed}: {passes} passes removed {removed}");
            let (end, seen) = (bench.model.end(), model::check_chain(&bench.contents().await, 0, "at last"));
            assert_eq!(bench.model.last_values_of(&seen, end), bench.model.last_values(end), "seed {seed}");
        });
    }
}
