//! The store against openraft's suite, against restarts, and against damage.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use openraft::storage::{IOFlushed, RaftLogStorage, RaftLogStorageExt, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::TypeConfigExt;
use openraft::vote::RaftLeaderId;
use openraft::{RaftLogReader, StorageError};

use super::*;
use crate::proposal::Proposal;
use crate::raft::{Payload, SnapshotMeta, Types};
use crate::state_machine::{Applier, CommittedRecords, StateMachine, StateMachineError};

/// A file that is gone after the test.
struct TestFile(PathBuf);

impl TestFile {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("ringmain-store-{}-{count}.redb", std::process::id())))
    }

    fn open(&self) -> Result<QuorumStore, StoreError> {
        QuorumStore::open(&self.0, "a-cluster", NodeId(1))
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        // A file that stays behind is in the temporary place anyway.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Keeps all records: what a snapshot has can be compared.
#[derive(Default)]
struct Records(Vec<u8>);

impl StateMachine for Records {
    fn apply(&mut self, committed: CommittedRecords<'_>) -> Result<(), StateMachineError> {
        committed.records.iter().for_each(|record| self.0.extend_from_slice(record));
        Ok(())
    }

    fn snapshot(&self) -> Bytes {
        self.0.clone().into()
    }

    fn restore(&mut self, _index: u64, snapshot: Bytes) -> Result<(), StateMachineError> {
        self.0 = snapshot.into();
        Ok(())
    }
}

fn applier(snapshots: SnapshotFile) -> Applier {
    Applier::new(Box::new(Records::default()), snapshots, u64::MAX, Arc::default())
}

struct SuiteStores;

impl StoreBuilder<Types, LogStore, Applier, TestFile> for SuiteStores {
    async fn build(&self) -> Result<(TestFile, LogStore, Applier), StorageError<Types>> {
        let file = TestFile::new();
        let parts = file.open().expect("opens").start().expect("starts");
        Ok((file, parts.log, applier(parts.snapshots)))
    }
}

#[test]
fn openraft_accepts_the_store() {
    Types::run(Suite::test_all(SuiteStores)).expect("the suite passes");
}

fn vote(term: u64) -> Vote {
    Vote { leader_id: RaftLeaderId::new(term, ReplicaId::from(1)), committed: false }
}

fn entry(term: u64, index: u64) -> Entry {
    let record = Bytes::from(format!("record {index} of term {term}"));
    let proposal = Proposal { proposal_id: index, records: [record].into() };
    Entry { log_id: LogId::new_term_index(term, index), payload: Payload::Normal(proposal) }
}

/// Does something to the store, and closes it.
fn with_store(file: &TestFile, act: impl AsyncFnOnce(&mut LogStore, &SnapshotFile)) {
    let StoreParts { mut log, snapshots, thread } = file.open().expect("opens").start().expect("starts");
    Types::run(act(&mut log, &snapshots));
    drop((log, snapshots));
    thread.join().expect("the thread ends");
}

#[test]
fn what_was_promised_is_there_after_a_restart() {
    let file = TestFile::new();
    let replica = file.open().expect("opens").replica();
    with_store(&file, async |log, snapshots| {
        log.save_vote(&vote(3)).await.expect("saves");
        log.blocking_append((0..10).map(|index| entry(1, index))).await.expect("appends");
        log.truncate_after(Some(LogId::new_term_index(1, 7))).await.expect("truncates");
        log.blocking_append([entry(2, 8)]).await.expect("appends");
        log.save_committed(Some(LogId::new_term_index(1, 5))).await.expect("saves");
        let meta = SnapshotMeta { last_log_id: Some(LogId::new_term_index(1, 4)), ..SnapshotMeta::default() };
        snapshots.replace(&meta, Bytes::from_static(b"all of it")).await.expect("saves");
        log.purge(LogId::new_term_index(1, 3)).await.expect("purges");
    });
    assert_eq!(file.open().expect("opens").replica(), replica);
    with_store(&file, async |log, snapshots| {
        let mut reader = log.get_log_reader().await;
        assert_eq!(reader.read_vote().await.expect("reads"), Some(vote(3)));
        let state = log.get_log_state().await.expect("reads");
        assert_eq!(state.last_purged_log_id, Some(LogId::new_term_index(1, 3)));
        assert_eq!(state.last_log_id, Some(LogId::new_term_index(2, 8)));
        assert_eq!(log.read_committed().await.expect("reads"), Some(LogId::new_term_index(1, 5)));
        let entries = reader.try_get_log_entries(..).await.expect("reads");
        let expected: Vec<_> = (4..8).map(|index| entry(1, index)).chain([entry(2, 8)]).collect();
        assert_eq!(entries, expected);
        let snapshot = snapshots.read().expect("reads").expect("is there");
        assert_eq!(snapshot.snapshot, Bytes::from_static(b"all of it"));
        assert_eq!(snapshot.meta.last_log_id, Some(LogId::new_term_index(1, 4)));
    });
}

#[test]
fn appends_that_wait_share_a_flush_and_keep_their_order() {
    let file = TestFile::new();
    with_store(&file, async |log, _| {
        let mut flushed = Vec::new();
        for index in 0..500 {
            let (done, outcome) = Types::oneshot();
            log.append([entry(1, index)], IOFlushed::signal(done)).await.expect("takes it");
            flushed.push(outcome);
        }
        for outcome in flushed {
            outcome.await.expect("answers").expect("is durable");
        }
    });
    assert_eq!(file.open().expect("opens").log_range(), Some((0, 499)));
}

#[test]
fn a_gap_in_the_log_is_refused_while_running_and_when_opened() {
    let file = TestFile::new();
    with_store(&file, async |log, _| {
        log.blocking_append([entry(1, 0)]).await.expect("appends");
        assert!(log.append([entry(1, 2)], IOFlushed::noop()).await.is_err());
    });
    let database = Database::open(&file.0).expect("opens");
    let write = database.begin_write().expect("begins");
    let sealed = crate::codec::seal(&entry(1, 5).to_bytes());
    write.open_table(LOG).expect("opens").insert(5, sealed.as_slice()).expect("inserts");
    write.commit().expect("commits");
    drop(database);
    let error = file.open().expect_err("the log has a gap").to_string();
    assert!(error.contains("lacks entry 1"), "{error}");
}

#[test]
fn a_file_of_another_cluster_or_node_is_refused_with_a_sentence() {
    let file = TestFile::new();
    drop(file.open().expect("opens"));
    let error = QuorumStore::open(&file.0, "another", NodeId(1)).expect_err("another cluster").to_string();
    assert!(error.contains("is of cluster `a-cluster`"), "{error}");
    let error = QuorumStore::open(&file.0, "a-cluster", NodeId(2)).expect_err("another node").to_string();
    assert!(error.contains("is of node 1, this node is 2"), "{error}");
    let text = TestFile::new();
    std::fs::write(&text.0, b"this is no database, but it is long enough to be looked at").expect("writes");
    assert!(text.open().is_err());
    assert_eq!(
        std::fs::read(&text.0).expect("reads"),
        b"this is no database, but it is long enough to be looked at",
        "a foreign file is left alone"
    );
}

/// Whatever byte changes: the store says that it is damaged, or it holds exactly what it held. It never panics, and never
/// has another vote.
#[test]
fn a_byte_that_changes_anywhere_is_noticed_or_harmless() {
    let file = TestFile::new();
    with_store(&file, async |log, snapshots| {
        log.save_vote(&vote(3)).await.expect("saves");
        log.blocking_append((0..20).map(|index| entry(1, index))).await.expect("appends");
        let meta = SnapshotMeta { last_log_id: Some(LogId::new_term_index(1, 4)), ..SnapshotMeta::default() };
        snapshots.replace(&meta, Bytes::from(vec![7; 3000])).await.expect("saves");
    });
    let sound = std::fs::read(&file.0).expect("reads");
    let entries: Vec<_> = (0..20).map(|index| entry(1, index)).collect();
    let mut refused = 0;
    let used: Vec<_> = (0..sound.len()).filter(|position| sound[*position] != 0).collect();
    // Every byte that is not zero would take minutes; a step that is no power of two visits all kinds of pages.
    let visited: Vec<_> = used.iter().step_by(used.len().div_ceil(400).max(1)).copied().collect();
    for position in visited {
        let mut changed = sound.clone();
        changed[position] ^= 0x5a;
        let copy = TestFile::new();
        std::fs::write(&copy.0, &changed).expect("writes");
        match copy.open() {
            Err(_) => refused += 1,
            Ok(store) => {
                assert_eq!(store.mirror.vote, Some(vote(3)), "byte {position}");
                assert_eq!(store.mirror.entries(.., usize::MAX), entries, "byte {position}");
            }
        }
    }
    assert!(refused > 100, "only {refused} changes were noticed");
}

#[test]
fn a_snapshot_that_is_installed_replaces_the_state() {
    let file = TestFile::new();
    with_store(&file, async |_, snapshots| {
        let mut applier = applier(snapshots.clone());
        let meta = SnapshotMeta { last_log_id: Some(LogId::new_term_index(2, 9)), ..SnapshotMeta::default() };
        applier.install_snapshot(&meta, Bytes::from_static(b"state")).await.expect("installs");
        assert_eq!(applier.applied_state().await.expect("knows").0, meta.last_log_id);
        let stored = applier.get_current_snapshot().await.expect("reads").expect("is there");
        assert_eq!((stored.meta, stored.snapshot), (meta, Bytes::from_static(b"state")));
    });
}
