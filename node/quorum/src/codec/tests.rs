//! Everything that is written is read back equal; everything else is an error, and never a panic.

use std::collections::{BTreeMap, BTreeSet};

use openraft::vote::RaftLeaderId;
use ringmain_replication::NodeId;

use super::*;
use crate::proposal::Proposal;
use crate::raft::{AppendRequest, AppendResponse, Entry, LogId, Membership, Payload, Vote, VoteResponse};
use crate::replica_id::{Address, DirectoryId, ReplicaId};

fn replica(node: i32) -> ReplicaId {
    ReplicaId { node: NodeId(node), directory: DirectoryId(u128::MAX - 7) }
}

fn vote(term: u64) -> Vote {
    Vote { leader_id: RaftLeaderId::new(term, replica(3)), committed: term.is_multiple_of(2) }
}

fn membership() -> Membership {
    let address = |port| Address { host: "fd00::1".to_owned(), port };
    let voters = vec![BTreeSet::from([replica(1), replica(2)]), BTreeSet::from([replica(2)])];
    let members =
        BTreeMap::from([(replica(1), address(1)), (replica(2), address(2)), (replica(9), address(9))]);
    Membership::new(voters, members).expect("valid")
}

fn append() -> AppendRequest {
    let records = [Bytes::from_static(b"one"), Bytes::new(), Bytes::from_static(b"three")];
    let proposal = Proposal { proposal_id: 77, records: records.into() };
    let payloads = [Payload::Blank, Payload::Normal(proposal), Payload::Membership(membership())];
    let entries = (5..).zip(payloads);
    AppendRequest {
        vote: vote(4),
        prev_log_id: Some(LogId::new_term_index(3, 4)),
        leader_commit: None,
        entries: entries
            .map(|(index, payload)| Entry { log_id: LogId::new_term_index(4, index), payload })
            .collect(),
    }
}

#[test]
fn messages_are_read_as_they_were_written() {
    let written = append();
    let read = AppendRequest::from_bytes(written.to_bytes().into()).expect("reads");
    assert_eq!((read.vote, read.prev_log_id, read.leader_commit), (written.vote, written.prev_log_id, None));
    assert_eq!(read.entries, written.entries);
    for answer in [
        AppendResponse::Success,
        AppendResponse::PartialSuccess(Some(LogId::new_term_index(1, 2))),
        AppendResponse::Conflict,
        AppendResponse::HigherVote(vote(9)),
    ] {
        assert_eq!(AppendResponse::from_bytes(answer.to_bytes().into()), Ok(answer));
    }
    let answer = VoteResponse { vote: vote(3), vote_granted: true, last_log_id: None };
    assert_eq!(VoteResponse::from_bytes(answer.to_bytes().into()), Ok(answer));
}

#[test]
fn what_is_cut_short_or_too_long_is_refused() {
    let bytes = Bytes::from(append().to_bytes());
    for length in 0..bytes.len() {
        assert!(
            AppendRequest::from_bytes(bytes.slice(..length)).is_err(),
            "{length} of {} bytes",
            bytes.len()
        );
    }
    let longer = [bytes.as_ref(), &[0]].concat();
    assert_eq!(AppendRequest::from_bytes(longer.into()).err(), Some(DecodeError::TooLong { count: 1 }));
    assert!(AppendRequest::from_bytes(vec![0; bytes.len()].into()).is_err(), "zeros are no message");
}

#[test]
fn no_byte_that_changes_makes_a_reader_panic_or_reserve() {
    let bytes = append().to_bytes();
    for position in 0..bytes.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut changed = bytes.clone();
            changed[position] = value;
            // Either way is right; a count that lies must be an error before anything is reserved for it.
            let _ = AppendRequest::from_bytes(changed.into());
        }
    }
    let mut reader = Reader::new(Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0]));
    assert!(reader.count(1, "a count").is_err());
}

#[test]
fn a_sealed_value_that_changed_is_refused() {
    let sealed = seal(b"a vote");
    assert_eq!(unseal(&sealed).as_deref(), Ok(b"a vote".as_slice()));
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(unseal(&changed).is_err(), "bit {bit}");
    }
    assert!(unseal(&sealed[..3]).is_err());
}
