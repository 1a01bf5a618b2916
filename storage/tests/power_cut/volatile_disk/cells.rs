//! What a disk that forgets holds: what a reader sees, what is durable, and the writes between the two.
//!
//! A power cut keeps, drops or tears (in sectors of 512 bytes) each write that was not flushed, decided by a seed; from then on
//! every access fails until the power is on again. Also with the power on a disk may fail or be late: its [`Condition`].

use std::{
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use ringmain_storage::disk::simulated::Random;

use super::{Condition, CutReport};

pub(super) const SECTOR_BYTES: usize = 512;

/// The disk, for those who serve it and those who do something to it.
pub(super) struct Shared {
    cells: Mutex<Cells>,
    changed: Condvar,
}

/// What the kernel asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
    Flush,
}

pub(super) struct Cells {
    pub(super) seen: Vec<u8>,
    durable: Vec<u8>,
    cache: Vec<CachedWrite>,
    is_off: bool,
    condition: Condition,
}

struct CachedWrite {
    position: usize,
    bytes: Vec<u8>,
}

/// How a power cut treats the cache.
enum Loss {
    All,
    /// What came last.
    Newest,
    /// Any, whole.
    Some,
    /// Any, and some in part.
    Torn,
}

impl Shared {
    /// A disk of zeros.
    pub(super) fn new(size_bytes: usize) -> Shared {
        let cells = Cells {
            seen: vec![0; size_bytes],
            durable: vec![0; size_bytes],
            cache: Vec::new(),
            is_off: false,
            condition: Condition::Good,
        };
        Shared { cells: Mutex::new(cells), changed: Condvar::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Cells> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cells for one access, as late as the disk is; or the error that it has instead.
    pub(super) fn access(&self, access: Access) -> Result<MutexGuard<'_, Cells>, i32> {
        let mut cells = self.lock();
        if let (Condition::Slow(delay), false) = (cells.condition, cells.is_off) {
            drop(cells);
            std::thread::sleep(delay);
            cells = self.lock();
        }
        while cells.condition == Condition::Hanging && !cells.is_off {
            cells = self.changed.wait(cells).unwrap_or_else(PoisonError::into_inner);
        }
        let fails = match cells.condition {
            Condition::FailingWrites => access != Access::Read,
            Condition::FailingFlushes => access == Access::Flush,
            Condition::Good | Condition::Slow(_) | Condition::Hanging => false,
        };
        if cells.is_off || fails { Err(libc::EIO) } else { Ok(cells) }
    }

    /// What waits for a disk that hangs has its error.
    pub(super) fn cut_power(&self, random: &mut Random) -> CutReport {
        let report = self.lock().cut_power(random);
        self.changed.notify_all();
        report
    }

    /// A disk that has power again is a good one.
    pub(super) fn restore_power(&self) {
        let mut cells = self.lock();
        (cells.is_off, cells.condition) = (false, Condition::Good);
    }

    pub(super) fn set_condition(&self, condition: Condition) {
        self.lock().condition = condition;
        self.changed.notify_all();
    }
}

impl Cells {
    pub(super) fn write(&mut self, position: usize, bytes: &[u8]) -> Result<(), i32> {
        let cells = self.seen.get_mut(position..position + bytes.len()).ok_or(libc::ENOSPC)?;
        cells.copy_from_slice(bytes);
        self.cache.push(CachedWrite { position, bytes: bytes.to_vec() });
        Ok(())
    }

    pub(super) fn flush(&mut self) {
        for write in self.cache.drain(..) {
            self.durable[write.position..write.position + write.bytes.len()].copy_from_slice(&write.bytes);
        }
    }

    fn cut_power(&mut self, random: &mut Random) -> CutReport {
        self.is_off = true;
        let cache = mem::take(&mut self.cache);
        let loss = match random.below(6) {
            0 => Loss::All,
            1 => Loss::Newest,
            2 | 3 => Loss::Some,
            _ => Loss::Torn,
        };
        let oldest = random.below(cache.len() as u64 + 1) as usize;
        let mut report = CutReport { cached: cache.len(), kept: 0, torn: 0 };
        for (number, write) in cache.iter().enumerate() {
            let kept = match loss {
                Loss::All => false,
                Loss::Newest => number < oldest,
                Loss::Some | Loss::Torn => random.chance(2),
            };
            let torn = matches!(loss, Loss::Torn) && random.chance(2);
            report.kept += usize::from(kept && !torn);
            report.torn += usize::from(torn);
            for (sector, bytes) in write.bytes.chunks(SECTOR_BYTES).enumerate() {
                if if torn { random.chance(2) } else { kept } {
                    let at = write.position + sector * SECTOR_BYTES;
                    self.durable[at..at + bytes.len()].copy_from_slice(bytes);
                }
            }
        }
        for write in &cache {
            let range = write.position..write.position + write.bytes.len();
            self.seen[range.clone()].copy_from_slice(&self.durable[range]);
        }
        report
    }
}
