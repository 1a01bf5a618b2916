//! Where each leader epoch of a log begins: how replicas and consumers find out where two histories part.
//!
//! What must hold: epochs and start offsets both rise strictly, and no start lies above the log's end.
use alloc::vec::Vec;

use crate::codec::{Put, Take};
use crate::offset::{LeaderEpoch, Offset};

/// Bytes of an entry in a checkpoint.
const ENTRY_BYTES: usize = 12;

/// All leader epochs that still have records in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeaderEpochs {
    entries: Vec<(LeaderEpoch, Offset)>,
}

impl LeaderEpochs {
    /// Takes note of a batch: its epoch, and where it begins. Batches without an epoch (-1) say nothing.
    pub(crate) fn note(&mut self, epoch: LeaderEpoch, base_offset: Offset) {
        if epoch.value() < 0 || self.latest() == Some(epoch) {
            return;
        }
        if let Some(&(latest, start)) = self.entries.last() {
            assert!(epoch > latest, "leader epochs never fall: {latest} then {epoch}");
            assert!(base_offset > start, "an epoch has at least one record");
        }
        self.entries.push((epoch, base_offset));
    }

    /// All of them, with their first offsets.
    pub(crate) fn entries(&self) -> &[(LeaderEpoch, Offset)] {
        &self.entries
    }

    /// The newest.
    pub(crate) fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|(epoch, _)| *epoch)
    }

    /// The epoch that the batch at an offset has; `None` when the log does not know it any more.
    pub(crate) fn at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|(_, start)| *start <= offset);
        self.entries[..after].last().map(|(epoch, _)| *epoch)
    }

    /// The largest epoch that is at most `epoch`, and the offset behind its last record.
    pub(crate) fn end_offset(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<(LeaderEpoch, Offset)> {
        let after = self.entries.partition_point(|(known, _)| *known <= epoch);
        let (found, _) = *self.entries[..after].last()?;
        Some((found, self.entries.get(after).map_or(log_end, |(_, start)| *start)))
    }

    /// Forgets epochs that begin at or above the log's new end.
    pub(crate) fn truncate(&mut self, log_end: Offset) {
        self.entries.retain(|(_, start)| *start < log_end);
    }

    /// Forgets epochs that ended at or below the log's new start. The one that spans it keeps where it began: the batch that
    /// holds the start may begin before it.
    pub(crate) fn advance(&mut self, log_start: Offset) {
        let after = self.entries.partition_point(|(_, start)| *start <= log_start);
        self.entries.drain(..after.saturating_sub(1));
    }

    /// Appends them to a file's body.
    pub(crate) fn encode(&self, body: &mut Vec<u8>) {
        body.put_u32(u32::try_from(self.entries.len()).expect("epochs have 31 bits"));
        for (epoch, start) in &self.entries {
            body.put_i32(epoch.value());
            body.put_i64(start.value());
        }
    }

    /// Reads what [`LeaderEpochs::encode`] wrote; `None` when it cannot be that.
    pub(crate) fn decode(body: &mut Take<'_>) -> Option<LeaderEpochs> {
        let mut entries: Vec<(LeaderEpoch, Offset)> = Vec::new();
        for _ in 0..body.count(ENTRY_BYTES)? {
            let entry = (LeaderEpoch::try_new(body.i32()?)?, Offset::try_new(body.i64()?)?);
            let rises = entries.last().is_none_or(|last| last.0 < entry.0 && last.1 < entry.1);
            rises.then_some(())?;
            entries.push(entry);
        }
        Some(LeaderEpochs { entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs() -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for (epoch, start) in [(1, 0), (1, 5), (3, 10), (4, 20)] {
            epochs.note(LeaderEpoch::new(epoch), Offset::new(start));
        }
        epochs
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let end = |epoch| {
            epochs().end_offset(LeaderEpoch::new(epoch), Offset::new(30)).map(|(e, o)| (e.value(), o.value()))
        };
        assert_eq!(
            [end(0), end(1), end(2), end(3), end(4), end(9)],
            [None, Some((1, 10)), Some((1, 10)), Some((3, 20)), Some((4, 30)), Some((4, 30)),]
        );
    }

    #[test]
    fn follows_both_ends_of_the_log() {
        let mut cut = epochs();
        cut.truncate(Offset::new(20));
        assert_eq!(cut.latest(), Some(LeaderEpoch::new(3)));
        let mut advanced = epochs();
        advanced.advance(Offset::new(12));
        assert_eq!(advanced.entries[0], (LeaderEpoch::new(3), Offset::new(10)));
    }
}
