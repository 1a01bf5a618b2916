//! Proposals with numbers of their own under seeded faults; then everything is compared.
//!
//! What is checked: a proposal that was acknowledged is applied exactly once, at the index that was told; one whose outcome
//! is not known at most once; a refused one never; all members have the same; a proposal that began after another was
//! acknowledged comes after it; and all that is still so after all members were killed and started again.
//! `QUORUM_CHAOS_SEED` and `QUORUM_CHAOS_ROUNDS` choose another run.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use ringmain_quorum::{ProposeError, SnapshotOptions};

use crate::support::{Cluster, runtime};

const PROPOSERS: u64 = 4;

/// What a proposer was told, with the moments between which it happened.
enum Outcome {
    Committed { index: u64 },
    Unknown,
    Refused,
}

struct Operation {
    id: u64,
    began: u64,
    ended: u64,
    outcome: Outcome,
}

/// A generator that gives the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

async fn propose(cluster: &RefCell<Cluster>, id: u64, node: i32) -> Outcome {
    let proposed = {
        let cluster = cluster.borrow();
        let Some(member) = cluster.members.get(&node) else { return Outcome::Refused };
        let Some(leadership) = member.leadership() else { return Outcome::Refused };
        let quorum = member.quorum.clone();
        member.spawn(async move {
            quorum.propose(leadership, crate::support::proposal(id), Duration::from_secs(1)).await
        })
    };
    match proposed.await {
        Ok(Ok(committed)) => Outcome::Committed { index: committed.index },
        Ok(Err(ProposeError::NotLeader(_))) => Outcome::Refused,
        // Lost with the member that was killed, or not known.
        _ => Outcome::Unknown,
    }
}

async fn proposer(
    cluster: &RefCell<Cluster>,
    number: u64,
    clock: &Cell<u64>,
    done: &Cell<bool>,
    nodes: i32,
) -> Vec<Operation> {
    let tick = || {
        clock.set(clock.get() + 1);
        clock.get()
    };
    let mut operations = Vec::new();
    let mut id = number;
    let mut random = Random(number + 77);
    while !done.get() {
        // Mostly where the leader is, now and then somewhere else.
        let leader = cluster.borrow().leader_now();
        let anywhere = 1 + i32::try_from(random.below(nodes as u64)).expect("small");
        let node = if random.below(10) == 0 { anywhere } else { leader.unwrap_or(anywhere) };
        let began = tick();
        let outcome = propose(cluster, id, node).await;
        operations.push(Operation { id, began, ended: tick(), outcome });
        id += PROPOSERS;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    operations
}

async fn faults(cluster: &RefCell<Cluster>, random: &mut Random, rounds: u64, nodes: i32, done: &Cell<bool>) {
    let node = |random: &mut Random| 1 + i32::try_from(random.below(nodes as u64)).expect("small");
    for _ in 0..rounds {
        let victim = node(random);
        let leader = cluster.borrow().leader_now();
        let target = if random.below(2) == 0 { leader.unwrap_or(victim) } else { victim };
        {
            let mut cluster = cluster.borrow_mut();
            match random.below(6) {
                0 | 1 if cluster.members.contains_key(&target) => cluster.kill(target),
                2 => cluster.relay.isolate(target, 1..=nodes),
                3 => (1..=nodes)
                    .filter(|other| *other != target)
                    .for_each(|other| cluster.relay.cut(other, target)),
                4 => (1..=nodes)
                    .filter(|other| *other != target)
                    .for_each(|other| cluster.relay.cut(target, other)),
                _ if cluster.members.contains_key(&target) => {
                    let member = cluster.member(target);
                    let quorum = member.quorum.clone();
                    drop(member.spawn(async move { quorum.hand_over().await }));
                }
                _ => {}
            }
        }
        tokio::time::sleep(Duration::from_millis(200 + random.below(1200))).await;
        if random.below(3) > 0 {
            cluster.borrow().relay.heal();
            cluster.borrow_mut().start_all();
            tokio::time::sleep(Duration::from_millis(random.below(1200))).await;
        }
    }
    cluster.borrow().relay.heal();
    cluster.borrow_mut().start_all();
    tokio::time::sleep(Duration::from_secs(2)).await;
    done.set(true);
}

fn check(operations: &[Operation], applied: &HashMap<u64, u64>) {
    for operation in operations {
        let found = applied.get(&operation.id).copied();
        match operation.outcome {
            Outcome::Committed { index } => {
                assert_eq!(found, Some(index), "proposal {} was acknowledged at {index}", operation.id);
            }
            Outcome::Refused => assert_eq!(found, None, "proposal {} was refused", operation.id),
            Outcome::Unknown => {}
        }
    }
    // In the order of their ends, no one that began later may have a smaller index than the largest acknowledged before.
    let mut events: Vec<(u64, bool, u64)> = Vec::new();
    for operation in operations {
        if let Outcome::Committed { index } = operation.outcome {
            events.push((operation.began, false, index));
            events.push((operation.ended, true, index));
        }
    }
    events.sort_unstable();
    let mut floor_at_start = HashMap::new();
    let mut acknowledged = 0;
    for (_, is_end, index) in events {
        if is_end {
            assert!(
                index > floor_at_start[&index],
                "index {index} was given after a later one was acknowledged"
            );
            acknowledged = acknowledged.max(index);
        } else {
            floor_at_start.insert(index, acknowledged);
        }
    }
}

fn run(nodes: i32, seed: u64, rounds: u64) {
    println!("{nodes} members, seed {seed}, {rounds} rounds");
    runtime().block_on(async {
        let mut cluster = Cluster::plan(nodes, nodes);
        for plan in cluster.plans.values_mut() {
            plan.snapshot = SnapshotOptions { entries: 150, bytes: 1 << 20, kept_entries: 20 };
        }
        cluster.start_all();
        cluster.leader().await;
        let cluster = RefCell::new(cluster);
        let (clock, done) = (Cell::new(0), Cell::new(false));
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let proposers = (0..PROPOSERS).map(|number| proposer(&cluster, number, &clock, &done, nodes));
        let all = futures_util::future::join_all(proposers);
        let (operations, ()) =
            futures_util::future::join(all, faults(&cluster, &mut random, rounds, nodes, &done)).await;
        let operations: Vec<_> = operations.into_iter().flatten().collect();
        let mut cluster = cluster.into_inner();
        for after_a_restart in [false, true] {
            if after_a_restart {
                (1..=nodes).for_each(|node| cluster.kill(node));
                cluster.start_all();
            }
            assert!(cluster.propose(1 << 40).await, "the cluster is not well after healing");
            cluster.settled().await;
            let ledger = cluster.member(1).ledger.lock().expect("lock").clone();
            let mut applied = HashMap::new();
            for entry in ledger.entries.iter().filter(|entry| entry.proposal_id < 1 << 40) {
                let before = applied.insert(entry.proposal_id, entry.index);
                assert_eq!(before, None, "proposal {} was applied twice", entry.proposal_id);
            }
            check(&operations, &applied);
        }
        let count = |wanted: fn(&Outcome) -> bool| operations.iter().filter(|op| wanted(&op.outcome)).count();
        let committed = count(|outcome| matches!(outcome, Outcome::Committed { .. }));
        let unknown = count(|outcome| matches!(outcome, Outcome::Unknown));
        println!("{committed} acknowledged, {unknown} unknown, of {}", operations.len());
        assert!(committed > 10, "the run did nothing");
    });
}

#[test]
fn three_members_keep_what_they_acknowledged() {
    run(3, setting("QUORUM_CHAOS_SEED", 1), setting("QUORUM_CHAOS_ROUNDS", 12));
}

#[test]
fn five_members_keep_what_they_acknowledged() {
    run(5, setting("QUORUM_CHAOS_SEED", 2), setting("QUORUM_CHAOS_ROUNDS", 12));
}
