//! A shard says that it gets on: its loop turns, its rounds of group commit end, its disk answers.
//!
//! What must hold: it is said from before the first log is opened until the executor ends; a disk that has nothing to do
//! counts as one that answers.

use std::{rc::Rc, sync::Arc, time::Duration};

use ringmain_storage::disk::direct::Ring;

use super::Shard;
use crate::{runtime, supervision::Progress};

/// How often it is said.
const PERIOD: Duration = Duration::from_millis(100);

/// What tells whether the disk ends what it was given.
struct DiskWatch {
    ring: Ring,
    /// At the last look.
    ended: u64,
}

impl DiskWatch {
    /// Whether nothing is under way, or something has ended since the last look.
    fn goes_on(&mut self) -> bool {
        let (is_under_way, ended) = self.ring.disk_operations();
        let has_ended = std::mem::replace(&mut self.ended, ended) != ended;
        has_ended || !is_under_way
    }
}

impl Shard {
    /// Says so until the executor ends.
    pub(crate) async fn say_that_it_gets_on(self: Rc<Self>) {
        let mut disk = DiskWatch { ring: self.ring.clone(), ended: 0 };
        // From now on silence counts: a disk may hang before the first look.
        self.node.progress.went_on(self.id.0, disk.ended);
        loop {
            runtime::sleep(PERIOD).await;
            // Both at each look: each remembers it.
            if disk.goes_on() & self.round_watch.goes_on() {
                self.node.progress.went_on(self.id.0, disk.ended);
            }
        }
    }
}

/// The same for the executor that replays the journals before any shard starts: in the name of the first one.
pub(crate) async fn say_that_replay_gets_on(progress: Arc<Progress>, ring: Ring) {
    let mut disk = DiskWatch { ring, ended: 0 };
    progress.went_on(0, disk.ended);
    loop {
        runtime::sleep(PERIOD).await;
        if disk.goes_on() {
            progress.went_on(0, disk.ended);
        }
    }
}
