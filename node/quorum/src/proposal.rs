//! What a log entry of the controller carries: encoded metadata records, opaque here, and who proposed them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// Bytes of records in one proposal at most: it must fit a message to a follower, and one flush. Kafka's bound for a batch
/// of metadata records is of the same order.
pub const PROPOSAL_BYTES_MAX: usize = 1 << 20;
/// Records in one proposal at most: the bound of a counter that comes from outside.
pub const PROPOSAL_RECORDS_MAX: usize = 100_000;

/// A batch of records that is committed and applied as a whole or not at all. Cloning copies a pointer.
#[derive(Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The caller's number for it; nothing here depends on it.
    pub proposal_id: u64,
    /// Encoded metadata records.
    pub records: Arc<[Bytes]>,
}

impl Proposal {
    /// Bytes of its records.
    pub fn size_bytes(&self) -> usize {
        self.records.iter().map(Bytes::len).sum()
    }
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "proposal {} of {} records, {} bytes",
            self.proposal_id,
            self.records.len(),
            self.size_bytes()
        )
    }
}
