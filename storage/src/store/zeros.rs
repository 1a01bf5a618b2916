//! Writing zeros ahead for the logs and the journal when they want some: see `log/zeros.rs` and `journal/zeros.rs`.
use alloc::vec::Vec;

use futures_util::future::{join, join_all};

use crate::disk::{BufferSlice, Disk};
use crate::log::{Log, ZERO_PIECE_BYTES, piece_of_zeros};
use crate::store::{Progress, Store};

/// Logs that get zeros at the same time: more would take the device from the rounds.
const LOGS_AT_A_TIME: usize = 2;

impl<D: Disk> Store<D> {
    /// Waits until logs or the journal want zeros ahead, and writes some for them. Drive it in a loop of its own beside the
    /// rounds, and to its end: a log whose zeros were given up half-way is stopped, and the journal no more written to. Where
    /// nobody calls it, segments grow with their writes and rounds write the journal's zeros.
    /// Reports the logs that were stopped by an error.
    pub async fn write_zeros_ahead(&self) -> Vec<Progress> {
        self.shared.zeros_work.until(|| self.wants_zeros()).await;
        let mut stopped = Vec::new();
        loop {
            let logs: Vec<Log<D>> = {
                let mut queue = self.shared.zeros_queue.borrow_mut();
                let count = queue.len().min(LOGS_AT_A_TIME);
                queue.drain(..count).collect()
            };
            let journal = self.shared.journal().filter(|journal| journal.wants_zeros());
            if logs.is_empty() && journal.is_none() {
                return stopped;
            }
            let zeros = self.zeros().await;
            let for_journal = async {
                if let Some(journal) = journal {
                    journal.write_zeros_ahead(&zeros).await;
                }
            };
            let for_logs = join_all(logs.iter().map(|log| log.write_zeros(&zeros)));
            let (written, ()) = join(for_logs, for_journal).await;
            stopped.extend(written.into_iter().flatten());
        }
    }

    /// Whether a log or the journal waits for zeros.
    pub(crate) fn wants_zeros(&self) -> bool {
        let journal_wants = || self.shared.journal().is_some_and(|journal| journal.wants_zeros());
        !self.shared.zeros_queue.borrow().is_empty() || journal_wants()
    }

    /// One piece of zeros, the same for all logs and the journal.
    async fn zeros(&self) -> BufferSlice {
        self.shared.uses_zeros.set(true);
        if let Some(zeros) = &*self.shared.zeros.borrow() {
            return zeros.clone();
        }
        let zeros = piece_of_zeros(self.shared.disk.buffers().take(ZERO_PIECE_BYTES).await);
        *self.shared.zeros.borrow_mut() = Some(zeros.clone());
        zeros
    }
}
