//! Settling logs beside the rounds: see `log/settle.rs`.
use alloc::vec::Vec;

use futures_util::future::join_all;

use crate::disk::Disk;
use crate::log::Log;
use crate::store::{Progress, Store};

/// Logs that are settled at the same time: their flushes share a commit of the file system's journal.
const LOGS_AT_A_TIME: usize = 16;

impl<D: Disk> Store<D> {
    /// Waits until logs are to be settled, and settles them. Drive it in a loop of its own beside the rounds, and to its
    /// end: without it the journal fills up. Reports the logs that found the disk full or were stopped.
    pub async fn settle_beside(&self) -> Vec<Progress> {
        let shared = &self.shared;
        shared.settle_work.until(|| self.has_to_settle()).await;
        let mut failed = Vec::new();
        let Some(journal) = shared.journal() else { return failed };
        loop {
            let logs: Vec<Log<D>> = {
                let mut queue = shared.settle_queue.borrow_mut();
                let count = queue.len().min(LOGS_AT_A_TIME);
                queue.drain(..count).collect()
            };
            if logs.is_empty() {
                return failed;
            }
            let settled = join_all(logs.iter().map(|log| log.settle_beside(&journal))).await;
            failed.extend(settled.into_iter().flatten());
        }
    }

    /// Whether a log waits to be settled.
    pub(crate) fn has_to_settle(&self) -> bool {
        !self.shared.settle_queue.borrow().is_empty()
    }
}
