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
    /// An operation, and whether to its first or second part.
    Operation { key: OperationKey, part: u8 },
    /// The bell rang, or its poll has ended.
    Bell,
    /// A descriptor was closed.
    Close,
    /// Nobody waits for it.
    Unwatched,
}

/// One operation, or a linked pair that has to reach the kernel in one system call.
pub(super) struct Submission {
    first: squeue::Entry,
    second: Option<squeue::Entry>,
}

impl Submission {
    pub(super) fn watched(
        key: OperationKey,
        first: squeue::Entry,
        second: Option<squeue::Entry>,
    ) -> Submission {
        let first = first.user_data(user_data(key, 0));
        match second {
            None => Submission { first, second: None },
            Some(second) => Submission {
                // Its success goes without saying: a second completion would wake us twice.
                first: first.flags(squeue::Flags::IO_LINK | squeue::Flags::SKIP_SUCCESS),
                second: Some(second.user_data(user_data(key, 1))),
            },
        }
    }

    pub(super) fn unwatched(entry: squeue::Entry) -> Submission {
        Submission { first: entry.user_data(UNWATCHED), second: None }
    }

    pub(super) fn bell(entry: squeue::Entry) -> Submission {
        Submission { first: entry.user_data(BELL), second: None }
    }

    pub(super) fn close(entry: squeue::Entry) -> Submission {
        Submission { first: entry.user_data(CLOSE), second: None }
    }

    /// What a completion belongs to.
    pub(super) fn parse(user_data: u64) -> Arrived {
        match user_data {
            UNWATCHED => Arrived::Unwatched,
            BELL => Arrived::Bell,
            CLOSE => Arrived::Close,
            operation => {
                let key = u32::try_from(operation >> 1).expect("only we make these numbers");
                Arrived::Operation { key: OperationKey(key), part: (operation & 1) as u8 }
            }
        }
    }
}

/// The number by which the kernel knows a part of an operation.
pub(super) fn user_data(key: OperationKey, part: u64) -> u64 {
    u64::from(key.0) << 1 | part
}

/// What waits to be given to the kernel, in order.
#[derive(Default)]
pub(super) struct Submissions {
    waiting: VecDeque<Submission>,
    /// Moved to the queue that the kernel reads, but possibly not yet taken.
    unsubmitted: bool,
}

impl Submissions {
    pub(super) fn push(&mut self, submission: Submission) {
        self.waiting.push_back(submission);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && !self.unsubmitted
    }

    /// Moves as many as fit into the queue that the kernel reads; returns how many entries that were, and whether there
    /// are more.
    pub(super) fn move_into(&mut self, ring: &mut IoUring) -> (usize, bool) {
        let mut queue = ring.submission();
        let mut moved = 0;
        while let Some(submission) = self.waiting.front() {
            let count = 1 + usize::from(submission.second.is_some());
            if queue.capacity() - queue.len() < count {
                break;
            }
            let Some(submission) = self.waiting.pop_front() else {
                break;
            };
            // SAFETY: `Ring::begin` has put what the entries refer to where it stays until their completion; entries that
            // are not watched refer to no memory.
            unsafe {
                queue.push(&submission.first).expect("there is room, looked at above");
                if let Some(second) = &submission.second {
                    queue.push(second).expect("there is room, looked at above");
                }
            }
            moved += count;
        }
        self.unsubmitted = !queue.is_empty();
        (moved, !self.waiting.is_empty())
    }
}
