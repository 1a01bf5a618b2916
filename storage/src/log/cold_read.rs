//! Cold reads: batches that are only in a segment's file are brought in, checked, and then handed out.
//!
//! They come through the page cache, never on the shard's own time; what was good is remembered, and sent as it is while it
//! stays there. But fresh page cache costs the shard's processor more than all the rest of a read, and what the kernel reads
//! lies at the device before what producers wait for. So beside rounds of group commit, unless the page cache has it, a
//! piece is read past it into a buffer and sent from there: one at a time in a shard, each after the round under way.
//!
//! Checked is what the log knows of a batch: base offset, leader epoch and checksum. What must hold: nothing else is handed
//! out; the buffers of all readers together stay below a bound, and beyond it the page cache is used.
//!
//! Failure modes: damaged bytes end the piece before them; a read that begins with them fails with the place.
use alloc::format;

use bytes::Bytes;

use crate::batch::{self, BATCH_HEADER_BYTES};
use crate::disk::{BUFFER_BYTES_MAX, BufferSlice, Disk, DiskFile};
use crate::error::{Corruption, Damage};
use crate::log::read::{Place, Reading};
use crate::log::{Log, Piece};
use crate::offset::Offset;
use crate::segment::scan::BATCH_BYTES_MAX;
use crate::store::cold_memory::Lease;

/// Bytes that a cold read brings in at once: the disk reads ahead of the reader, and one piece is checked in some 20 us.
const READ_AHEAD_BYTES: usize = 1 << 20;

/// Bytes of a cold read beside rounds: so long may a write wait at the device for one, some 0.2 ms.
const DIRECT_BYTES: usize = 256 << 10;

/// A part of a file, not checked yet.
struct Brought {
    bytes: Bytes,
    is_in_page_cache: bool,
}

/// Bytes for a reader, in memory that counts as leased until they are sent.
struct Leased {
    bytes: BufferSlice,
    _lease: Lease,
}

impl AsRef<[u8]> for Leased {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<D: Disk> Log<D> {
    /// Brings a piece of the file in, checks its batches and adds them as far as the read wants them.
    pub(super) async fn load(&self, reading: &mut Reading, place: Place, end: u64) -> Result<bool, Damage> {
        let (layout, incarnation) = (self.layout(), self.0.state.borrow().incarnation);
        let file = self.0.shared.file(&self.0.folder, self.key(), place.segment).await?;
        let available = usize::try_from(end - place.position).unwrap_or(usize::MAX);
        let beside_rounds = self.0.shared.has_rounds();
        let usual = if beside_rounds { self.direct_bytes_at(place.position) } else { READ_AHEAD_BYTES };
        file.set_read_ahead(!beside_rounds);
        let mut brought = self.bring_in(&file, place.position, available.min(usual)).await?;
        self.0.shared.note_cold_read(brought.bytes.len());
        let first = self.check_header(place, &brought.bytes)?;
        if first.length > brought.bytes.len() {
            if first.length > available.min(BATCH_BYTES_MAX) {
                return Err(self
                    .corrupt(place, "a batch that ends in the file".into(), format!("{}", first.length))
                    .into());
            }
            brought = self.bring_in(&file, place.position, first.length).await?;
        }
        let checked = self.check_batches(place, &brought.bytes, reading);
        {
            let mut state = self.0.state.borrow_mut();
            let is_same = state.incarnation == incarnation && state.layout == layout;
            let index = state.segment_index(place.segment).filter(|_| is_same);
            let Some(index) = index else { return Ok(true) }; // Cut or replaced meanwhile: look again.
            if brought.is_in_page_cache {
                let verified = place.position..place.position + checked.verified as u64;
                state.segments[index].verified.add(verified);
            }
        }
        if checked.wanted == 0 {
            return match checked.error {
                Some(error) if checked.verified == 0 => Err(error.into()),
                _ => Ok(false), // The next batch is larger than the budget, or not to be seen yet.
            };
        }
        let piece = if brought.is_in_page_cache {
            Piece::File(file.range(place.position, checked.wanted as u64)?)
        } else {
            Piece::Memory(brought.bytes.slice(..checked.wanted))
        };
        let border = Place {
            segment: place.segment,
            position: place.position + checked.wanted as u64,
            offset: checked.wanted_next,
        };
        self.add(reading, piece, checked.wanted, border);
        // One cold piece a read: the reader gets what is there while the disk serves others.
        Ok(false)
    }

    /// Reads a part of a file. What is read now would lie at the device before the flush that producers wait for: lets the
    /// round that is under way end first.
    async fn bring_in(&self, file: &D::File, position: u64, length: usize) -> Result<Brought, Damage> {
        let shared = &self.0.shared;
        if shared.has_rounds() && !file.is_cached(position, length as u64) {
            let _turn = shared.cold_turn.acquire().await;
            shared.round.released().await;
            if let Some(bytes) = self.read_directly(file, position, length).await? {
                return Ok(Brought { bytes, is_in_page_cache: false });
            }
        }
        shared.round.released().await;
        let bytes = file.read_cached(position, length).await?;
        Ok(Brought { bytes, is_in_page_cache: true })
    }

    /// So many bytes from a position on fill a buffer of a usual read, which begins with the block.
    fn direct_bytes_at(&self, position: u64) -> usize {
        let skipped = position % self.0.shared.block_bytes as u64;
        DIRECT_BYTES - usize::try_from(skipped).expect("less than a block")
    }

    /// Reads past the page cache, into memory that the reader keeps until it is sent. `None` where none may be used for that
    /// now.
    async fn read_directly(
        &self,
        file: &D::File,
        position: u64,
        length: usize,
    ) -> Result<Option<Bytes>, Damage> {
        let shared = &self.0.shared;
        let start = position - position % shared.block_bytes as u64;
        let before = usize::try_from(position - start).expect("less than a block");
        let whole = (before + length).next_multiple_of(shared.block_bytes);
        if whole > BUFFER_BYTES_MAX {
            return Ok(None);
        }
        let Some(lease) = shared.cold_memory.lease(whole.next_power_of_two()) else { return Ok(None) };
        let Some(buffer) = shared.disk.buffers().try_take(whole) else { return Ok(None) };
        let mut buffer = file.read_into(start, whole, buffer).await?;
        let end = buffer.len().min(before + length);
        let bytes = buffer.freeze(before.min(end)..end);
        Ok(Some(Bytes::from_owner(Leased { bytes, _lease: lease })))
    }

    /// Checks whole batches; stops before the first bad one and the first incomplete one.
    fn check_batches(&self, place: Place, bytes: &[u8], reading: &Reading) -> Checked {
        let mut checked = Checked { verified: 0, wanted: 0, wanted_next: place.offset, error: None };
        let mut at = place;
        let mut wants_more = true;
        // Batches without records are no answer: with them alone a client would not see that there is more.
        let mut has_records = false;
        while bytes.len() - checked.verified >= BATCH_HEADER_BYTES {
            let rest = &bytes[checked.verified..];
            let header = match self.check_header(at, rest) {
                Ok(header) if header.length <= rest.len() => header,
                Ok(_) => break,
                Err(error) => {
                    checked.error = Some(error);
                    break;
                }
            };
            let batch = &rest[..header.length];
            if !batch::checksum_holds(batch) && !crate::planted::is("unverified-read") {
                let (stated, found) = (batch::checksum_stated(batch), batch::checksum_of(batch));
                checked.error =
                    Some(self.corrupt(at, format!("checksum {stated:08x}"), format!("{found:08x}")));
                break;
            }
            checked.verified += header.length;
            let is_first = reading.takes_any && !has_records;
            let fits = checked.verified <= reading.budget || is_first;
            wants_more &= fits && header.next_offset() <= reading.up_to.value();
            has_records |= header.has_records();
            if wants_more {
                checked.wanted = checked.verified;
                checked.wanted_next = Offset::new(header.next_offset());
            }
            at.position += header.length as u64;
            at.offset = Offset::new(header.next_offset());
        }
        checked
    }
}

/// What checking a piece of a file found.
struct Checked {
    /// Bytes of good batches.
    verified: usize,
    /// Bytes of those that the read wants.
    wanted: usize,
    /// Offset behind them.
    wanted_next: Offset,
    error: Option<Corruption>,
}
