//! `group list`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::client;
use super::progress::{self, total_lag};
use crate::cli::arguments::GroupListArguments;
use crate::cli::failure::Failure;
use crate::cli::output::{grouped, printable, table};
use crate::cli::watch::{Look, Shown, watch};
use crate::client::{Client, ClientError, GroupView, ListedGroupView, LogState, TopicPartition};

/// Shows which groups there are.
pub(super) fn list(arguments: &GroupListArguments) -> Result<(), Failure> {
    let mut client = client(&arguments.cluster)?;
    watch(arguments.watch, || Ok(Look { shown: look(&mut client, arguments)?, failure: None }))
}

/// A line of the list.
struct Line {
    group: ListedGroupView,
    members: Option<usize>,
    lag: Option<i64>,
}

fn look(client: &mut Client, arguments: &GroupListArguments) -> Result<Shown, Failure> {
    let mut groups = client.groups()?;
    let (described, refusals) = client.describe_groups(&groups)?;
    for refusal in refusals {
        eprintln!("ringmain: {refusal}");
    }
    for group in &mut groups {
        // Brokers of long ago list groups without their state.
        if let (None, Some(found)) = (&group.state, described.get(&group.name)) {
            group.state = Some(found.state.clone());
        }
    }
    let wanted: Vec<&str> = arguments.state.iter().map(|state| state.name()).collect();
    groups.retain(|group| {
        wanted.is_empty() || group.state.as_deref().is_some_and(|state| wanted.contains(&state))
    });
    let mut lags = if arguments.lag { lags(client, &groups)? } else { BTreeMap::new() };
    let lines: Vec<Line> = groups
        .into_iter()
        .map(|group| {
            let members = described.get(&group.name).and_then(members_count);
            let lag = lags.remove(&group.name).flatten();
            Line { group, members, lag }
        })
        .collect();
    Ok(if arguments.json { as_json(&lines, arguments.lag) } else { as_text(&lines, arguments) })
}

fn members_count(group: &GroupView) -> Option<usize> {
    group.members.as_ref().map(Vec::len)
}

/// The lag of each group. Partitions that several groups read are asked for once.
fn lags(
    client: &mut Client,
    groups: &[ListedGroupView],
) -> Result<BTreeMap<String, Option<i64>>, ClientError> {
    let mut commits: Vec<(&str, BTreeMap<TopicPartition, i64>)> = Vec::new();
    for group in groups {
        commits.push((&group.name, client.committed(&group.name)?));
    }
    let partitions: BTreeSet<TopicPartition> =
        commits.iter().flat_map(|(_, committed)| committed.keys().cloned()).collect();
    let logs = client.log_states(&partitions)?;
    let state = |partition: &TopicPartition| logs.get(partition).copied().unwrap_or(LogState::Unknown);
    let lags = commits.into_iter().map(|(group, committed)| {
        let own = committed.keys().map(|partition| (partition.clone(), state(partition))).collect();
        (group.to_owned(), total_lag(&progress::of(&committed, own)))
    });
    Ok(lags.collect())
}

fn as_json(lines: &[Line], with_lag: bool) -> Shown {
    let groups = lines.iter().map(|line| {
        let mut object = json!({
            "group": line.group.name,
            "state": line.group.state,
            "type": line.group.kind,
            "protocol_type": line.group.protocol_type,
            "members": line.members,
            "coordinator": line.group.coordinator,
        });
        if with_lag {
            object["lag"] = json!(line.lag);
        }
        object
    });
    Shown::Json(groups.collect())
}

fn as_text(lines: &[Line], arguments: &GroupListArguments) -> Shown {
    if lines.is_empty() {
        let what =
            if arguments.state.is_empty() { "There are no groups" } else { "No group is in that state" };
        return Shown::Text(format!(
            "{what}; a group is there once a consumer with its group.id has joined or committed.\n"
        ));
    }
    let unknown = || "-".to_owned();
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let group = &line.group;
            let protocol = if group.protocol_type.is_empty() { "-" } else { &group.protocol_type };
            let mut row = vec![
                printable(&group.name),
                group.state.clone().unwrap_or_else(unknown),
                printable(protocol),
                line.members.map_or_else(unknown, |members| members.to_string()),
                group.coordinator.to_string(),
            ];
            if arguments.lag {
                row.push(line.lag.map_or_else(unknown, |lag| grouped(lag.unsigned_abs())));
            }
            row
        })
        .collect();
    let mut heading = vec!["GROUP", "STATE", "PROTOCOL", "MEMBERS", "COORDINATOR"];
    if arguments.lag {
        heading.push("LAG");
    }
    Shown::Text(table(&heading, &rows))
}
