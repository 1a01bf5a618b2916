//! A state machine that remembers everything that was applied, and checks that indexes rise.

use bytes::{Buf, BufMut, Bytes};
use ringmain_quorum::{CommittedRecords, StateMachine, StateMachineError};

/// What was applied, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<LedgerEntry>,
    /// How often a snapshot was restored in this life of the member.
    pub(crate) restored: u32,
}

/// One applied proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LedgerEntry {
    pub(crate) index: u64,
    pub(crate) term: u64,
    pub(crate) proposal_id: u64,
    /// The checksum of its records, in order.
    pub(crate) content: u32,
}

impl Ledger {
    pub(crate) fn proposals(&self) -> Vec<u64> {
        self.entries.iter().map(|entry| entry.proposal_id).collect()
    }
}

impl StateMachine for Ledger {
    fn apply(&mut self, committed: CommittedRecords<'_>) -> Result<(), StateMachineError> {
        let last = self.entries.last().map(|entry| entry.index);
        assert!(last < Some(committed.index), "entry {} is applied after {last:?}", committed.index);
        let mut content = crc32fast::Hasher::new();
        committed.records.iter().for_each(|record| content.update(record));
        self.entries.push(LedgerEntry {
            index: committed.index,
            term: committed.term,
            proposal_id: committed.proposal_id,
            content: content.finalize(),
        });
        Ok(())
    }

    fn snapshot(&self) -> Bytes {
        let mut bytes = Vec::new();
        for entry in &self.entries {
            bytes.put_u64(entry.index);
            bytes.put_u64(entry.term);
            bytes.put_u64(entry.proposal_id);
            bytes.put_u32(entry.content);
        }
        bytes.into()
    }

    fn restore(&mut self, index: u64, mut snapshot: Bytes) -> Result<(), StateMachineError> {
        self.entries.clear();
        self.restored += 1;
        while snapshot.has_remaining() {
            self.entries.push(LedgerEntry {
                index: snapshot.get_u64(),
                term: snapshot.get_u64(),
                proposal_id: snapshot.get_u64(),
                content: snapshot.get_u32(),
            });
        }
        assert!(self.entries.last().is_none_or(|last| last.index <= index));
        Ok(())
    }
}
