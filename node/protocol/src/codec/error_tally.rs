//! The error codes of one message, each with how often it is there: what an operator counts of the answers.
//!
//! Nearly all messages have none, and then nothing is allocated.

use alloc::vec::Vec;

use crate::ErrorCode;

/// Error codes that were written, in the order in which they were first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorTally(Vec<(ErrorCode, u32)>);

impl ErrorTally {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// One more of them. There are few kinds in one message, so a search costs less than a map.
    pub(super) fn add(&mut self, code: ErrorCode) {
        match self.0.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.0.push((code, 1)),
        }
    }

    /// Whether nothing failed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each code once, with how often it was written.
    pub fn iter(&self) -> impl Iterator<Item = (ErrorCode, u32)> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_there_once() {
        let mut tally = ErrorTally::new();
        assert!(tally.is_empty());
        let (first, second) = (ErrorCode::OFFSET_OUT_OF_RANGE, ErrorCode::NOT_LEADER_OR_FOLLOWER);
        [first, second, first].into_iter().for_each(|code| tally.add(code));
        assert_eq!(tally.iter().collect::<Vec<_>>(), [(first, 2), (second, 1)]);
    }
}
