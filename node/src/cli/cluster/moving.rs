//! Moves of replicas, some at a time, until all are done: shown before, followed while they run.
//!
//! Every move is the cluster's own business once it has begun: an interrupted command loses only its view of it.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::snapshot::Snapshot;
use super::{counted, named, numbers};
use crate::cli::arguments::MoveArguments;
use crate::cli::failure::Failure;
use crate::cli::output::{print, sized, table};
use crate::client::{Client, ClientError, MoveView, TopicPartition};

/// How often the moves are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// How often it is told how far they are, at most.
const TELL_INTERVAL: Duration = Duration::from_secs(2);

/// Where the replicas of each partition shall be.
pub(super) type Plan = BTreeMap<TopicPartition, Vec<i32>>;

/// Shows what a plan would do.
pub(super) fn show(plan: &Plan, snapshot: &Snapshot, as_json: bool) -> Result<(), Failure> {
    let now: BTreeMap<&TopicPartition, &Vec<i32>> =
        snapshot.partitions.iter().map(|placement| (&placement.partition, &placement.replicas)).collect();
    let mut rows = Vec::with_capacity(plan.len());
    for (partition, target) in plan {
        let before = now.get(partition).map_or(&[][..], |replicas| replicas);
        if as_json {
            let step = json!({
                "topic": partition.topic,
                "partition": partition.index,
                "replicas": before,
                "target": target,
            });
            print(&format!("{step}\n"))?;
        }
        rows.push(vec![
            partition.topic.clone(),
            partition.index.to_string(),
            numbers(before),
            numbers(target),
        ]);
    }
    if as_json {
        return Ok(());
    }
    print(&table(&["TOPIC", "PARTITION", "REPLICAS", "WOULD BE"], &rows))?;
    print(&format!("{} would move. Nothing was changed.\n", counted(plan.len(), "partition")))
}

/// How far moves are.
struct Progress<'a> {
    arguments: &'a MoveArguments,
    count: usize,
    moved: usize,
    told: Option<(Instant, String)>,
    /// When anything moved last, and how many bytes were copied then.
    last: (Instant, i64),
}

/// Makes the moves of a plan and waits for them. Refusals are told once the others are done.
pub(super) fn run(client: &mut Client, plan: &Plan, arguments: &MoveArguments) -> Result<(), Failure> {
    let mut waiting: Vec<(TopicPartition, Option<Vec<i32>>)> =
        plan.iter().rev().map(|(partition, target)| (partition.clone(), Some(target.clone()))).collect();
    let mut under_way: BTreeSet<TopicPartition> = BTreeSet::new();
    let mut refused: Vec<ClientError> = Vec::new();
    let mut progress =
        Progress { arguments, count: plan.len(), moved: 0, told: None, last: (Instant::now(), 0) };
    loop {
        let room = usize::from(arguments.at_once).saturating_sub(under_way.len()).min(waiting.len());
        if room > 0 {
            let next: BTreeMap<_, _> = waiting.split_off(waiting.len() - room).into_iter().collect();
            for (partition, outcome) in client.reassign(&next)? {
                match outcome {
                    Ok(()) => drop(under_way.insert(partition)),
                    Err(error) => refused.push(error),
                }
            }
        }
        let moves = client.moves()?;
        let is_moving =
            |partition: &TopicPartition| moves.iter().any(|moving| moving.partition == *partition);
        let before = under_way.len();
        under_way.retain(is_moving);
        progress.moved += before - under_way.len();
        let ours: Vec<&MoveView> =
            moves.iter().filter(|moving| under_way.contains(&moving.partition)).collect();
        progress.tell(client, &ours, before > under_way.len())?;
        if waiting.is_empty() && under_way.is_empty() {
            break;
        }
        if before == under_way.len() {
            thread::sleep(LOOK_INTERVAL);
        }
    }
    let count = refused.len();
    match refused.into_iter().next() {
        Some(first) => {
            Err(Failure::Other(format!("{} could not move: {first}", counted(count, "partition"))))
        }
        None => Ok(()),
    }
}

impl Progress<'_> {
    /// Says how far the moves are, when that is new; an error when nothing has moved for too long.
    fn tell(&mut self, client: &mut Client, moves: &[&MoveView], has_moved: bool) -> Result<(), Failure> {
        let now = Instant::now();
        let is_last = moves.is_empty() && self.moved == self.count;
        let is_due = self.told.as_ref().is_none_or(|(told, _)| now - *told >= TELL_INTERVAL);
        if !is_due && !is_last {
            return Ok(());
        }
        let (copied, whole) = copied(client, moves)?;
        if has_moved || copied != self.last.1 || self.told.is_none() {
            self.last = (now, copied);
        } else if now - self.last.0 > self.arguments.patience {
            let stuck = moves
                .iter()
                .map(|moving| format!("{} waits for node {}", moving.partition, numbers(&moving.adding)));
            return Err(Failure::Other(format!(
                "no move has made progress for {} seconds: {}. They go on; 'ringmain cluster status' says what may hold \
                 them up, 'ringmain cluster reassign --cancel' stops them",
                self.arguments.patience.as_secs(),
                stuck.collect::<Vec<_>>().join(", ")
            )));
        }
        let line = if self.arguments.json {
            let under_way = moves.iter().map(|moving| moving.partition.to_string());
            let step = json!({
                "moved": self.moved,
                "of": self.count,
                "under_way": under_way.collect::<Vec<_>>(),
                "copied_bytes": copied,
                "whole_bytes": whole,
            });
            format!("{step}\n")
        } else {
            let rest = if moves.is_empty() {
                String::new()
            } else {
                let names = named(moves.iter().map(|moving| &moving.partition));
                let bytes = if whole == 0 {
                    String::new()
                } else {
                    format!(", {} of {} copied", sized(copied as f64), sized(whole as f64))
                };
                format!("; {} under way{bytes}: {names}", moves.len())
            };
            format!("{} of {} moved{rest}\n", self.moved, counted(self.count, "partition"))
        };
        if self.told.as_ref().is_none_or(|(_, told)| *told != line) {
            print(&line)?;
        }
        self.told = Some((now, line));
        Ok(())
    }
}

/// Bytes that the new replicas have, and that they will have.
fn copied(client: &mut Client, moves: &[&MoveView]) -> Result<(i64, i64), Failure> {
    let nodes: BTreeSet<i32> = moves.iter().flat_map(|moving| moving.replicas.iter().copied()).collect();
    let mut kept = BTreeMap::new();
    for node in nodes {
        if let Some(view) = client.log_dirs(node)? {
            kept.insert(node, view);
        }
    }
    let bytes = |node: &i32, partition: &TopicPartition| {
        kept.get(node).and_then(|view| view.logs.get(partition)).map_or(0, |log| log.bytes)
    };
    let (mut copied, mut whole) = (0, 0);
    for moving in moves {
        let old = moving.replicas.iter().filter(|node| !moving.adding.contains(node));
        let full = old.map(|node| bytes(node, &moving.partition)).max().unwrap_or(0);
        for node in &moving.adding {
            copied += bytes(node, &moving.partition).min(full);
            whole += full;
        }
    }
    Ok((copied, whole))
}
