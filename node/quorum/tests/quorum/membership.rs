//! Members that come and go while the cluster works.

use std::collections::BTreeSet;

use ringmain_quorum::{MembershipError, ReplicaId, Role};

use crate::support::{Cluster, eventually, runtime};

/// The ids of these members.
fn replicas(cluster: &Cluster, nodes: impl IntoIterator<Item = i32>) -> BTreeSet<ReplicaId> {
    nodes.into_iter().map(|node| cluster.member(node).quorum.replica()).collect()
}

async fn set_voters(cluster: &Cluster, nodes: impl IntoIterator<Item = i32>) {
    let voters = replicas(cluster, nodes);
    loop {
        let leader = cluster.leader().await;
        let (quorum, voters) = (cluster.member(leader).quorum.clone(), voters.clone());
        let outcome = cluster.member(leader).run(async move { quorum.set_voters(voters).await }).await;
        match outcome.expect("the leader lives") {
            Ok(()) => return,
            Err(MembershipError::NotLeader(_) | MembershipError::Unknown(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn voters(cluster: &Cluster, node: i32) -> BTreeSet<ReplicaId> {
    let status = cluster.member(node).quorum.status();
    status.members.iter().filter(|member| member.is_voter).map(|member| member.replica).collect()
}

#[test]
fn nodes_that_do_not_vote_learn() {
    runtime().block_on(async {
        let mut cluster = Cluster::plan(3, 5);
        cluster.start_all();
        cluster.leader().await;
        for id in 1..=10 {
            assert!(cluster.propose(id).await);
        }
        for learner in [4, 5] {
            let caught_up = || (cluster.member(learner).proposals().len() == 10).then_some(());
            eventually("a learner to have all", caught_up).await;
            assert_eq!(cluster.member(learner).quorum.status().role, Role::Learner);
        }
        let leader = cluster.leader().await;
        assert_eq!(voters(&cluster, leader), replicas(&cluster, 1..=3));
        assert_eq!(cluster.settled().await, (1..=10).collect::<Vec<_>>());
    });
}

#[test]
fn voters_are_added_and_removed_under_load() {
    runtime().block_on(async {
        let mut cluster = Cluster::plan(3, 5);
        cluster.start_all();
        cluster.leader().await;
        for node in [4, 5] {
            eventually("it to be a member", || {
                (cluster.member(node).quorum.status().members.len() == 5).then_some(())
            })
            .await;
        }
        let load = async {
            let mut unknown = 0;
            for id in 1..=300 {
                if !cluster.propose(id).await {
                    unknown += 1;
                }
            }
            unknown
        };
        let changes = async {
            set_voters(&cluster, 1..=5).await;
            set_voters(&cluster, [3, 4, 5]).await;
            set_voters(&cluster, [1, 4, 5]).await;
        };
        let (unknown, ()) = futures_util::future::join(load, changes).await;
        let proposals = cluster.settled().await;
        let distinct: BTreeSet<_> = proposals.iter().collect();
        assert_eq!(distinct.len(), proposals.len(), "a proposal was applied twice");
        assert!(proposals.len() >= 300 - unknown, "{} of 300, {unknown} unknown", proposals.len());
        let leader = cluster.leader().await;
        assert!([1, 4, 5].contains(&leader));
        assert_eq!(voters(&cluster, leader), replicas(&cluster, [1, 4, 5]));
        // Those without a vote are not needed any more.
        for gone in [2, 3] {
            cluster.kill(gone);
        }
        assert!(cluster.propose(1000).await);
    });
}

#[test]
fn a_member_that_was_removed_stays_away() {
    runtime().block_on(async {
        let mut cluster = Cluster::start(3).await;
        set_voters(&cluster, [1, 2]).await;
        let leader = cluster.leader().await;
        let gone = replicas(&cluster, [3]);
        let quorum = cluster.member(leader).quorum.clone();
        let removed = cluster.member(leader).run(async move { quorum.remove_members(gone).await }).await;
        assert!(matches!(removed, Some(Ok(()))), "{removed:?}");
        cluster.kill(3);
        cluster.start_member(3);
        for id in 1..=20 {
            assert!(cluster.propose(id).await);
        }
        assert_eq!(cluster.member(leader).quorum.status().members.len(), 2, "it came back by itself");
    });
}

#[test]
fn changes_that_make_no_sense_are_refused() {
    runtime().block_on(async {
        let cluster = Cluster::start(3).await;
        let leader = cluster.leader().await;
        let member = cluster.member(leader);
        let mut stranger = member.quorum.replica();
        stranger.directory.0 ^= 1;
        for voters in [BTreeSet::from([stranger]), BTreeSet::new()] {
            let quorum = member.quorum.clone();
            let outcome = member.run(async move { quorum.set_voters(voters).await }).await;
            assert!(matches!(outcome, Some(Err(MembershipError::Refused(_)))), "{outcome:?}");
        }
        let (quorum, voter) = (member.quorum.clone(), member.quorum.replica());
        let outcome = member.run(async move { quorum.remove_members(BTreeSet::from([voter])).await }).await;
        assert!(matches!(outcome, Some(Err(MembershipError::Refused(_)))), "{outcome:?}");
        let follower = cluster.members.keys().copied().find(|node| *node != leader).expect("a follower");
        let (quorum, voters) = (cluster.member(follower).quorum.clone(), replicas(&cluster, 1..=2));
        let outcome = cluster.member(follower).run(async move { quorum.set_voters(voters).await }).await;
        assert!(matches!(outcome, Some(Err(MembershipError::NotLeader(_)))), "{outcome:?}");
    });
}
