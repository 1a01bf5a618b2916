//! A member that is killed by the system while it works: a process of its own, that reports what was acknowledged.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringmain_quorum::{Address, NodeId, Quorum, QuorumOptions, QuorumStore, SnapshotOptions, Timing};

use crate::support::{LONG, Ledger, TestDirectory, proposal, runtime};

/// Where the child finds its file.
const CHILD_FILE: &str = "QUORUM_CRASH_FILE";

async fn start(path: &Path) -> (Quorum, Arc<Mutex<Ledger>>) {
    let store = QuorumStore::open(path, "crash", NodeId(1)).expect("opens");
    let address = Address { host: "127.0.0.1".to_owned(), port: 1 };
    let options = QuorumOptions {
        cluster_id: "crash".to_owned(),
        address: address.clone(),
        voters: [(NodeId(1), address)].into(),
        timing: Timing::default(),
        snapshot: SnapshotOptions { entries: 50, bytes: 1 << 20, kept_entries: 10 },
    };
    let ledger = Arc::<Mutex<Ledger>>::default();
    let (quorum, _requests) =
        Quorum::start(options, store, Box::new(Arc::clone(&ledger)), None).await.expect("starts");
    quorum.leader().wait_for(|view| view.leadership.is_some()).await.expect("leads");
    (quorum, ledger)
}

/// The other process: proposes, and prints each number once it is acknowledged. Does nothing when it is run as a test.
#[test]
fn child() {
    let Ok(path) = std::env::var(CHILD_FILE) else { return };
    runtime().block_on(async {
        let (quorum, ledger) = start(Path::new(&path)).await;
        let first = ledger.lock().expect("lock").proposals().last().map_or(1, |last| last + 1);
        let leadership = quorum.leader().current().leadership.expect("it leads");
        // Several at once, so that transactions with many entries are torn too.
        let mut next = first;
        loop {
            let batch = (next..next + 8).map(|id| quorum.propose(leadership, proposal(id), LONG));
            for (id, outcome) in (next..).zip(futures_util::future::join_all(batch).await) {
                outcome.expect("commits");
                // The parent reads until the process is gone.
                writeln!(std::io::stderr(), "acknowledged {id}").expect("the parent reads");
            }
            next += 8;
        }
    });
}

#[test]
fn a_process_that_is_killed_keeps_what_it_acknowledged() {
    let directory = TestDirectory::new();
    let path = directory.path().join("crash.redb");
    let mut acknowledged = 0;
    for round in 0..8_u64 {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "crash::child", "--nocapture"])
            .env(CHILD_FILE, &path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a child");
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let wanted = acknowledged + 20 + round * 7;
        let mut killed = false;
        for line in lines.map_while(Result::ok) {
            let Some(id) = line.strip_prefix("acknowledged ").and_then(|id| id.parse::<u64>().ok()) else {
                panic!("the child says: {line}")
            };
            acknowledged = id;
            if id >= wanted && !killed {
                killed = true;
                child.kill().expect("kills");
            }
        }
        child.wait().expect("ends");
        runtime().block_on(async {
            let (quorum, ledger) = start(&path).await;
            let proposals = ledger.lock().expect("lock").proposals();
            let expected: Vec<_> = (1..=proposals.len() as u64).collect();
            assert_eq!(proposals, expected, "each once and in order");
            assert!(proposals.len() as u64 >= acknowledged, "{} are left of {acknowledged}", proposals.len());
            acknowledged = proposals.len() as u64;
            tokio::time::timeout(Duration::from_secs(5), quorum.stop()).await.expect("stops");
        });
    }
}
