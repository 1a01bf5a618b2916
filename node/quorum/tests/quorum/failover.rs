//! How long nobody decides when the leader is killed.

use std::time::{Duration, Instant};

use crate::support::{Cluster, runtime};

/// Kills the leader so many times; the time from each kill to the next acknowledged proposal, sorted.
fn kills(count: u64) -> Vec<Duration> {
    runtime().block_on(async {
        let mut cluster = Cluster::start(3).await;
        let mut gaps = Vec::new();
        for round in 0..count {
            assert!(cluster.propose(round * 2).await);
            let leader = cluster.leader().await;
            let began = Instant::now();
            cluster.kill(leader);
            assert!(cluster.propose(round * 2 + 1).await);
            gaps.push(began.elapsed());
            cluster.start_member(leader);
            cluster.settled().await;
        }
        gaps.sort();
        gaps
    })
}

#[test]
fn a_killed_leader_is_replaced_in_about_a_second() {
    let gaps = kills(5);
    println!("{gaps:?}");
    assert!(gaps[2] < Duration::from_millis(1500), "the median of {gaps:?}");
}

/// The figure of the documentation; run it alone, with `--ignored --nocapture`.
#[test]
#[ignore = "takes a minute and measures"]
fn thirty_kills_of_the_leader() {
    let gaps = kills(30);
    println!("median {:?}, worst {:?}, best {:?}", gaps[15], gaps[29], gaps[0]);
    assert!(gaps[15] <= Duration::from_millis(1500) && gaps[29] <= Duration::from_secs(3), "{gaps:?}");
}
