//! The loop of group commit: take what waits, write it, flush it, tell the partitions; again.
//!
//! What must hold: one round at a time (what arrives meanwhile gathers for the next, and larger writes cost less); a
//! partition hears of a write or flush only after it completed.

use std::rc::Rc;

use ringmain_storage::Progress;

use super::Shard;

impl Shard {
    /// Runs until the node stops.
    pub(crate) async fn commit(self: Rc<Self>) {
        loop {
            self.store.pending().await;
            let mut round = self.store.begin_round();
            let written = round.write().await;
            self.report(written, false);
            let flushed = round.flush().await;
            self.report(flushed, true);
        }
    }

    /// Tells partitions how far they got.
    pub(crate) fn report(&self, progress: Vec<Progress>, flushed: bool) {
        for progress in progress {
            // A partition that was deleted during the round has answered its requests already.
            if let Some(partition) = self.partition(progress.log) {
                partition.progressed(self, progress, flushed);
            }
        }
    }
}
