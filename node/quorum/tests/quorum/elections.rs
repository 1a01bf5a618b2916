//! Who leads, through kills and cuts.

use std::time::{Duration, Instant};

use ringmain_quorum::{ProposeError, Role};

use crate::support::{Cluster, eventually, runtime};

#[test]
fn three_members_form_a_cluster_and_agree() {
    runtime().block_on(async {
        let cluster = Cluster::start(3).await;
        for id in 1..=20 {
            assert!(cluster.propose(id).await);
        }
        assert_eq!(cluster.settled().await, (1..=20).collect::<Vec<_>>());
        let status = cluster.member(cluster.leader().await).quorum.status();
        assert_eq!(status.role, Role::Leader);
        assert_eq!(status.members.iter().filter(|member| member.is_voter).count(), 3);
        assert!(status.members.iter().all(|member| member.matched_index == status.last_index));
    });
}

#[test]
fn a_killed_leader_is_replaced_and_comes_back_from_its_file() {
    runtime().block_on(async {
        let mut cluster = Cluster::start(3).await;
        for round in 0..3 {
            let leader = cluster.leader().await;
            let term = cluster.member(leader).leadership().map(ringmain_quorum::Leadership::term);
            assert!(cluster.propose(round * 10 + 1).await);
            cluster.kill(leader);
            let next = cluster.leader().await;
            assert_ne!(next, leader);
            assert!(cluster.member(next).leadership().map(ringmain_quorum::Leadership::term) > term);
            assert!(cluster.propose(round * 10 + 2).await);
            cluster.start_member(leader);
        }
        assert_eq!(cluster.settled().await, [1, 2, 11, 12, 21, 22]);
    });
}

#[test]
fn five_members_survive_two_and_stand_still_without_three() {
    runtime().block_on(async {
        let mut cluster = Cluster::start(5).await;
        assert!(cluster.propose(1).await);
        let first = cluster.leader().await;
        cluster.kill(first);
        let second = cluster.leader().await;
        cluster.kill(second);
        assert!(cluster.propose(2).await);
        let third = cluster.leader().await;
        let leadership = cluster.member(third).leadership().expect("it leads");
        cluster.kill(*cluster.members.keys().find(|node| **node != third).expect("another"));
        let outcome = cluster.member(third).propose_in(leadership, 3).await;
        assert!(matches!(outcome, Err(ProposeError::Unknown(_))), "two of five cannot commit: {outcome:?}");
        eventually("the leader to notice", || cluster.leader_now().is_none().then_some(())).await;
        cluster.start_all();
        assert!(cluster.propose(4).await);
        let proposals = cluster.settled().await;
        assert!(proposals.starts_with(&[1, 2]) && proposals.ends_with(&[4]), "{proposals:?}");
    });
}

#[test]
fn a_leader_that_is_cut_off_stops_deciding_before_another_begins() {
    runtime().block_on(async {
        let cluster = Cluster::start(3).await;
        assert!(cluster.propose(1).await);
        let old = cluster.leader().await;
        let old_leadership = cluster.member(old).leadership().expect("it leads");
        cluster.relay.isolate(old, [1, 2, 3]);
        // Never two at once, however often one looks.
        let new = loop {
            let old_leads = cluster.member(old).leadership().is_some();
            let new =
                cluster.members.iter().find(|(node, member)| **node != old && member.leadership().is_some());
            assert!(!(old_leads && new.is_some()), "two members may decide");
            if let Some((new, _)) = new {
                break *new;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        assert!(cluster.member(new).propose(2).await.is_ok());
        // What the old leader decided before it knew is not in anybody's log.
        let outcome = cluster.member(old).propose_in(old_leadership, 99).await;
        assert!(outcome.is_err(), "a cut off leader committed");
        cluster.relay.heal();
        assert!(cluster.propose(3).await);
        assert_eq!(cluster.settled().await, [1, 2, 3]);
    });
}

#[test]
fn a_decision_of_an_earlier_leadership_is_refused_for_ever() {
    runtime().block_on(async {
        let cluster = Cluster::start(3).await;
        let first = cluster.leader().await;
        let old = cluster.member(first).leadership().expect("it leads");
        let quorum = cluster.member(first).quorum.clone();
        assert_eq!(cluster.member(first).run(async move { quorum.hand_over().await }).await, Some(true));
        let second = eventually("another leader", || cluster.leader_now().filter(|now| *now != first)).await;
        // Back to the first, which then leads again, in another term.
        let quorum = cluster.member(second).quorum.clone();
        cluster.member(second).run(async move { quorum.hand_over().await }).await;
        let third =
            eventually("a third leadership", || cluster.leader_now().filter(|now| *now != second)).await;
        for node in [first, third] {
            let outcome = cluster.member(node).propose_in(old, 7).await;
            assert!(matches!(outcome, Err(ProposeError::NotLeader(_))), "{outcome:?}");
        }
        assert!(cluster.propose(8).await);
        assert_eq!(cluster.settled().await, [8]);
    });
}

#[test]
fn a_member_that_hears_nobody_does_not_disturb_when_it_returns() {
    runtime().block_on(async {
        let cluster = Cluster::start(3).await;
        let leader = cluster.leader().await;
        let term = cluster.member(leader).leadership();
        let away = cluster.members.keys().copied().find(|node| *node != leader).expect("a follower");
        // It can speak and hears nothing: the worst kind, it asks for votes all the time.
        for other in [1, 2, 3].into_iter().filter(|other| *other != away) {
            cluster.relay.cut(other, away);
        }
        let until = Instant::now() + Duration::from_secs(3);
        let mut id = 0;
        while Instant::now() < until {
            id += 1;
            assert!(cluster.propose(id).await);
        }
        cluster.relay.heal();
        assert_eq!(cluster.settled().await, (1..=id).collect::<Vec<_>>());
        assert_eq!(cluster.leader_now(), Some(leader));
        assert_eq!(cluster.member(leader).leadership(), term, "its asking for votes changed the term");
    });
}

/// Members that get little of a core answer like this, on the best of networks.
#[test]
fn answers_that_are_slow_end_no_leadership() {
    runtime().block_on(async {
        let cluster = Cluster::start(3).await;
        let leader = cluster.leader().await;
        let leadership = cluster.member(leader).leadership();
        assert!(leadership.is_some());
        // More than from one heartbeat to the next, there and back.
        cluster.relay.slow_down(Duration::from_millis(55));
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            assert_eq!(cluster.member(leader).leadership(), leadership, "the leadership was in doubt");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(cluster.propose(1).await);
    });
}

#[test]
fn a_leader_that_can_speak_and_not_hear_is_replaced() {
    runtime().block_on(async {
        let cluster = Cluster::start(3).await;
        assert!(cluster.propose(1).await);
        let old = cluster.leader().await;
        for other in [1, 2, 3].into_iter().filter(|other| *other != old) {
            cluster.relay.cut(other, old);
        }
        let lost = eventually("it to lose its leadership", || {
            cluster.member(old).leadership().is_none().then_some(())
        });
        lost.await;
        cluster.relay.heal();
        assert!(cluster.propose(2).await);
        assert_eq!(cluster.settled().await, [1, 2]);
    });
}

#[test]
fn a_stop_hands_the_leadership_over() {
    runtime().block_on(async {
        let mut cluster = Cluster::start(3).await;
        assert!(cluster.propose(1).await);
        let leader = cluster.leader().await;
        cluster.stop(leader);
        let stopped = Instant::now();
        let next = cluster.leader().await;
        assert!(stopped.elapsed() < Duration::from_millis(500), "{:?} without a leader", stopped.elapsed());
        assert_ne!(next, leader);
        assert!(cluster.propose(2).await);
        cluster.start_member(leader);
        assert_eq!(cluster.settled().await, [1, 2]);
    });
}

#[test]
fn a_read_is_confirmed_by_a_majority() {
    runtime().block_on(async {
        let cluster = Cluster::start(3).await;
        assert!(cluster.propose(1).await);
        let leader = cluster.leader().await;
        let linearize = |node: i32| {
            let quorum = cluster.member(node).quorum.clone();
            cluster.member(node).run(async move { quorum.linearize(Duration::from_secs(1)).await })
        };
        let index = linearize(leader).await.expect("alive").expect("confirmed");
        assert!(cluster.member(leader).quorum.status().applied_index >= Some(index));
        let follower = cluster.members.keys().copied().find(|node| *node != leader).expect("a follower");
        assert!(matches!(linearize(follower).await, Some(Err(ProposeError::NotLeader(Some(_))))));
        cluster.relay.isolate(leader, [1, 2, 3]);
        assert!(linearize(leader).await.expect("alive").is_err(), "nobody confirms it");
    });
}
