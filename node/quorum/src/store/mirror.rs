//! The log in memory, as the file has it or soon will.
//!
//! The metadata log is short: a snapshot takes its place every few thousand entries. Keeping it in memory makes a read
//! atomic and free of I/O on the thread that also sends heartbeats.

use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};

use crate::codec::Coded;
use crate::raft::{Entry, LogId, Payload, Vote};

/// See the head of the file.
#[derive(Debug)]
pub(crate) struct LogMirror {
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogId>,
    purged: Option<LogId>,
    /// Consecutive indexes, the first is the one after `purged` (0 if nothing was purged).
    entries: VecDeque<Entry>,
}

impl LogMirror {
    pub(super) fn new(vote: Option<Vote>, committed: Option<LogId>, purged: Option<LogId>) -> Self {
        Self { vote, committed, purged, entries: VecDeque::new() }
    }

    pub(super) fn purged(&self) -> Option<LogId> {
        self.purged
    }

    pub(super) fn first_index(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.log_id.index)
    }

    pub(super) fn last_log_id(&self) -> Option<LogId> {
        self.entries.back().map(|entry| entry.log_id).or(self.purged)
    }

    fn next_index(&self) -> u64 {
        self.last_log_id().map_or(0, |last| last.index + 1)
    }

    /// Adds what the quorum appends. An empty log takes any first entry: openraft begins at 0, its suite for stores
    /// elsewhere; a file that lacks its first entries is refused when it is opened.
    pub(super) fn append(&mut self, entry: Entry) -> Result<(), u64> {
        if self.last_log_id().is_none() {
            self.entries.push_back(entry);
            return Ok(());
        }
        self.push(entry)
    }

    /// Adds the next entry. `Err` is the index that it should have had.
    pub(super) fn push(&mut self, entry: Entry) -> Result<(), u64> {
        let expected = self.next_index();
        if entry.log_id.index != expected {
            return Err(expected);
        }
        self.entries.push_back(entry);
        Ok(())
    }

    /// Drops what comes after `last`. Returns the first index that is gone.
    pub(super) fn truncate_after(&mut self, last: Option<LogId>) -> u64 {
        let end = last.map_or(0, |last| last.index + 1);
        while self.entries.back().is_some_and(|entry| entry.log_id.index >= end) {
            self.entries.pop_back();
        }
        end
    }

    /// Drops what comes before and with `last`, which the snapshot has.
    pub(super) fn purge(&mut self, last: LogId) {
        while self.entries.front().is_some_and(|entry| entry.log_id.index <= last.index) {
            self.entries.pop_front();
        }
        self.purged = self.purged.max(Some(last));
    }

    /// The entries of `range` that are there, the first always, then up to `size_bytes_max`.
    pub(super) fn entries(&self, range: impl RangeBounds<u64>, size_bytes_max: usize) -> Vec<Entry> {
        let first = self.first_index().unwrap_or(0);
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let position = |index: u64| {
            usize::try_from(index.saturating_sub(first)).unwrap_or(usize::MAX).min(self.entries.len())
        };
        let (start, end) = (position(start), position(end));
        let mut size_bytes = 0;
        let mut found = Vec::new();
        for entry in self.entries.range(start..end.max(start)) {
            size_bytes += entry_size_bytes(entry);
            if !found.is_empty() && size_bytes > size_bytes_max {
                break;
            }
            found.push(entry.clone());
        }
        found
    }
}

/// About as many bytes as it takes in a message or a file.
pub(crate) fn entry_size_bytes(entry: &Entry) -> usize {
    const HEAD_SIZE: usize = 32;
    HEAD_SIZE
        + match &entry.payload {
            Payload::Blank => 0,
            Payload::Normal(proposal) => proposal.size_bytes() + 4 * proposal.records.len(),
            Payload::Membership(membership) => membership.to_bytes().len(),
        }
}
