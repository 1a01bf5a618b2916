//! Settling logs beside the rounds: see `log/settle.rs`.
//!
//! Two things at the same time: writing, which gives memory back, and flushing what was written, which frees the journal.
//! Neither waits for the other, so that a device which takes long to flush does not keep memory from those who append.
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use futures_util::future::join;
use futures_util::stream::{self, StreamExt};

use crate::disk::Disk;
use crate::journal::Journal;
use crate::log::Log;
use crate::store::{Progress, Store};

/// Logs that are written at the same time. A round's write waits behind all of them.
const WRITES_AT_A_TIME: usize = 4;

/// Logs that are flushed at the same time: the first flush commits the metadata of all files written before it, the others
/// find that done.
const FLUSHES_AT_A_TIME: usize = 32;

/// Logs of one group: those that were written during the flushes of the last one, but not more than this.
const LOGS_OF_A_GROUP: usize = 128;

/// What one call of [`Store::settle_beside`] has in hand.
struct Settled<D: Disk> {
    /// Written, to be flushed.
    written: RefCell<Vec<Log<D>>>,
    /// Whether some are being flushed.
    is_flushing: Cell<bool>,
    /// Nothing is left to be written, or will be by this call.
    is_written: Cell<bool>,
    failed: RefCell<Vec<Progress>>,
}

impl<D: Disk> Store<D> {
    /// Waits until logs are to be settled, and settles them. Drive it in a loop of its own beside the rounds, and to its
    /// end: without it the journal fills up. Reports the logs that found the disk full or were stopped.
    pub async fn settle_beside(&self) -> Vec<Progress> {
        self.shared.settle_work.until(|| self.has_to_settle()).await;
        let Some(journal) = self.shared.journal() else { return Vec::new() };
        let settled = Settled {
            written: RefCell::default(),
            is_flushing: Cell::new(false),
            is_written: Cell::new(false),
            failed: RefCell::default(),
        };
        join(self.write_settlings(&settled, &journal), self.flush_settlings(&settled, &journal)).await;
        settled.failed.into_inner()
    }

    async fn write_settlings(&self, settled: &Settled<D>, journal: &Journal<D>) {
        let shared = &self.shared;
        let is_flushed = || !settled.is_flushing.get() && settled.written.borrow().is_empty();
        loop {
            let next = stream::iter(core::iter::from_fn(|| shared.settle_queue.borrow_mut().pop_front()));
            let mut writes = next
                .map(|log| async move { (log.write_beside(journal).await, log) })
                .buffer_unordered(WRITES_AT_A_TIME);
            while let Some((failed, log)) = writes.next().await {
                settled.failed.borrow_mut().extend(failed);
                settled.written.borrow_mut().push(log);
                shared.settled.notify();
            }
            // What is queued while the last ones are flushed does not wait for that.
            shared.settle_work.until(|| self.has_to_settle() || is_flushed()).await;
            if !self.has_to_settle() {
                settled.is_written.set(true);
                shared.settled.notify();
                return;
            }
        }
    }

    async fn flush_settlings(&self, settled: &Settled<D>, journal: &Journal<D>) {
        let shared = &self.shared;
        loop {
            let has_written = || !settled.written.borrow().is_empty();
            shared.settled.until(|| has_written() || settled.is_written.get()).await;
            let logs: Vec<Log<D>> = {
                let mut written = settled.written.borrow_mut();
                let count = written.len().min(LOGS_OF_A_GROUP);
                written.drain(..count).collect()
            };
            if logs.is_empty() {
                return;
            }
            settled.is_flushing.set(true);
            let mut flushes =
                stream::iter(&logs).map(|log| log.flush_beside(journal)).buffer_unordered(FLUSHES_AT_A_TIME);
            while let Some(failed) = flushes.next().await {
                settled.failed.borrow_mut().extend(failed);
            }
            settled.is_flushing.set(false);
            shared.settle_work.notify();
        }
    }

    /// Whether a log waits to be settled.
    pub(crate) fn has_to_settle(&self) -> bool {
        !self.shared.settle_queue.borrow().is_empty()
    }
}
