//! Nodes that lost their disks.

use std::collections::BTreeSet;
use std::time::Duration;

use ringmain_quorum::Role;

use crate::support::{Cluster, eventually, runtime};

fn wipe(cluster: &Cluster, node: i32) {
    std::fs::remove_file(&cluster.plans[&node].path).expect("its file");
}

#[test]
fn a_wiped_voter_has_no_vote_until_it_is_given_one() {
    runtime().block_on(async {
        let mut cluster = Cluster::start(3).await;
        assert!(cluster.propose(1).await);
        let leader = cluster.leader().await;
        let followers: Vec<_> = cluster.members.keys().copied().filter(|node| *node != leader).collect();
        let (wiped, other) = (followers[0], followers[1]);
        let old = cluster.member(wiped).quorum.replica();
        cluster.kill(wiped);
        wipe(&cluster, wiped);
        cluster.start_member(wiped);
        let new = cluster.member(wiped).quorum.replica();
        assert_ne!(old, new);
        eventually("it to learn", || (cluster.member(wiped).proposals() == [1]).then_some(())).await;
        assert_eq!(cluster.member(wiped).quorum.status().role, Role::Learner);
        // Two voters are left of three. Without one of them nobody is elected, whatever the wiped one would say.
        cluster.kill(leader);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(cluster.leader_now(), None, "the wiped node was counted");
        cluster.start_member(leader);
        assert!(cluster.propose(2).await);
        // It gets the vote back in place of its old directory.
        let now = cluster.leader().await;
        let voters = BTreeSet::from([
            cluster.member(leader).quorum.replica(),
            cluster.member(other).quorum.replica(),
            new,
        ]);
        let quorum = cluster.member(now).quorum.clone();
        let replaced = cluster.member(now).run(async move {
            quorum.set_voters(voters).await?;
            quorum.remove_members(BTreeSet::from([old])).await
        });
        assert!(matches!(replaced.await, Some(Ok(()))));
        let now = cluster.leader().await;
        let other = [leader, other].into_iter().find(|node| *node != now).expect("one of both");
        cluster.kill(other);
        assert!(cluster.propose(3).await, "the new directory votes");
        cluster.start_member(other);
        assert_eq!(cluster.settled().await, [1, 2, 3]);
        let status = cluster.member(now).quorum.status();
        assert_eq!(status.members.len(), 3);
    });
}

#[test]
fn the_node_that_formed_the_cluster_does_not_form_a_second_one() {
    runtime().block_on(async {
        let mut cluster = Cluster::start(3).await;
        assert!(cluster.propose(1).await);
        cluster.kill(1);
        wipe(&cluster, 1);
        // Alone with one that remembers, it has to wait.
        cluster.kill(3);
        cluster.start_member(1);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(cluster.leader_now(), None);
        assert_eq!(cluster.member(1).quorum.status().members.len(), 0, "it is in no cluster");
        cluster.start_member(3);
        assert!(cluster.propose(2).await);
        eventually("it to join", || (cluster.member(1).proposals() == [1, 2]).then_some(())).await;
        assert_eq!(cluster.member(1).quorum.status().role, Role::Learner);
        // Wiped again: its second directory is dropped, members do not pile up.
        cluster.kill(1);
        wipe(&cluster, 1);
        cluster.start_member(1);
        eventually("it to join again", || (cluster.member(1).proposals() == [1, 2]).then_some(())).await;
        let leader = cluster.leader().await;
        eventually("three voters and it", || {
            (cluster.member(leader).quorum.status().members.len() == 4).then_some(())
        })
        .await;
    });
}
