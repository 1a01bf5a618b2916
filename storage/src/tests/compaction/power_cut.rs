//! The power fails at every single operation of the disk while passes run beside appends; then the log opens again, with its
//! checkpoint and without.
//!
//! What must hold: nothing flushed is lost; every record is as it was, at its offset; below some offset the log is as the pass
//! leaves it, from there on as it was before, and no pass that was done is undone; the last value of each key is there.
use alloc::format;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::checkpoint;
use crate::disk::Disk;
use crate::error::{AppendError, CompactionError};
use crate::planted;

/// A script that ends when the power does.
struct Script {
    bench: Bench,
    /// The pass under way: what it reported last, and when it began.
    pass: Option<(CompactionReport, i64)>,
    flushed: i64,
    /// Operations of the disk before the part in which the power may fail.
    first_operation: u64,
}

struct Off;

impl Script {
    async fn new(seed: u64, cut_at: Option<u64>) -> Script {
        let shape = Shape { keys: 30, value_bytes: 1_500, without_key: true, codecs: seed.is_multiple_of(2) };
        let mut bench = Bench::new(seed, small_options(), shape).await;
        for turn in 0..160 {
            bench.append().await;
            if turn % 9 == 0 {
                round(&bench.store).await;
            }
            if turn % 40 == 0 {
                // Small segments, so that some are merged.
                bench.epoch += 1;
                bench.make_cleanable().await;
            }
        }
        bench.make_cleanable().await;
        let first_operation = bench.disk.operations();
        if let Some(nth) = cut_at {
            bench.disk.cut_power_at(nth);
        }
        let flushed = bench.log.flushed_offset().value();
        Script { bench, pass: None, flushed, first_operation }
    }

    async fn run(&mut self) -> Result<(), Off> {
        for _ in 0..2 {
            self.pass().await?;
            // Time for tombstones to go.
            self.bench.now_ms += RETENTION_MS;
            for _ in 0..12 {
                self.beside().await?;
            }
            self.upkeep().await?;
            self.bench.now_ms += self.bench.config.segment_ms + 1;
            self.bench.log.roll_for_compaction(self.bench.now_ms, self.bench.log.log_end_offset());
            for _ in 0..3 {
                self.upkeep().await?;
            }
        }
        Ok(())
    }

    async fn pass(&mut self) -> Result<(), Off> {
        let Some(mut pass) = self.bench.begin() else { return Ok(()) };
        let began_ms = self.bench.now_ms;
        loop {
            let step = pass.step().await;
            self.pass = Some((pass.report(), began_ms));
            match step {
                Ok(step) if step.is_over => break,
                Ok(_) => {}
                Err(CompactionError::Disk(_)) if self.bench.disk.is_power_cut() => return Err(Off),
                Err(error) => panic!("{error}"),
            }
            if self.bench.random.chance(2) {
                self.beside().await?;
            }
        }
        self.is_on()?;
        if !pass.report().is_abandoned {
            self.bench.model = self.bench.model.after_pass(&pass.report(), began_ms, RETENTION_MS);
        }
        self.pass = None;
        Ok(())
    }

    /// What goes on beside a pass: appends, rounds, reads.
    async fn beside(&mut self) -> Result<(), Off> {
        let producer = ProducerState::NONE;
        let batch =
            random_batch(&mut self.bench.random, self.bench.shape, self.bench.now_ms, producer, false);
        let epoch = LeaderEpoch::new(self.bench.epoch);
        loop {
            match self.bench.log.append(&batch, epoch, self.bench.now_ms) {
                Ok(appended) => {
                    self.bench.model.note(stamped(&batch, appended.base_offset, epoch));
                    break;
                }
                Err(AppendError::Inactive) if self.bench.log.activate().await.is_ok() => {}
                Err(AppendError::NoRoom) => drop(round(&self.bench.store).await),
                Err(error) => {
                    assert!(self.bench.disk.is_power_cut(), "{error}");
                    return Err(Off);
                }
            }
        }
        if self.bench.random.chance(2) {
            round(&self.bench.store).await;
        }
        self.flushed = self.bench.log.flushed_offset().value();
        self.is_on()
    }

    async fn upkeep(&mut self) -> Result<(), Off> {
        self.bench.now_ms += 1_100;
        let _fails_without_power = self.bench.store.maintain(self.bench.now_ms).await;
        while self.bench.store.has_work() {
            round(&self.bench.store).await;
            self.is_on()?;
        }
        self.flushed = self.bench.log.flushed_offset().value();
        self.is_on()
    }

    fn is_on(&self) -> Result<(), Off> {
        if self.bench.disk.is_power_cut() { Err(Off) } else { Ok(()) }
    }

    /// Starts on what survived and compares; then one more pass, to see that the log is sound.
    async fn verify(mut self, loses_checkpoint: bool, what: &str) {
        let before = self.bench.model.clone();
        let compacted = self.bench.log.compacted_offset();
        let disk = self.bench.disk.restart();
        if loses_checkpoint {
            disk.put_durable(&format!("t-0/{}", checkpoint::FILE_NAME), b"damaged");
        }
        self.bench.disk = disk;
        self.bench.restart(false).await;
        let log = self.bench.log.clone();
        let end = log.log_end_offset().value();
        assert!(end >= self.flushed, "{what}: nothing flushed is lost: {end} of {}", self.flushed);
        assert!(loses_checkpoint || self.pass.is_some() || log.compacted_offset() >= compacted, "{what}");
        let names = self.bench.disk.list("t-0").await.expect("the folder");
        assert!(!names.iter().any(|entry| entry.name.ends_with(".cleaned")), "{what}: {names:?}");
        let seen = model::check_chain(&self.bench.contents().await, 0, what);
        before.check_records(&seen, what);
        let found: alloc::collections::BTreeSet<i64> = seen.keys().copied().collect();
        let mut old = before.clone();
        old.cut(end);
        let new = match &self.pass {
            Some((report, began_ms)) if report.end_offset > 0 => {
                let mut new = before.after_pass(report, *began_ms, RETENTION_MS);
                new.cut(end);
                new
            }
            _ => old.clone(),
        };
        let differs = found.symmetric_difference(&new.stays).next().copied().unwrap_or(i64::MAX);
        assert!(
            found.range(differs..).eq(old.stays.range(differs..)),
            "{what}: new below {differs}, old from there on"
        );
        assert_eq!(before.last_values_of(&seen, end), before.last_values(end), "{what}");
        self.bench.model.stays = found;
        // Which batches have a horizon by now is the log's to say: none of them is compared byte by byte.
        for batch in &mut self.bench.model.batches {
            batch.horizon =
                new.batches.iter().find(|other| other.base == batch.base).and_then(|other| other.horizon);
        }
        self.bench.now_ms += 10 * RETENTION_MS;
        self.bench.make_cleanable().await;
        self.bench.compact().await;
        let seen = model::check_chain(&self.bench.contents().await, 0, what);
        before.check_records(&seen, what);
        assert_eq!(before.last_values_of(&seen, end), before.last_values(end), "{what}: after one more pass");
    }
}

fn cut_everywhere(seed: u64) {
    let (first, last) = run(async {
        let mut script = Script::new(seed, None).await;
        assert!(script.run().await.is_ok(), "the power is on");
        let last = script.bench.disk.operations();
        script.bench.check("without a cut").await;
        (script.first_operation, last)
    });
    assert!(last > first + 60, "{first}..{last}");
    for nth in 1..last - first {
        // A lost checkpoint as well is a second fault: less often.
        for loses_checkpoint in [false, true].into_iter().take(if nth % 3 == 0 { 2 } else { 1 }) {
            let of = last - first;
            let what = format!("seed {seed}, cut at {nth} of {of}, without checkpoint {loses_checkpoint}");
            run(async {
                let mut script = Script::new(seed, Some(nth)).await;
                if script.run().await.is_err() {
                    script.verify(loses_checkpoint, &what).await;
                }
            });
        }
    }
}

#[test]
fn a_power_cut_anywhere_leaves_the_old_or_the_new() {
    for seed in 0..SEEDS {
        cut_everywhere(seed);
    }
}

const SEEDS: u64 = 2;

fn is_found(defect: &'static str) {
    let found = (0..SEEDS).any(|seed| {
        catch_unwind(AssertUnwindSafe(|| planted::with(defect, || cut_everywhere(seed)))).is_err()
    });
    assert!(found, "{defect} is found");
}

#[test]
fn a_new_segment_that_was_not_flushed_is_found() {
    is_found("compacted-not-flushed");
}

#[test]
fn a_new_segment_whose_name_was_not_flushed_is_found() {
    is_found("staged-name-not-flushed");
}

#[test]
fn a_replacement_that_no_checkpoint_tells_of_is_found() {
    is_found("replacement-not-told");
}
