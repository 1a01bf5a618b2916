//! Asking the controller from anywhere.

use std::time::Duration;

use bytes::Bytes;
use ringmain_quorum::{AskError, CONTROLLER_BYTES_MAX};

use crate::support::{Cluster, eventually, runtime};

async fn ask(cluster: &Cluster, node: i32, body: Bytes, timeout: Duration) -> Result<String, AskError> {
    let quorum = cluster.member(node).quorum.clone();
    let asked = cluster.member(node).run(async move { quorum.ask_controller(body, timeout).await });
    asked.await.expect("it lives").map(|answer| String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn every_member_reaches_the_controller() {
    runtime().block_on(async {
        let mut cluster = Cluster::plan(3, 4);
        cluster.start_all();
        let leader = cluster.leader().await;
        for node in 1..=4 {
            let answer = ask(&cluster, node, Bytes::from_static(b"hello"), Duration::from_secs(5)).await;
            let answer = answer.expect("an answer");
            assert!(answer.starts_with(&format!("hello from {node} to {leader} in term ")), "{answer}");
        }
        let large = Bytes::from(vec![b'x'; CONTROLLER_BYTES_MAX + 1]);
        assert!(matches!(ask(&cluster, 1, large, Duration::from_secs(5)).await, Err(AskError::TooLarge(_))));
    });
}

#[test]
fn a_request_waits_for_the_next_controller() {
    runtime().block_on(async {
        let mut cluster = Cluster::start(3).await;
        let leader = cluster.leader().await;
        let asker = cluster.members.keys().copied().find(|node| *node != leader).expect("a follower");
        cluster.kill(leader);
        // It may have been on its way when the leader went, and on its way to the dead one when there was another: each is told
        // as unknown, once.
        let mut answer = None;
        for _ in 0..3 {
            match ask(&cluster, asker, Bytes::from_static(b"x"), Duration::from_secs(10)).await {
                Err(AskError::Unknown(_)) => {}
                known => {
                    answer = Some(known.expect("an answer"));
                    break;
                }
            }
        }
        let answer = answer.expect("what is unknown is known at the third attempt");
        assert!(!answer.contains(&format!("to {leader} ")), "{answer}");
        let other = cluster.members.keys().copied().find(|node| *node != asker).expect("another");
        cluster.kill(other);
        // What is left may have led, and then may for as long as its lease.
        eventually("nobody to lead", || cluster.leader_now().is_none().then_some(())).await;
        let nobody = ask(&cluster, asker, Bytes::from_static(b"x"), Duration::from_secs(2)).await;
        assert!(nobody.is_err(), "a minority has no controller");
    });
}
