//! Members that are too far behind for the log.

use ringmain_quorum::SnapshotOptions;

use crate::support::{Cluster, eventually, runtime};

fn small_snapshots(cluster: &mut Cluster) {
    for plan in cluster.plans.values_mut() {
        plan.snapshot = SnapshotOptions { entries: 20, bytes: 1 << 20, kept_entries: 5 };
    }
}

#[test]
fn a_follower_that_was_away_for_long_gets_a_snapshot() {
    runtime().block_on(async {
        let mut cluster = Cluster::plan(3, 3);
        small_snapshots(&mut cluster);
        cluster.start_all();
        let leader = cluster.leader().await;
        let away = cluster.members.keys().copied().find(|node| *node != leader).expect("a follower");
        cluster.kill(away);
        for id in 1..=200 {
            assert!(cluster.propose(id).await);
        }
        cluster.start_member(away);
        assert_eq!(cluster.settled().await, (1..=200).collect::<Vec<_>>());
        let restored = cluster.member(away).ledger.lock().expect("lock").restored;
        assert!(restored >= 1, "it was to get a snapshot");
        // And what it got is in its file.
        cluster.kill(away);
        cluster.start_member(away);
        assert_eq!(cluster.settled().await, (1..=200).collect::<Vec<_>>());
    });
}

#[test]
fn a_large_snapshot_comes_in_chunks() {
    runtime().block_on(async {
        let mut cluster = Cluster::plan(3, 4);
        small_snapshots(&mut cluster);
        // Enough entries that the state, 28 bytes for each, takes several chunks.
        for node in 1..=3 {
            cluster.start_member(node);
        }
        let leader = cluster.leader().await;
        let leadership = cluster.member(leader).leadership().expect("it leads");
        let quorum = cluster.member(leader).quorum.clone();
        let proposed = cluster.member(leader).run(async move {
            for first in (0..20_000).step_by(500) {
                let batch = (first..first + 500).map(|id| {
                    let quorum = quorum.clone();
                    async move {
                        quorum.propose(leadership, crate::support::proposal(id), crate::support::LONG).await
                    }
                });
                let outcomes = futures_util::future::join_all(batch).await;
                assert!(outcomes.iter().all(Result::is_ok), "a proposal failed");
            }
        });
        assert!(proposed.await.is_some());
        cluster.start_member(4);
        eventually("the new learner to have all", || {
            (cluster.member(4).proposals().len() == 20_000).then_some(())
        })
        .await;
        assert!(cluster.member(4).ledger.lock().expect("lock").restored >= 1);
        assert_eq!(cluster.settled().await.len(), 20_000);
    });
}
