//! Upkeep: settle and checkpoint idle logs, finish sealed segments, give memory and descriptors back.
//!
//! One call does a bounded amount, so that a shard with thousands of logs is not held up; the next call goes on where it
//! stopped. Errors stop the log they are about and are reported once, together.
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};

use crate::disk::{Disk, DiskError};
use crate::error::{Damage, StoreError};
use crate::group_commit::Round;
use crate::log::Log;
use crate::signal::give_way;
use crate::store::{Progress, Store};

/// Logs that one call looks at.
const LOGS_A_CALL: usize = 4096;

/// Logs that one call settles or checkpoints: each costs two or three flushes. A second's worth of a device that takes a
/// millisecond for each; a thousand logs that fall idle are in order again after four calls.
const FLUSHES_A_CALL: usize = 256;

/// Logs that are kept up at once: flushes that are under way together share the device's, but others wait behind them.
const UPKEEP_AT_ONCE: usize = 8;

/// Logs whose cached writes are flushed at once, which rounds wait for: thousands one after the other would hold up the shard
/// for half a second.
const CACHED_AT_ONCE: usize = 32;

/// Logs that are closed at once, when nobody else wants the disk.
pub(crate) const CLOSING_AT_ONCE: usize = 32;

/// An index that nobody used for so long goes out of memory.
const INDEX_IDLE_MS: i64 = 60_000;

/// Buffers that were not used for so long, up to twice that, go back to the system. Load comes in bursts, and fresh memory is
/// expensive: a page fault for each 4 KiB and, on a virtual machine that gives free memory back to its host, one of the host
/// too. Measured with bursts of 2 s, some seconds apart, flushed: 0.92 CPU-s/GB with fresh memory, 0.66 with what was kept.
const BUFFERS_IDLE_MS: i64 = 30_000;

impl<D: Disk> Store<D> {
    /// A bounded amount of upkeep; call it about every second. Says how many bytes of buffers went back to the allocator,
    /// which may keep them from the system.
    pub async fn maintain(&self, now_ms: i64) -> Result<usize, StoreError> {
        self.shared.note_upkeep();
        self.shared.retry_stalled();
        self.shared.memory_may_be_back();
        self.shared.forget_who_was_asked();
        self.shared.make_memory(0, None);
        if !self.shared.uses_zeros.replace(false) {
            *self.shared.zeros.borrow_mut() = None;
        }
        let given_back = if self.shared.begins_memory_period(now_ms, BUFFERS_IDLE_MS) {
            self.give_memory_back().await
        } else {
            0
        };
        self.bound_next_walk();
        let logs = self.next_logs();
        let (first_error, flushes_left) = (RefCell::new(None), Cell::new(FLUSHES_A_CALL));
        let goes_on_at = Cell::new(None);
        let keep_up = |log: Log<D>| {
            let (first_error, flushes_left, goes_on_at) = (&first_error, &flushes_left, &goes_on_at);
            async move {
                if flushes_left.get() == 0 {
                    goes_on_at.set(goes_on_at.get().or(Some(log.key())));
                }
                if let Err(damage) = self.keep_up(&log, now_ms, flushes_left).await {
                    stop_unless_full(&log, &damage);
                    first_error.borrow_mut().get_or_insert(damage);
                }
            }
        };
        stream::iter(logs).for_each_concurrent(UPKEEP_AT_ONCE, keep_up).await;
        if let Some(key) = goes_on_at.get() {
            self.logs.borrow_mut().upkeep_next = Some(key);
        }
        first_error.into_inner().map_or(Ok(given_back), |damage| Err(damage.into()))
    }

    /// Gives idle buffers back to the allocator, letting others have their turn in between.
    async fn give_memory_back(&self) -> usize {
        let buffers = self.shared.disk.buffers();
        let mut given_back = 0;
        loop {
            match buffers.give_back_idle() {
                0 => break,
                bytes => given_back += bytes,
            }
            give_way().await;
        }
        buffers.begin_period();
        given_back
    }

    /// Asks for checkpoints where the next start would have to walk much, until all logs together are in bounds.
    fn bound_next_walk(&self) {
        let logs = self.logs.borrow();
        let bound = self.shared.options.walk_bytes_max;
        if logs.open.values().map(Log::walk_bytes).sum::<u64>() <= bound {
            return;
        }
        let share = bound / logs.open.len() as u64;
        logs.open.values().filter(|log| log.walk_bytes() > share).for_each(Log::request_checkpoint);
    }

    /// The logs whose turn it is, from the first on that the last call did not come to; behind the last log comes the first.
    fn next_logs(&self) -> Vec<Log<D>> {
        let mut logs = self.logs.borrow_mut();
        let from = logs.upkeep_next.take();
        let behind = from.into_iter().flat_map(|from| logs.open.range(from..));
        let before = logs.open.iter().take_while(|(key, _)| from.is_none_or(|from| **key < from));
        let mut turn: Vec<Log<D>> =
            behind.chain(before).take(LOGS_A_CALL + 1).map(|(_, log)| log.clone()).collect();
        logs.upkeep_next = turn.get(LOGS_A_CALL).map(Log::key);
        turn.truncate(LOGS_A_CALL);
        turn
    }

    async fn keep_up(&self, log: &Log<D>, now_ms: i64, flushes_left: &Cell<usize>) -> Result<(), Damage> {
        let may_flush = || flushes_left.get() > 0;
        let flushed = || flushes_left.set(flushes_left.get().saturating_sub(1));
        if log.stopped().is_some() {
            return Ok(());
        }
        while may_flush() && log.seal_one().await? {
            flushed();
        }
        if may_flush() && log.write_draft().await? {
            flushed();
        }
        log.remove_old_segments().await?;
        log.drop_idle_indexes(now_ms, INDEX_IDLE_MS);
        log.expire_producers(now_ms);
        if !log.is_idle_since(now_ms - self.shared.options.idle_after_ms) || !may_flush() {
            return Ok(());
        }
        if !log.is_settled() {
            flushed();
            log.request_settle();
        } else if !log.is_checkpointed() {
            flushed();
            log.checkpoint_now().await?;
            // Its memory may be gone already, but not its file.
            log.let_go();
        } else if log.cut_idle_zeros().await? {
            flushed();
            log.let_go();
        } else if log.holds_memory() {
            log.let_go();
        }
        Ok(())
    }

    /// Flushes what `write.caching` left unflushed, some logs at a time with rounds in between. Call it every `flush.ms`.
    pub async fn flush_cached(&self) -> Result<Vec<Progress>, StoreError> {
        let mut unflushed: Vec<Log<D>> =
            self.logs.borrow().open.values().filter(|log| log.has_unflushed()).cloned().collect();
        let mut progress = Vec::new();
        while !unflushed.is_empty() {
            let _round = self.shared.round.acquire().await;
            // Not before: while a round is under way all its logs are unflushed, which it ends itself.
            unflushed.retain(Log::has_unflushed);
            let logs: Vec<Log<D>> = unflushed.drain(..unflushed.len().min(CACHED_AT_ONCE)).collect();
            let journal = self.shared.journal();
            if let Some(journal) = journal.as_deref().filter(|_| !logs.is_empty()) {
                if let Err(error) = journal.flush().await {
                    // Any log that is unflushed now may have bytes in it, one that was written since this began too, and nobody
                    // knows which of them are durable.
                    let unflushed = self.all_logs().into_iter().filter(Log::has_unflushed);
                    progress.extend(unflushed.map(|log| stop(&log, &error)));
                    return Ok(progress);
                }
                journal.flushed();
            }
            let flushes = logs.iter().map(|log| async {
                let result: Result<_, DiskError> = log.flush_written(journal.as_deref()).await;
                if let Err(error) = &result {
                    stop(log, error);
                }
                Progress { log: log.key(), result }
            });
            progress.extend(join_all(flushes).await);
        }
        Ok(progress)
    }

    /// Settles and checkpoints everything and cuts the padding, so that the next start reads nothing. The node stops
    /// appending before. Logs that are stopped stay as they are: the next start recovers them.
    pub async fn close(self) -> Result<(), StoreError> {
        let logs = self.all_logs();
        let mut first_error = None;
        self.shared.is_closing.set(true);
        {
            let _round = self.shared.round.acquire().await;
            for log in &logs {
                log.end_settling().await;
            }
        }
        self.shared.retry_stalled();
        logs.iter().filter(|log| !log.is_settled()).for_each(Log::request_settle);
        loop {
            let guard = self.shared.round.acquire().await;
            if self.shared.queue.borrow().is_empty() {
                break;
            }
            let mut round = Round::begin(self.shared.clone(), guard);
            round.write().await;
            round.flush().await;
        }
        self.flush_cached().await?;
        let mut closed = stream::iter(&logs).map(|log| self.close_log(log)).buffer_unordered(CLOSING_AT_ONCE);
        while let Some(result) = closed.next().await {
            if let Err(damage) = result {
                first_error.get_or_insert(damage);
            }
        }
        drop(closed);
        self.logs.borrow_mut().open.clear();
        first_error.map_or(Ok(()), |damage| Err(damage.into()))
    }

    async fn close_log(&self, log: &Log<D>) -> Result<(), Damage> {
        if log.stopped().is_some() {
            return Ok(());
        }
        log.flush_settled(self.shared.journal().as_deref()).await?;
        while log.seal_one().await? {}
        log.cut_at_stop().await?;
        log.checkpoint_now().await?;
        log.let_go();
        Ok(())
    }
}

/// Stops a log after a failed flush.
fn stop<D: Disk>(log: &Log<D>, error: &DiskError) -> Progress {
    log.stop(error);
    log.give_up_unwritten();
    Progress { log: log.key(), result: Err(error.clone()) }
}

/// A full disk passes; everything else does not.
fn stop_unless_full<D: Disk>(log: &Log<D>, damage: &Damage) {
    if let Damage::Disk(error) = damage
        && !error.is_recoverable()
    {
        log.stop(error);
        log.give_up_unwritten();
    }
}
