//! `cluster reassign`: replicas to nodes of one's own choice, by hand or from a file in Kafka's form.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::moving::{self, Plan};
use super::snapshot::Snapshot;
use super::{client, counted, named, numbers};
use crate::cli::arguments::ClusterReassignArguments;
use crate::cli::failure::Failure;
use crate::cli::output::{print, print_json, table};
use crate::client::{Client, MoveView, TopicPartition};

/// The only version of the file that there is.
const FILE_VERSION: i64 = 1;

/// The file of kafka-reassign-partitions. Names that are not known are passed over, as there.
#[derive(Debug, Deserialize)]
struct MovesFile {
    version: i64,
    partitions: Vec<FilePartition>,
}

#[derive(Debug, Deserialize)]
struct FilePartition {
    topic: String,
    partition: i32,
    /// Not needed to cancel.
    #[serde(default)]
    replicas: Vec<i32>,
}

/// Moves replicas, cancels moves, or shows them.
pub(super) fn reassign(arguments: &ClusterReassignArguments) -> Result<(), Failure> {
    let mut client = client(&arguments.moves.cluster)?;
    let wanted = wanted(arguments)?;
    if arguments.cancel {
        return cancel(&mut client, wanted.as_ref(), arguments);
    }
    let Some(plan) = wanted else { return list(&mut client, arguments.moves.json) };
    if let Some((partition, _)) = plan.iter().find(|(_, replicas)| replicas.is_empty()) {
        return Err(Failure::Other(format!(
            "it is not said where {partition} shall be; add --replicas 1,2,3, or --cancel to stop its move"
        )));
    }
    let snapshot = Snapshot::gather(&mut client)?;
    check(&plan, &snapshot)?;
    if arguments.moves.dry_run {
        return moving::show(&plan, &snapshot, arguments.moves.json);
    }
    if !arguments.no_wait {
        return moving::run(&mut client, &plan, &arguments.moves);
    }
    let moves = plan.into_iter().map(|(partition, replicas)| (partition, Some(replicas))).collect();
    let begun = begin(&mut client, &moves)?;
    print(&format!("{} begun to move; 'ringmain cluster reassign' shows how far they are.\n", has(begun)))
}

/// What the arguments name; `None` when they name nothing.
fn wanted(arguments: &ClusterReassignArguments) -> Result<Option<Plan>, Failure> {
    if let Some(path) = &arguments.file {
        return read(path).map(Some);
    }
    let Some((topic, index)) = arguments.topic.as_ref().zip(arguments.partition) else { return Ok(None) };
    let partition = TopicPartition { topic: topic.clone(), index };
    Ok(Some(Plan::from([(partition, arguments.replicas.clone())])))
}

fn read(path: &Path) -> Result<Plan, Failure> {
    let shown = path.display();
    let failed = |error| Failure::Io { operation: format!("read {shown}"), error };
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(failed)?;
        text
    } else {
        fs::read_to_string(path).map_err(failed)?
    };
    parse(&text).map_err(|problem| Failure::Other(format!("{shown}: {problem}")))
}

fn parse(text: &str) -> Result<Plan, String> {
    let file: MovesFile = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if file.version != FILE_VERSION {
        return Err(format!("it has version {}, and only {FILE_VERSION} is known", file.version));
    }
    let mut plan = Plan::new();
    for FilePartition { topic, partition, replicas } in file.partitions {
        let partition = TopicPartition { topic, index: partition };
        if plan.contains_key(&partition) {
            return Err(format!("{partition} is named twice"));
        }
        plan.insert(partition, replicas);
    }
    if plan.is_empty() { Err("it names no partition".to_owned()) } else { Ok(plan) }
}

/// Refuses what cannot be done before anything is changed.
fn check(plan: &Plan, snapshot: &Snapshot) -> Result<(), Failure> {
    let mut problems = Vec::new();
    for (partition, replicas) in plan {
        let placement = snapshot.partitions.iter().find(|placement| placement.partition == *partition);
        let Some(placement) = placement else {
            problems.push(format!("{partition} does not exist"));
            continue;
        };
        let down: Vec<i32> = replicas
            .iter()
            .copied()
            .filter(|node| !snapshot.nodes.is_active(*node) && !placement.replicas.contains(node))
            .collect();
        if !down.is_empty() {
            problems.push(format!("{partition} cannot move to node {}, which is not active", numbers(&down)));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    let active: Vec<i32> = snapshot.nodes.active().collect();
    Err(Failure::Other(format!(
        "nothing was changed, because of {}:\n  {}\nActive nodes: {}",
        counted(problems.len(), "problem"),
        problems.join("\n  "),
        numbers(&active)
    )))
}

fn cancel(
    client: &mut Client,
    wanted: Option<&Plan>,
    arguments: &ClusterReassignArguments,
) -> Result<(), Failure> {
    let under_way = client.moves()?;
    let chosen: Vec<&MoveView> = under_way
        .iter()
        .filter(|moving| wanted.is_none_or(|wanted| wanted.contains_key(&moving.partition)))
        .collect();
    if chosen.is_empty() {
        return print("No such move is under way.\n");
    }
    let names = named(chosen.iter().map(|moving| &moving.partition));
    if arguments.moves.dry_run {
        return print(&format!("Would stop the moves of {names}. Nothing was changed.\n"));
    }
    let moves = chosen.iter().map(|moving| (moving.partition.clone(), None)).collect();
    let stopped = begin(client, &moves)?;
    print(&format!("{} stopped: {names}.\n", counted(stopped, "move")))
}

/// Sends one request; how many of it were taken.
fn begin(client: &mut Client, moves: &BTreeMap<TopicPartition, Option<Vec<i32>>>) -> Result<usize, Failure> {
    let mut count = 0;
    let mut failure = None;
    for outcome in client.reassign(moves)?.into_values() {
        match outcome {
            Ok(()) => count += 1,
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(count), |error| Err(error.into()))
}

fn list(client: &mut Client, as_json: bool) -> Result<(), Failure> {
    let moves = client.moves()?;
    if as_json {
        let items = moves.iter().map(|moving| {
            json!({
                "topic": moving.partition.topic,
                "partition": moving.partition.index,
                "replicas": moving.target(),
                "adding": moving.adding,
                "removing": moving.removing,
            })
        });
        return print_json(&items.collect());
    }
    if moves.is_empty() {
        return print("No move is under way.\n");
    }
    let rows: Vec<Vec<String>> = moves
        .iter()
        .map(|moving| {
            vec![
                moving.partition.topic.clone(),
                moving.partition.index.to_string(),
                numbers(&moving.target()),
                numbers(&moving.adding),
                numbers(&moving.removing),
            ]
        })
        .collect();
    print(&table(&["TOPIC", "PARTITION", "WILL BE ON", "ADDING", "REMOVING"], &rows))
}

fn has(count: usize) -> String {
    if count == 1 { "1 partition has".to_owned() } else { format!("{count} partitions have") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_file_is_read() {
        let text = r#"{"version":1,"partitions":[
            {"topic":"a","partition":0,"replicas":[1,2],"log_dirs":["any","any"]},
            {"topic":"a","partition":1,"replicas":[2]}]}"#;
        let plan = parse(text).expect("valid");
        let partition = |index| TopicPartition { topic: "a".to_owned(), index };
        assert_eq!(plan, Plan::from([(partition(0), vec![1, 2]), (partition(1), vec![2])]));
    }

    #[test]
    fn a_file_that_means_nothing_says_why() {
        for (text, problem) in [
            ("{", "EOF"),
            (r#"{"version":2,"partitions":[]}"#, "version 2"),
            (r#"{"version":1,"partitions":[]}"#, "names no partition"),
            (
                r#"{"version":1,"partitions":[{"topic":"a","partition":0},{"topic":"a","partition":0}]}"#,
                "twice",
            ),
        ] {
            let got = parse(text).expect_err(text);
            assert!(got.contains(problem), "{got}");
        }
    }
}
