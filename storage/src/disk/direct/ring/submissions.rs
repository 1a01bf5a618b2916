//! What waits to be given to the kernel, and how its completions are told apart.

#![expect(unsafe_code, reason = "fills the queue that the kernel reads")]

use std::collections::VecDeque;

use io_uring::{IoUring, squeue};

use super::operations::OperationKey;

/// Marks completions that nobody waits for.
const UNWATCHED: u64 = u64::MAX;
/// Marks completions of the poll of the bell.
const BELL: u64 = u64::MAX - 1;

/// Marks completions of closes.
const CLOSE: u64 = u64::MAX - 2;

/// What a completion belongs to.
pub(super) enum Arrived {
    /// An operation that somebody waits for, or has waited for.
    Operation(OperationKey),
    /// The bell rang, or its poll has ended.
    Bell,
    /// A descriptor was closed.
    Close,
    /// Nobody waits for it.
    Unwatched,
}

impl Arrived {
    pub(super) fn parse(user_data: u64) -> Arrived {
        match user_data {
            UNWATCHED => Arrived::Unwatched,
            BELL => Arrived::Bell,
            CLOSE => Arrived::Close,
            operation => {
                let key = u32::try_from(operation).expect("only we make these numbers");
                Arrived::Operation(OperationKey(key))
            }
        }
    }
}

pub(super) fn watched(key: OperationKey, entry: squeue::Entry) -> squeue::Entry {
    entry.user_data(user_data(key))
}

pub(super) fn unwatched(entry: squeue::Entry) -> squeue::Entry {
    entry.user_data(UNWATCHED)
}

pub(super) fn bell_poll(entry: squeue::Entry) -> squeue::Entry {
    entry.user_data(BELL)
}

pub(super) fn close(entry: squeue::Entry) -> squeue::Entry {
    entry.user_data(CLOSE)
}

/// The number by which the kernel knows an operation.
pub(super) fn user_data(key: OperationKey) -> u64 {
    u64::from(key.0)
}

/// What waits to be given to the kernel, in order.
#[derive(Default)]
pub(super) struct Submissions {
    waiting: VecDeque<squeue::Entry>,
    /// Moved to the queue that the kernel reads, but possibly not yet taken.
    unsubmitted: bool,
}

impl Submissions {
    pub(super) fn push(&mut self, entry: squeue::Entry) {
        self.waiting.push_back(entry);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && !self.unsubmitted
    }

    /// Moves as many as fit into the queue that the kernel reads; returns how many entries that were, and whether there
    /// are more.
    pub(super) fn move_into(&mut self, ring: &mut IoUring) -> (usize, bool) {
        let mut queue = ring.submission();
        let mut moved = 0;
        while !queue.is_full() {
            let Some(entry) = self.waiting.pop_front() else { break };
            // SAFETY: `Ring::begin` has put what the entry refers to where it stays until its completion; entries that are
            // not watched refer to no memory.
            unsafe { queue.push(&entry) }.expect("there is room, looked at above");
            moved += 1;
        }
        self.unsubmitted = !queue.is_empty();
        (moved, !self.waiting.is_empty())
    }
}
