//! Find by time: the first batch that holds a record at least as new as a timestamp.
//!
//! The index says before which batch everything is older; from there the batches are walked, each checked as for a read.
use bytes::Bytes;

use crate::batch::BatchHeader;
use crate::disk::Disk;
use crate::error::ReadError;
use crate::log::Log;
use crate::log::read::Place;
use crate::offset::Offset;

impl<D: Disk> Log<D> {
    /// The first batch below `up_to` whose largest timestamp is at least `timestamp_ms`, at or behind the log's start; the
    /// caller walks its records. `None` when every record is older.
    pub async fn batch_for_time(&self, timestamp_ms: i64, up_to: Offset) -> Result<Option<Bytes>, ReadError> {
        loop {
            let layout = self.layout();
            let found = self.walk_to_time(timestamp_ms, up_to).await;
            if self.layout() == layout {
                return found;
            }
        }
    }

    async fn walk_to_time(&self, timestamp_ms: i64, up_to: Offset) -> Result<Option<Bytes>, ReadError> {
        let layout = self.layout();
        let Some(mut place) = self.place_for_time(timestamp_ms).await? else { return Ok(None) };
        loop {
            if self.layout() != layout {
                return Ok(None); // The caller looks again: other batches may stand there now.
            }
            let (log_start, log_end, segment_end) = {
                let state = self.0.state.borrow();
                let Some(index) = state.segment_index(place.segment) else { return Ok(None) };
                (state.log_start_offset, state.log_end_offset, state.segments[index].summary)
            };
            if place.offset >= up_to.min(log_end) {
                return Ok(None);
            }
            if place.position >= segment_end.size_bytes {
                place = Place { segment: place.offset, position: 0, offset: place.offset };
                continue;
            }
            let Some(batch) = self.batch_at(place).await? else { return Ok(None) };
            let header = BatchHeader::parse(&batch).expect("the batch was checked");
            let has_it = header.has_records() && header.max_timestamp >= timestamp_ms;
            if has_it && header.next_offset() > log_start.value() {
                return Ok((header.next_offset() <= up_to.value()).then_some(batch));
            }
            place.position += header.length as u64;
            place.offset = Offset::new(header.next_offset());
        }
    }

    /// A place at or before the batch, in the first segment that can have it.
    async fn place_for_time(&self, timestamp_ms: i64) -> Result<Option<Place>, ReadError> {
        loop {
            let segment = {
                let state = self.0.state.borrow();
                let has_it = state.segments.iter().find(|segment| {
                    segment.summary.max_timestamp >= timestamp_ms
                        && segment.summary.next_offset > state.log_start_offset
                });
                let Some(segment) = has_it else { return Ok(None) };
                let base_offset = segment.summary.base_offset;
                if let Some(index) = &segment.index {
                    let found = index.place_for_time(timestamp_ms);
                    let offset = Offset::new(base_offset.value() + found.relative_offset.cast_signed());
                    return Ok(Some(Place { segment: base_offset, position: found.position, offset }));
                }
                base_offset
            };
            self.load_index(segment).await?;
        }
    }
}
