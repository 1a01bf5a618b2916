//! Cut the power after every single operation of the disk, start again, compare.
//!
//! A script of random operations runs on a simulated disk; its power is cut at the n-th operation, for every n. Then a new
//! store opens on what survived. What must hold for each log:
//! - Everything below its last known flushed offset is there, byte for byte, at its offset.
//! - What is there beyond that is what was appended, in order: no phantom, no gap, no changed offset.
//! - A truncation, a restart at another offset, a new start or a deletion that had returned is in force; one under way
//!   happened wholly or not at all.
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use super::bed::*;
use crate::config::{LogConfig, StoreOptions};
use crate::disk::simulated::{Random, SimulatedDisk};
use crate::error::AppendError;
use crate::identity::{LogIdentity, LogKey};
use crate::log::Log;
use crate::offset::{LeaderEpoch, Offset};
use crate::store::Store;

/// Logs of a script.
const LOGS: u64 = 4;

/// What a log should hold.
#[derive(Clone, Default)]
struct Model {
    /// Base offset and bytes of each batch, offset behind it.
    batches: Vec<(Offset, Vec<u8>, Offset)>,
    end: Offset,
    flushed: Offset,
    start: Offset,
    /// A start that was asked for and may be in force.
    start_asked: Offset,
    /// A truncation that began and may be in force.
    truncating: Option<Offset>,
    /// A new beginning at this offset that began and may be in force.
    restarting: Option<Offset>,
    /// A deletion began.
    deleting: bool,
    epoch: i32,
    generation: u8,
}

impl Model {
    /// Empty, with its next record at `offset`.
    fn restarted(&self, offset: Offset) -> Model {
        Model {
            end: offset,
            flushed: offset,
            start: offset,
            start_asked: offset,
            epoch: self.epoch,
            generation: self.generation,
            ..Model::default()
        }
    }

    fn bytes_between(&self, from: Offset, to: Offset) -> Vec<u8> {
        let within = self.batches.iter().filter(|(base, _, next)| *next > from && *base < to);
        within.flat_map(|(_, bytes, _)| bytes.clone()).collect()
    }

    fn cut(&mut self, offset: Offset) {
        self.batches.retain(|(_, _, next)| *next <= offset);
        self.end = self.batches.last().map_or(offset, |(_, _, next)| *next);
        self.flushed = self.flushed.min(self.end);
    }

    /// Base offset of the batch that holds an offset.
    fn border(&self, offset: Offset) -> Offset {
        let holding = self.batches.iter().find(|(_, _, next)| *next > offset);
        holding.map_or(self.end, |(base, _, _)| *base)
    }
}

struct Script {
    random: Random,
    disk: SimulatedDisk,
    options: StoreOptions,
    models: BTreeMap<u64, Model>,
    now_ms: i64,
    /// Logs begin again at other offsets, too.
    restarts_logs: bool,
    /// A third of the operations are reads.
    reads_often: bool,
}

fn name(log: u64, model: &Model) -> LogIdentity {
    let mut identity = identity(["a", "b", "c", "d"][usize::try_from(log).expect("few logs")], 0);
    identity.topic_id.0[15] = model.generation;
    identity
}

fn config_of(log: u64) -> LogConfig {
    LogConfig { write_caching: log == 3, ..small_config() }
}

struct Running {
    store: Store<SimulatedDisk>,
    logs: BTreeMap<u64, Log<SimulatedDisk>>,
}

impl Drop for Running {
    /// Thousands of stores are cut off in these tests: none may stay in memory.
    fn drop(&mut self) {
        self.store.abandon();
    }
}

/// The power is off: the script ends.
struct Off;

impl Script {
    fn new(seed: u64, options: StoreOptions, one_flush: bool) -> Script {
        // Zeros are written beside the rounds: where there are any, operations have to overlap.
        let overlaps = options.zeros_ahead_bytes > 0;
        Script {
            random: Random::new(seed),
            disk: if overlaps { waiting_disk_with(seed, one_flush) } else { disk_with(seed, one_flush) },
            options,
            models: (0..LOGS).map(|log| (log, Model::default())).collect(),
            now_ms: START_MS,
            restarts_logs: seed % 3 == 2,
            reads_often: false,
        }
    }

    async fn start(&mut self) -> Result<Running, Off> {
        let replayed =
            crate::store::replay_journals(&self.disk, self.options, self.now_ms, || Duration::ZERO).await;
        if self.disk.is_power_cut() {
            return Err(Off);
        }
        let report = replayed.expect("the journals replay");
        assert!(report.damaged.is_empty(), "nothing durable is missing: {report:?}");
        let shard = crate::identity::ShardId(0);
        let Ok(store) = Store::open(self.disk.clone(), shard, self.options).await else { return Err(Off) };
        store.take_over(report.recovered);
        let mut running = Running { store, logs: BTreeMap::new() };
        for log in 0..LOGS {
            self.open_log(&mut running, log).await?;
        }
        running.store.forget_recovered();
        Ok(running)
    }

    async fn open_log(&mut self, running: &mut Running, log: u64) -> Result<(), Off> {
        let identity = name(log, &self.models[&log]);
        let opened = running.store.open_log(identity, config_of(log), self.now_ms).await;
        if self.disk.is_power_cut() {
            return Err(Off);
        }
        let opened = opened.unwrap_or_else(|error| panic!("log {log} opens: {error}"));
        running.logs.insert(log, opened);
        Ok(())
    }

    /// Runs so many random operations, or until the power is cut.
    async fn run(&mut self, operations: u32) -> Result<Running, Off> {
        let mut running = self.start().await?;
        for _ in 0..operations {
            self.step(&mut running).await?;
            if self.disk.is_power_cut() {
                return Err(Off);
            }
        }
        Ok(running)
    }

    async fn step(&mut self, running: &mut Running) -> Result<(), Off> {
        let log = self.random.below(LOGS);
        if self.reads_often && self.random.chance(3) {
            return self.read(running, log).await;
        }
        match self.random.below(if self.restarts_logs { 42 } else { 40 }) {
            0..20 => self.append(running, log).await,
            20..32 => self.round(&running.store, &running.logs).await,
            32..34 => {
                self.now_ms += i64::try_from(self.random.below(1500)).expect("small");
                let _ = running.store.maintain(self.now_ms).await;
                Ok(())
            }
            34 => self.flush_cached(running).await,
            35 => self.advance(running, log).await,
            36..38 => self.truncate(running, log).await,
            38 => self.restart(running).await,
            39 if self.random.chance(2) => self.read(running, log).await,
            40..42 => self.restart_log(running, log).await,
            _ if self.random.chance(3) => self.delete(running, log).await,
            _ => Ok(()),
        }
    }

    async fn append(&mut self, running: &Running, log: u64) -> Result<(), Off> {
        let large = self.random.chance(8);
        let length = if large { self.random.below(24 << 10) } else { self.random.below(900) };
        let fill = self.random.below(256) as u8;
        let records = 1 + self.random.below(4) as i32;
        let payload = alloc::vec![fill; usize::try_from(length).expect("small")];
        let batch = batch(records, &payload);
        let handle = running.logs[&log].clone();
        let epoch = LeaderEpoch::new(self.models[&log].epoch);
        loop {
            match handle.append(&batch, epoch, self.now_ms) {
                Ok(appended) => {
                    let model = self.models.get_mut(&log).expect("a log");
                    assert_eq!(appended.base_offset, model.end);
                    let next = Offset::new(appended.last_offset.value() + 1);
                    model.batches.push((
                        appended.base_offset,
                        stamped(&batch, appended.base_offset, epoch),
                        next,
                    ));
                    model.end = next;
                    return Ok(());
                }
                Err(AppendError::Inactive) if handle.activate().await.is_ok() => {}
                Err(AppendError::NoRoom) => self.round(&running.store, &running.logs).await?,
                Err(error) => {
                    assert!(self.disk.is_power_cut(), "{error}");
                    return Err(Off);
                }
            }
        }
    }

    async fn round(
        &mut self,
        store: &Store<SimulatedDisk>,
        logs: &BTreeMap<u64, Log<SimulatedDisk>>,
    ) -> Result<(), Off> {
        let (_, flushed) = round(store).await;
        let flushed: BTreeMap<LogKey, Offset> =
            flushed.into_iter().filter_map(|progress| Some((progress.log, progress.result.ok()?))).collect();
        for (log, handle) in logs {
            if let Some(offset) = flushed.get(&handle.key()) {
                let model = self.models.get_mut(log).expect("a log");
                model.flushed = model.flushed.max(*offset);
            }
        }
        if self.disk.is_power_cut() { Err(Off) } else { Ok(()) }
    }

    async fn flush_cached(&mut self, running: &Running) -> Result<(), Off> {
        let Ok(progress) = running.store.flush_cached().await else { return Err(Off) };
        for (log, handle) in &running.logs {
            for progress in progress.iter().filter(|progress| progress.log == handle.key()) {
                if let Ok(offset) = progress.result {
                    let model = self.models.get_mut(log).expect("a log");
                    model.flushed = model.flushed.max(offset);
                }
            }
        }
        Ok(())
    }

    async fn advance(&mut self, running: &Running, log: u64) -> Result<(), Off> {
        let model = self.models.get_mut(&log).expect("a log");
        let offset = model.start.plus(self.random.below(model.end.since(model.start) / 4 + 1).cast_signed());
        model.start_asked = offset;
        if running.logs[&log].advance_log_start(offset).await.is_err() {
            return Err(Off);
        }
        let model = self.models.get_mut(&log).expect("a log");
        model.start = offset;
        // What was settled for it is durable.
        model.flushed = model.flushed.max(running.logs[&log].flushed_offset());
        Ok(())
    }

    async fn truncate(&mut self, running: &Running, log: u64) -> Result<(), Off> {
        let model = self.models.get_mut(&log).expect("a log");
        let span = model.end.since(model.start);
        let offset = Offset::new(model.end.value() - self.random.below(span.min(40) + 1).cast_signed());
        model.truncating = Some(model.border(offset));
        if running.logs[&log].truncate(offset).await.is_err() {
            assert!(self.disk.is_power_cut());
            return Err(Off);
        }
        let model = self.models.get_mut(&log).expect("a log");
        let border = model.truncating.take().expect("it was set");
        if border < model.end {
            model.cut(border);
            model.start = model.start.min(border);
            model.start_asked = model.start;
            // The next leader has a new epoch, mostly; without one, journal entries of the old history fit all the better.
            model.epoch += i32::from(self.random.chance(2));
        }
        assert_eq!(running.logs[&log].log_end_offset(), model.end);
        model.flushed = model.flushed.max(running.logs[&log].flushed_offset());
        Ok(())
    }

    /// Where the log begins again is, mostly, where a batch of the old one began: journal entries of it would fit.
    async fn restart_log(&mut self, running: &Running, log: u64) -> Result<(), Off> {
        let model = self.models.get_mut(&log).expect("a log");
        let anywhere = self.random.below(model.end.value().unsigned_abs() + 40).cast_signed();
        let offset =
            if self.random.chance(3) { Offset::new(anywhere) } else { model.border(Offset::new(anywhere)) };
        model.restarting = Some(offset);
        let handle = &running.logs[&log];
        if handle.restart_at(offset).await.is_err() {
            assert!(self.disk.is_power_cut());
            return Err(Off);
        }
        *model = model.restarted(offset);
        model.epoch += i32::from(self.random.chance(2));
        assert_eq!((handle.log_start_offset(), handle.log_end_offset()), (offset, offset));
        assert_eq!((handle.flushed_offset(), handle.size_bytes()), (offset, 0));
        assert_eq!((handle.latest_epoch(), handle.segment_count()), (None, 1));
        Ok(())
    }

    /// Reads somewhere, warm or cold, and compares.
    async fn read(&mut self, running: &Running, log: u64) -> Result<(), Off> {
        let model = &self.models[&log];
        let span = model.end.since(model.start);
        let from = model.start.plus(self.random.below(span + 1).cast_signed());
        let up_to = from.plus(self.random.below(model.end.since(from) + 1).cast_signed());
        let max_bytes = usize::try_from(self.random.below(40 << 10)).expect("small");
        if self.random.chance(4) {
            self.disk.drop_page_cache();
        }
        let fetched = match running.logs[&log].read(from, up_to, max_bytes, true).await {
            Ok(fetched) => fetched,
            Err(error) => {
                assert!(self.disk.is_power_cut(), "{error}");
                return Err(Off);
            }
        };
        let expected = model.bytes_between(from, fetched.next_offset);
        let expected = if fetched.next_offset > from { expected } else { Vec::new() };
        assert!(bytes_of(&fetched) == expected, "a read of {from}..{up_to} returns what was appended");
        let holds_one =
            model.batches.iter().any(|(base, _, next)| *base <= from && from < *next && *next <= up_to);
        assert!(!holds_one || fetched.next_offset > from, "the first batch is returned, however large");
        assert!(fetched.next_offset <= up_to.max(from), "nothing above the high watermark is returned");
        Ok(())
    }

    async fn delete(&mut self, running: &mut Running, log: u64) -> Result<(), Off> {
        self.models.get_mut(&log).expect("a log").deleting = true;
        let handle = running.logs.remove(&log).expect("it is open");
        if running.store.delete_log(&handle).await.is_err() {
            return Err(Off);
        }
        let generation = self.models[&log].generation;
        // Half of the time the same topic id comes back: a replica that moved away and returned.
        let generation = generation + u8::from(self.random.chance(2));
        self.models.insert(log, Model { generation, ..Model::default() });
        self.now_ms += 1;
        self.open_log(running, log).await
    }

    async fn restart(&mut self, running: &mut Running) -> Result<(), Off> {
        running.logs.clear();
        let closes = self.random.chance(2);
        let store = running.store.clone();
        if closes && store.close().await.is_err() {
            return Err(Off);
        }
        let restarted = self.start().await?;
        *running = restarted;
        for (log, handle) in &running.logs {
            let model = self.models.get_mut(log).expect("a log");
            assert!(handle.log_end_offset() >= model.flushed);
            model.cut(handle.log_end_offset());
            model.flushed = model.end;
        }
        Ok(())
    }

    /// Starts on what survived and compares; then goes on for a while, to see that the log is sound.
    async fn verify(mut self, what: &str) {
        self.disk = self.disk.restart();
        let running = match self.start().await {
            Ok(running) => running,
            Err(Off) => panic!("{what}: the power is on again"),
        };
        for log in 0..LOGS {
            self.verify_log(&running.logs[&log], log, what).await;
        }
        let handles = running.logs.clone();
        for (log, handle) in &handles {
            let appended = append_in_epoch(
                &running.store,
                handle,
                &batch(2, b"after"),
                LeaderEpoch::new(
                    self.models[log].epoch.max(handle.latest_epoch().map_or(0, LeaderEpoch::value)),
                ),
                self.now_ms,
            )
            .await;
            assert_eq!(
                appended.base_offset, self.models[log].end,
                "{what}: log {log} goes on where it ended"
            );
        }
        round(&running.store).await;
    }

    async fn verify_log(&mut self, handle: &Log<SimulatedDisk>, log: u64, what: &str) {
        let model = self.models.get_mut(&log).expect("a log");
        let (start, end) = (handle.log_start_offset(), handle.log_end_offset());
        if model.deleting && end == Offset::ZERO {
            *model = Model { generation: model.generation, ..Model::default() };
            return;
        }
        if model.restarting == Some(end) && start == end {
            assert_eq!((handle.size_bytes(), handle.latest_epoch()), (0, None), "{what}: it is empty");
            *model = model.restarted(end);
            return;
        }
        let what = alloc::format!(
            "{what}: log {log} is {start}..{end}, was {}..{} flushed {}",
            model.start,
            model.end,
            model.flushed
        );
        let is_cut = model.truncating == Some(end);
        assert!(end >= model.flushed || is_cut, "{what}: nothing durable is lost");
        assert!(end <= model.end, "{what}: nothing else appears");
        let start_holds = start >= model.start.min(end) && start <= model.start_asked.max(model.start);
        assert!(start_holds, "{what}: the start is where it was put");
        assert_eq!(model.border(end), end, "{what}: ends between two batches");
        let found = read_all(handle, start, 100_000).await;
        assert!(found == model.bytes_between(start, end), "{what}: the bytes are those that were appended");
        model.end = end;
    }
}

#[test]
fn a_long_script_agrees_with_its_model() {
    for seed in 0..16 {
        let options = match seed {
            0..10 => small_options(),
            10..13 => options_with_zeros(),
            _ => options_with_little_memory(),
        };
        let mut script = Script::new(seed, options, seed % 4 != 0);
        script.reads_often = true;
        run(async {
            assert!(script.run(2_000).await.is_ok(), "without a cut the script ends");
        });
        run(script.verify(&alloc::format!("seed {seed}")));
    }
}

fn cut_everywhere(seed: u64, operations: u32, options: StoreOptions, one_flush: bool) {
    cut_at_every(1, seed, operations, options, one_flush);
}

/// Cuts at one operation of `step`; which ones, depends on the seed.
pub(super) fn cut_at_every(step: usize, seed: u64, operations: u32, options: StoreOptions, one_flush: bool) {
    let total = {
        let mut script = Script::new(seed, options, one_flush);
        run(async {
            assert!(script.run(operations).await.is_ok(), "without a cut the script ends");
        });
        script.disk.operations()
    };
    for nth in (1 + seed % step as u64..=total).step_by(step) {
        let mut script = Script::new(seed, options, one_flush);
        script.disk.cut_power_at(nth);
        run(async {
            let _ = script.run(operations).await;
            script.verify(&alloc::format!("seed {seed}, cut at {nth} of {total}")).await;
        });
    }
}

#[test]
fn nothing_durable_is_lost_and_nothing_else_appears() {
    for seed in 0..5 {
        cut_everywhere(seed, 120, small_options(), true);
    }
}

#[test]
fn the_same_with_zeros_ahead() {
    for seed in 200..205 {
        cut_everywhere(seed, 120, options_with_zeros(), seed % 4 != 0);
    }
}

#[test]
fn the_same_with_little_memory() {
    for seed in 300..305 {
        cut_everywhere(seed, 120, options_with_little_memory(), seed % 4 != 0);
    }
}

#[test]
fn the_same_where_every_file_needs_its_own_flush() {
    for seed in 104..108 {
        cut_everywhere(seed, 120, small_options(), false);
    }
}
