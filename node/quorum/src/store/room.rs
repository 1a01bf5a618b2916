//! Room on the disk that a file has before it needs it.
//!
//! A redb file is sparse, and grows in large steps, as holes: on a disk that records have filled, a vote could not be written
//! any more, the member would end, and with the disks of a majority full nobody could shorten the retention that fills
//! them; a lone node would refuse the same change. So the disk gives the file what it is long, and some more where that is
//! asked for, while there is plenty.
//!
//! What must hold: the file's length and bytes stay as they are. Failure modes: where no room can be had, or the file system
//! knows no such thing, nothing is lost but this. Does not do: deciding what is written where in the file, which is redb's.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use rustix::fs::{FallocateFlags, fallocate};

/// The room of one file.
#[derive(Debug)]
pub struct Room {
    path: PathBuf,
    /// Beyond the file's length.
    spare_bytes: u64,
    /// The disk has given so much.
    reserved_bytes: u64,
}

impl Room {
    /// Of a file that has none yet, and is to have so many bytes beyond its length.
    #[must_use]
    pub fn new(path: PathBuf, spare_bytes: u64) -> Self {
        Self { path, spare_bytes, reserved_bytes: 0 }
    }

    /// Reserves more once the file has come near to the end of what it has. Call it after each write.
    pub fn keep(&mut self) {
        match self.reserve() {
            Ok(reserved_bytes) => self.reserved_bytes = reserved_bytes,
            Err(error) => tracing::debug!(path = %self.path.display(), %error, "no room is reserved"),
        }
    }

    fn reserve(&self) -> io::Result<u64> {
        let length = std::fs::metadata(&self.path)?.len();
        if length + self.spare_bytes / 2 <= self.reserved_bytes {
            return Ok(self.reserved_bytes);
        }
        let wanted = length + self.spare_bytes;
        let file = File::options().write(true).open(&self.path)?;
        fallocate(&file, FallocateFlags::KEEP_SIZE, 0, wanted)?;
        Ok(wanted)
    }
}
