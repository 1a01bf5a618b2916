//! Where two histories of one partition part.
//!
//! A batch carries the epoch of the leader that wrote it, and a leader writes an offset once. So two logs that have the
//! same epoch at the same offset are equal up to there; what a follower must cut is found by epochs alone, never by the
//! high watermark, which a follower learns late.

use ringmain_storage::{LeaderEpoch, Offset};

/// The end of an epoch in a log: the offset behind its last record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch of the log that is not above the one that was asked for.
    pub epoch: LeaderEpoch,
    /// Exclusive.
    pub end: Offset,
}

/// Whether a follower whose record before `position` is of `last_epoch` has another history than a log in which
/// that epoch ends as `own` says.
pub(super) fn parts_at(position: Offset, last_epoch: LeaderEpoch, own: EpochEnd) -> bool {
    own.epoch < last_epoch || own.end < position
}

/// Where a follower cuts its log, when the leader's history parts from it at or before `leader`. `own` is the end of
/// the leader's epoch in the follower's log; `None`: all its epochs are above.
pub(super) fn cut(leader: EpochEnd, own: Option<EpochEnd>, log_start: Offset) -> Offset {
    match own {
        // Between the two ends one of the logs has another epoch.
        Some(own) => own.end.min(leader.end).max(log_start),
        None => log_start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(epoch: i32, end: i64) -> EpochEnd {
        EpochEnd { epoch: LeaderEpoch::new(epoch), end: Offset::new(end) }
    }

    #[test]
    fn equal_histories_do_not_part() {
        assert!(!parts_at(Offset::new(10), LeaderEpoch::new(3), end(3, 10)));
        assert!(!parts_at(Offset::new(8), LeaderEpoch::new(3), end(3, 10)));
    }

    #[test]
    fn histories_part_by_epoch_or_by_length() {
        assert!(parts_at(Offset::new(10), LeaderEpoch::new(3), end(2, 10)), "the leader never had epoch 3");
        assert!(parts_at(Offset::new(11), LeaderEpoch::new(3), end(3, 10)), "it has less of epoch 3");
    }

    #[test]
    fn a_cut_is_where_both_have_the_same_epoch() {
        let zero = Offset::ZERO;
        assert_eq!(cut(end(3, 10), Some(end(3, 14)), zero), Offset::new(10));
        assert_eq!(
            cut(end(3, 10), Some(end(2, 7)), zero),
            Offset::new(7),
            "no epoch 3 here: ask again from 7"
        );
        assert_eq!(cut(end(3, 10), None, Offset::new(5)), Offset::new(5));
    }
}
