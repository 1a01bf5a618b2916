//! Members that cannot go on.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ringmain_quorum::{
    Address, CommittedRecords, NodeId, Proposal, Quorum, QuorumOptions, QuorumStore, Role, SnapshotOptions,
    StateMachine, StateMachineError, Timing,
};

use crate::support::{LONG, Ledger, TestDirectory, proposal, runtime};

/// Takes everything but proposal 13.
struct Superstitious(Arc<Mutex<Ledger>>);

impl StateMachine for Superstitious {
    fn apply(&mut self, committed: CommittedRecords<'_>) -> Result<(), StateMachineError> {
        if committed.proposal_id == 13 {
            let problem = format!("entry {} has the number 13", committed.index);
            return Err(StateMachineError { operation: "apply a record", problem });
        }
        self.0.apply(committed)
    }

    fn snapshot(&self) -> Bytes {
        self.0.snapshot()
    }

    fn restore(&mut self, index: u64, snapshot: Bytes) -> Result<(), StateMachineError> {
        self.0.restore(index, snapshot)
    }
}

#[test]
fn a_state_machine_that_refuses_a_record_stops_the_member_and_says_why() {
    runtime().block_on(async {
        let directory = TestDirectory::new();
        let store = QuorumStore::open(&directory.path().join("1.redb"), "lone", NodeId(1)).expect("opens");
        let address = Address { host: "127.0.0.1".to_owned(), port: 1 };
        let options = QuorumOptions {
            cluster_id: "lone".to_owned(),
            address: address.clone(),
            voters: [(NodeId(1), address)].into(),
            timing: Timing::default(),
            snapshot: SnapshotOptions::default(),
        };
        let ledger = Arc::<Mutex<Ledger>>::default();
        let state = Box::new(Superstitious(Arc::clone(&ledger)));
        let (quorum, _requests) = Quorum::start(options, store, state, None).await.expect("starts");
        let view = quorum.leader().wait_for(|view| view.leadership.is_some()).await.expect("leads");
        let leadership = view.leadership.expect("asked for");
        quorum.propose(leadership, proposal(12), LONG).await.expect("commits");
        assert!(quorum.propose(leadership, proposal(13), LONG).await.is_err());
        let failure = tokio::time::timeout(LONG, quorum.failed()).await.expect("it notices");
        assert!(failure.contains("has the number 13"), "{failure}");
        assert_eq!(quorum.status().role, Role::Stopped);
        let withdrawn = quorum.leader().wait_for(|view| view.leadership.is_none()).await;
        assert!(withdrawn.is_some_and(|view| view.leadership.is_none()));
        assert!(quorum.propose(leadership, proposal(14), LONG).await.is_err());
        assert_eq!(ledger.lock().expect("lock").proposals(), [12]);
    });
}

#[test]
fn what_is_too_large_is_refused_before_anything_is_done() {
    runtime().block_on(async {
        let directory = TestDirectory::new();
        let store = QuorumStore::open(&directory.path().join("1.redb"), "lone", NodeId(1)).expect("opens");
        let address = Address { host: "127.0.0.1".to_owned(), port: 1 };
        let options = QuorumOptions {
            cluster_id: "lone".to_owned(),
            address: address.clone(),
            voters: [(NodeId(1), address)].into(),
            timing: Timing::default(),
            // Bytes alone ask for a snapshot here.
            snapshot: SnapshotOptions { entries: 1_000_000, bytes: 3 << 20, kept_entries: 1 },
        };
        let state = Box::new(Arc::<Mutex<Ledger>>::default());
        let (quorum, _requests) = Quorum::start(options, store, state, None).await.expect("starts");
        let view = quorum.leader().wait_for(|view| view.leadership.is_some()).await.expect("leads");
        let leadership = view.leadership.expect("asked for");
        let sized = |size| Proposal { proposal_id: 1, records: [Bytes::from(vec![7; size])].into() };
        assert!(quorum.propose(leadership, sized((1 << 20) + 1), LONG).await.is_err());
        assert_eq!(quorum.status().snapshot_index, None);
        for _ in 0..4 {
            quorum.propose(leadership, sized(1 << 20), LONG).await.expect("fits");
        }
        crate::support::eventually("a snapshot", || quorum.status().snapshot_index).await;
        quorum.stop().await;
    });
}
