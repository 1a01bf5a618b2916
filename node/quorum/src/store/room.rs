//! Room on the disk that the file has before it needs it.
//!
//! The file is sparse, and grows in large steps, as holes: on a disk that records have filled, a vote could not be written
//! any more, the member would end, and with the disks of a majority full nobody could shorten the retention that fills
//! them. So the disk gives the file what it is long, and some more, while there is plenty.
//!
//! What must hold: the file's length and bytes stay as they are. Failure modes: where no room can be had, or the file system
//! knows no such thing, nothing is lost but this. Does not do: deciding what is written where in the file, which is redb's.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, fallocate};

/// Room beyond the file's length. The 4,096 entries after which a snapshot takes the place of the log are usually a fortieth
/// of it.
pub(super) const SPARE_BYTES: u64 = 16 << 20;

/// The room of one file.
pub(super) struct Room {
    path: Arc<Path>,
    /// The disk has given so much.
    reserved_bytes: u64,
}

impl Room {
    /// Of a file that has none yet.
    pub(super) fn new(path: Arc<Path>) -> Self {
        Self { path, reserved_bytes: 0 }
    }

    /// Reserves more once the file has come near to the end of what it has.
    pub(super) fn keep(&mut self) {
        match self.reserve() {
            Ok(reserved_bytes) => self.reserved_bytes = reserved_bytes,
            Err(error) => tracing::debug!(%error, "the quorum's store has no room reserved"),
        }
    }

    fn reserve(&self) -> io::Result<u64> {
        let length = std::fs::metadata(&self.path)?.len();
        if length + SPARE_BYTES / 2 <= self.reserved_bytes {
            return Ok(self.reserved_bytes);
        }
        let wanted = length + SPARE_BYTES;
        let file = File::options().write(true).open(&self.path)?;
        fallocate(&file, FallocateFlags::KEEP_SIZE, 0, wanted)?;
        Ok(wanted)
    }
}
