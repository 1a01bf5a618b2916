//! Writing zeros ahead for the logs that want some: see `log/zeros.rs`.
use alloc::vec::Vec;

use futures_util::future::join_all;

use crate::disk::{BufferSlice, Disk};
use crate::log::{Log, ZERO_PIECE_BYTES};
use crate::store::{Progress, Store};

/// Logs that get zeros at the same time: more would take the device from the rounds.
const LOGS_AT_A_TIME: usize = 2;

impl<D: Disk> Store<D> {
    /// Waits until logs want zeros ahead, and writes some for them. Drive it in a loop of its own beside the rounds, and to
    /// its end: a log whose zeros were given up half-way is stopped. Where nobody calls it, segments grow with their writes.
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
            if logs.is_empty() {
                return stopped;
            }
            let zeros = self.zeros().await;
            let written = join_all(logs.iter().map(|log| log.write_zeros(&zeros))).await;
            stopped.extend(written.into_iter().flatten());
        }
    }

    /// Whether a log waits for zeros.
    pub(crate) fn wants_zeros(&self) -> bool {
        !self.shared.zeros_queue.borrow().is_empty()
    }

    /// One piece of zeros, the same for all logs.
    async fn zeros(&self) -> BufferSlice {
        self.shared.uses_zeros.set(true);
        if let Some(zeros) = &*self.shared.zeros.borrow() {
            return zeros.clone();
        }
        let chunk_bytes = usize::try_from(self.shared.options.zeros_ahead_bytes).unwrap_or(usize::MAX);
        let piece_bytes = ZERO_PIECE_BYTES.min(chunk_bytes.next_multiple_of(self.shared.block_bytes));
        let mut memory = self.shared.disk.buffers().take(piece_bytes).await;
        memory.spare_mut()[..piece_bytes].fill(0);
        memory.advance(piece_bytes);
        let zeros = memory.freeze(0..piece_bytes);
        *self.shared.zeros.borrow_mut() = Some(zeros.clone());
        zeros
    }
}
