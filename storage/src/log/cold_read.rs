//! Cold reads: batches that are only in a segment's file are brought in, checked, and then handed out.
//!
//! They come through the page cache, never on the shard's own time. Checked is what the log knows of a batch: base offset,
//! leader epoch and checksum. What was good is remembered, so that it is sent as it is while it stays in the page cache.
//!
//! Failure modes: damaged bytes end the piece before them; a read that begins with them fails with the place.
use alloc::format;

use crate::batch::{self, BATCH_HEADER_BYTES};
use crate::disk::{Disk, DiskFile};
use crate::error::{Corruption, Damage};
use crate::log::read::{Place, Reading};
use crate::log::{Log, Piece};
use crate::offset::Offset;
use crate::segment::scan::BATCH_BYTES_MAX;

/// Bytes that a cold read brings in at once: the disk reads ahead of the reader, and one piece is checked in some 20 us.
const READ_AHEAD_BYTES: usize = 1 << 20;

impl<D: Disk> Log<D> {
    /// Brings a piece of the file in, checks its batches and adds them as far as the read wants them.
    pub(super) async fn load(&self, reading: &mut Reading, place: Place, end: u64) -> Result<bool, Damage> {
        let (layout, incarnation) = (self.layout(), self.0.state.borrow().incarnation);
        let file = self.0.shared.file(&self.0.folder, self.key(), place.segment).await?;
        self.let_producers_go_first(&file).await;
        let available = usize::try_from(end - place.position).unwrap_or(usize::MAX);
        let mut bytes = file.read_cached(place.position, available.min(READ_AHEAD_BYTES)).await?;
        let first = self.check_header(place, &bytes)?;
        if first.length > bytes.len() {
            if first.length > available.min(BATCH_BYTES_MAX) {
                return Err(self
                    .corrupt(place, "a batch that ends in the file".into(), format!("{}", first.length))
                    .into());
            }
            bytes = file.read_cached(place.position, first.length).await?;
        }
        let checked = self.check_batches(place, &bytes, reading);
        {
            let mut state = self.0.state.borrow_mut();
            let is_same = state.incarnation == incarnation && state.layout == layout;
            let index = state.segment_index(place.segment).filter(|_| is_same);
            let Some(index) = index else { return Ok(true) }; // Cut or replaced meanwhile: look again.
            state.segments[index].verified.add(place.position..place.position + checked.verified as u64);
        }
        if checked.wanted == 0 {
            return match checked.error {
                Some(error) if checked.verified == 0 => Err(error.into()),
                _ => Ok(false), // The next batch is larger than the budget, or not to be seen yet.
            };
        }
        let range = file.range(place.position, checked.wanted as u64)?;
        let border = Place {
            segment: place.segment,
            position: place.position + checked.wanted as u64,
            offset: checked.wanted_next,
        };
        self.add(reading, Piece::File(range), checked.wanted, border);
        // One cold piece a read: the reader gets what is there while the disk serves others.
        Ok(false)
    }

    /// What is read now would lie at the device before the flush that producers wait for: lets the round that is under way
    /// end, and reads nothing ahead while there are rounds. Where nobody writes, reading ahead is faster, and what it leaves
    /// in the page cache costs less to send.
    async fn let_producers_go_first(&self, file: &D::File) {
        let shared = &self.0.shared;
        let rounds = shared.round.releases();
        let beside_rounds = shared.round.is_held() || shared.rounds_at_cold_read.replace(rounds) != rounds;
        file.set_read_ahead(!beside_rounds);
        shared.round.released().await;
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
