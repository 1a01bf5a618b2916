//! How far a log has come: what it holds, what is written, what is flushed.

use ringmain_storage::{LeaderEpoch, Offset};

use super::event::CommitRule;

/// What of a replica's log would survive. `flushed <= written` always; both exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Persisted {
    /// Below it the device was given everything: survives the process.
    pub written: Offset,
    /// Below it everything was flushed: survives power loss.
    pub flushed: Offset,
}

impl Persisted {
    /// As far as a commit rule counts.
    pub(super) fn by(self, rule: CommitRule) -> Offset {
        match rule {
            CommitRule::Flushed => self.flushed,
            CommitRule::Written => self.written,
        }
    }

    /// Not beyond an offset.
    pub(super) fn up_to(self, end: Offset) -> Self {
        Self { written: self.written.min(end), flushed: self.flushed.min(end) }
    }

    /// The further of two claims about the same log.
    pub(super) fn further(self, other: Self) -> Self {
        Self { written: self.written.max(other.written), flushed: self.flushed.max(other.flushed) }
    }
}

/// The replica's own log. `start <= end` and `flushed <= written <= end` always.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogState {
    pub(super) start: Offset,
    pub(super) end: Offset,
    /// Leader epoch of the last record; `None` while there is none.
    pub(super) last_epoch: Option<LeaderEpoch>,
    pub(super) persisted: Persisted,
}

impl LogState {
    /// Takes note of records up to `end`.
    pub(super) fn grow(&mut self, end: Offset, last_epoch: LeaderEpoch) {
        assert!(
            self.last_epoch.is_none_or(|last| last <= last_epoch),
            "epochs in a log never fall: {self:?}"
        );
        if end > self.end {
            self.end = end;
            self.last_epoch = Some(last_epoch);
        }
    }

    /// Takes note of what is persisted now.
    pub(super) fn persist(&mut self, persisted: Persisted) {
        self.persisted = self.persisted.further(persisted);
        self.check();
    }

    pub(super) fn advance_start(&mut self, start: Offset) {
        assert!(start <= self.end, "a log starts at or before its end: {start} in {self:?}");
        self.start = self.start.max(start);
    }

    /// Whether it holds a record.
    pub(super) fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// The epoch that a fetch at the log's end names: none where there is no record that could differ.
    pub(super) fn epoch_before_end(&self) -> Option<LeaderEpoch> {
        if self.is_empty() { None } else { self.last_epoch }
    }

    pub(super) fn check(&self) {
        let Persisted { written, flushed } = self.persisted;
        assert!(flushed <= written, "flushed past what was written: {self:?}");
        assert!(self.start <= self.end && written <= self.end, "a log past its end: {self:?}");
    }
}
