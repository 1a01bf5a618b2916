//! Upkeep: settle and checkpoint idle logs, finish sealed segments, give memory and descriptors back.
//!
//! One call does a bounded amount, so that a shard with thousands of logs is not held up; the next call goes on where it
//! stopped. Errors stop the log they are about and are reported once, together.
use alloc::vec::Vec;

use crate::disk::{Disk, DiskError};
use crate::error::{Damage, StoreError};
use crate::group_commit::Round;
use crate::log::Log;
use crate::store::{Progress, Store};

/// Logs that one call looks at.
const LOGS_A_CALL: usize = 4096;

/// Logs that one call settles or checkpoints: each costs two or three flushes.
const FLUSHES_A_CALL: usize = 64;

/// An index that nobody used for so long goes out of memory.
const INDEX_IDLE_MS: i64 = 60_000;

impl<D: Disk> Store<D> {
    /// A bounded amount of upkeep; call it about every second.
    pub async fn maintain(&self, now_ms: i64) -> Result<(), StoreError> {
        self.shared.retry_stalled();
        self.shared.memory_may_be_back();
        self.shared.make_memory(0, None);
        self.shared.disk.buffers().give_back_idle();
        let mut first_error = None;
        let mut flushes_left = FLUSHES_A_CALL;
        for log in self.next_logs() {
            if let Err(damage) = self.keep_up(&log, now_ms, &mut flushes_left).await {
                stop_unless_full(&log, &damage);
                first_error.get_or_insert(damage);
            }
        }
        first_error.map_or(Ok(()), |damage| Err(damage.into()))
    }

    /// The logs whose turn it is.
    fn next_logs(&self) -> Vec<Log<D>> {
        let mut logs = self.logs.borrow_mut();
        let from = logs.upkeep_next.take();
        let turn: Vec<Log<D>> = match from {
            Some(from) => logs.open.range(from..).take(LOGS_A_CALL).map(|(_, log)| log.clone()).collect(),
            None => logs.open.values().take(LOGS_A_CALL).cloned().collect(),
        };
        logs.upkeep_next = turn.last().filter(|_| turn.len() == LOGS_A_CALL).map(Log::key);
        turn
    }

    async fn keep_up(&self, log: &Log<D>, now_ms: i64, flushes_left: &mut usize) -> Result<(), Damage> {
        if log.stopped().is_some() {
            return Ok(());
        }
        while *flushes_left > 0 && log.seal_one().await? {
            *flushes_left -= 1;
        }
        if *flushes_left > 0 && log.write_draft().await? {
            *flushes_left -= 1;
        }
        log.remove_old_segments().await?;
        log.drop_idle_indexes(now_ms, INDEX_IDLE_MS);
        log.expire_producers(now_ms);
        if !log.is_idle_since(now_ms - self.shared.options.idle_after_ms) || *flushes_left == 0 {
            return Ok(());
        }
        if !log.is_settled() {
            *flushes_left -= 1;
            log.request_settle();
        } else if !log.is_checkpointed() {
            *flushes_left -= 1;
            log.checkpoint_now().await?;
        } else if log.holds_memory() {
            log.let_go();
        }
        Ok(())
    }

    /// Flushes what `write.caching` left unflushed. Call it every `flush.ms`.
    pub async fn flush_cached(&self) -> Result<Vec<Progress>, StoreError> {
        let unflushed: Vec<Log<D>> = self.all_logs().into_iter().filter(Log::has_unflushed).collect();
        if unflushed.is_empty() {
            return Ok(Vec::new());
        }
        let _round = self.shared.round.acquire().await;
        let journal = self.shared.journal();
        if let Some(journal) = &journal {
            if let Err(error) = journal.flush().await {
                // Any of these logs may have bytes in it, and nobody knows which of them are durable.
                return Ok(unflushed.iter().map(|log| stop(log, &error)).collect());
            }
            journal.flushed();
        }
        let mut progress = Vec::new();
        for log in unflushed {
            let result: Result<_, DiskError> = log.flush_written(journal.as_deref()).await;
            if let Err(error) = &result {
                stop(&log, error);
            }
            progress.push(Progress { log: log.key(), result });
        }
        Ok(progress)
    }

    /// Settles and checkpoints everything and cuts the padding, so that the next start reads nothing. The node stops
    /// appending before. Logs that are stopped stay as they are: the next start recovers them.
    pub async fn close(self) -> Result<(), StoreError> {
        let logs = self.all_logs();
        let mut first_error = None;
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
        for log in &logs {
            if let Err(damage) = self.close_log(log).await {
                first_error.get_or_insert(damage);
            }
        }
        self.logs.borrow_mut().open.clear();
        first_error.map_or(Ok(()), |damage| Err(damage.into()))
    }

    async fn close_log(&self, log: &Log<D>) -> Result<(), Damage> {
        if log.stopped().is_some() {
            return Ok(());
        }
        while log.seal_one().await? {}
        log.cut_padding().await?;
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
