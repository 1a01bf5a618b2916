//! `group seek`: other offsets for a group that nobody reads for.
//!
//! In steps: the group must have no members; the partitions are found, with what they hold and what is committed; where
//! each goes is computed and shown; then all of it is committed at once, as nobody's member. Failure modes: a member
//! that joins between the look and the commit makes the coordinator refuse it, and nothing has changed; partitions that
//! the coordinator refuses one by one are told, the others are done.

use std::collections::{BTreeMap, BTreeSet};

use ringmain_protocol::ErrorCode;
use serde_json::json;

use super::{client, held_by, listed, saved, selected};
use crate::cli::arguments::{GroupSeekArguments, SeekTarget};
use crate::cli::failure::Failure;
use crate::cli::output::{grouped, print, print_json, printable, table};
use crate::cli::time;
use crate::client::{Client, ClientError, LogRange, LogState, TopicPartition};

/// Moves a group.
pub(super) fn seek(arguments: &GroupSeekArguments) -> Result<(), Failure> {
    let mut client = client(&arguments.cluster)?;
    let group = &arguments.name;
    let shown = printable(group);
    match client.group(group)? {
        Some(view) if view.is_active() => {
            return Err(Failure::Other(format!("cannot move the group '{shown}': {}", held_by(&view))));
        }
        Some(_) => {}
        None if arguments.create => {}
        None => {
            let error = ClientError::unknown_group(group, "move");
            return Err(Failure::Other(format!("{error}; --create makes it")));
        }
    }
    let aim = match (&arguments.from_file, arguments.to) {
        (Some(file), _) => Aim::Saved(saved::read(file, group)?),
        (None, Some(target)) => Aim::Target(target),
        (None, None) => {
            return Err(Failure::Other("nowhere to move to: give --to or --from-file".to_owned()));
        }
    };
    let committed = client.committed(group)?;
    let partitions = partitions(&mut client, arguments, &aim, &committed)?;
    let moves = plan(&mut client, &aim, &committed, partitions)?;
    for warning in moves.iter().filter_map(|planned| planned.warning.as_ref()) {
        eprintln!("ringmain: {warning}");
    }
    if moves.iter().all(|planned| planned.after.is_none()) {
        return Err(Failure::Other(format!("nothing to move: the group '{shown}' stays as it is")));
    }
    let refused = if arguments.dry_run { BTreeMap::new() } else { commit(&mut client, group, &moves)? };
    report(arguments, &moves, &refused)?;
    match refused.first_key_value() {
        None => Ok(()),
        Some((partition, code)) => {
            let action = format!(
                "move the group '{shown}' in {} of {} partitions, first in {}-{}",
                refused.len(),
                moves.len(),
                partition.topic,
                partition.index
            );
            Err(ClientError::refused(*code, None, action).into())
        }
    }
}

/// Where a group is to go.
enum Aim {
    /// The same way everywhere.
    Target(SeekTarget),
    /// An offset of its own for each partition.
    Saved(BTreeMap<TopicPartition, i64>),
}

/// Where a group goes in one partition.
#[derive(Debug, PartialEq, Eq)]
struct Move {
    partition: TopicPartition,
    log: LogRange,
    before: Option<i64>,
    /// `None` where it stays.
    after: Option<i64>,
    warning: Option<String>,
}

/// What is to be moved, with what each log holds.
fn partitions(
    client: &mut Client,
    arguments: &GroupSeekArguments,
    aim: &Aim,
    committed: &BTreeMap<TopicPartition, i64>,
) -> Result<BTreeMap<TopicPartition, LogRange>, Failure> {
    let group = printable(&arguments.name);
    let wanted: BTreeSet<TopicPartition> = match aim {
        Aim::Saved(offsets) => offsets.keys().cloned().collect(),
        Aim::Target(_) if arguments.all_topics => committed.keys().cloned().collect(),
        Aim::Target(_) => selected(&arguments.topic, |topic| {
            let partitions = client.topic(topic)?.partitions;
            Ok(partitions.into_iter().map(|partition| partition.index).collect())
        })?,
    };
    if wanted.is_empty() {
        return Err(Failure::Other(format!(
            "the group '{group}' has committed nothing; name what to set by --topic"
        )));
    }
    let states = client.log_states(&wanted)?;
    let unknown: Vec<&TopicPartition> = states
        .iter()
        .filter(|(_, state)| **state == LogState::Unknown)
        .map(|(partition, _)| partition)
        .collect();
    let leaderless: Vec<&TopicPartition> = states
        .iter()
        .filter(|(_, state)| **state == LogState::Leaderless)
        .map(|(partition, _)| partition)
        .collect();
    // Nothing is moved by half: a group that begins anew in some partitions only is hard to put right.
    if !leaderless.is_empty() {
        return Err(Failure::Other(format!(
            "cannot move the group '{group}': {} have no leader at present",
            listed(leaderless)
        )));
    }
    if !unknown.is_empty() {
        // What was named now must be there; what was committed once may be gone.
        if !arguments.topic.is_empty() {
            return Err(Failure::Other(format!(
                "cannot move the group '{group}': {} do not exist; 'ringmain topic describe' shows what there is",
                listed(unknown)
            )));
        }
        eprintln!("ringmain: {} do not exist any more and are left out", listed(unknown));
    }
    Ok(states.iter().filter_map(|(partition, state)| Some((partition.clone(), state.range()?))).collect())
}

fn plan(
    client: &mut Client,
    aim: &Aim,
    committed: &BTreeMap<TopicPartition, i64>,
    partitions: BTreeMap<TopicPartition, LogRange>,
) -> Result<Vec<Move>, ClientError> {
    let by_time = match aim {
        Aim::Target(SeekTarget::Time(time)) => {
            client.offsets_at(&partitions.keys().cloned().collect(), *time)?
        }
        _ => BTreeMap::new(),
    };
    let moves = partitions.into_iter().map(|(partition, log)| {
        let before = committed.get(&partition).copied();
        let found = by_time.get(&partition).copied();
        let target = match aim {
            Aim::Target(target) => *target,
            Aim::Saved(offsets) => SeekTarget::Offset(offsets[&partition]),
        };
        plan_one(target, partition, log, before, found)
    });
    Ok(moves.collect())
}

/// Where one partition goes; `found` is the offset that belongs to the time asked for.
fn plan_one(
    target: SeekTarget,
    partition: TopicPartition,
    log: LogRange,
    before: Option<i64>,
    found: Option<i64>,
) -> Move {
    let name = format!("{}-{}", partition.topic, partition.index);
    let wanted = match target {
        SeekTarget::Earliest => Some(log.start),
        SeekTarget::Latest => Some(log.end),
        SeekTarget::Offset(offset) => Some(offset),
        // No record is as late: those to come are.
        SeekTarget::Time(_) => Some(found.filter(|offset| *offset >= 0).unwrap_or(log.end)),
        SeekTarget::Relative(distance) => before.map(|before| before.saturating_add(distance)),
    };
    let Some(wanted) = wanted else {
        let warning =
            format!("{name}: nothing is committed that it could be moved from; it stays without a commit");
        return Move { partition, log, before, after: None, warning: Some(warning) };
    };
    let after = wanted.clamp(log.start, log.end);
    let warning = if wanted < log.start {
        Some(format!(
            "{name}: {wanted} lies before what is still there; it goes to the first record, {after}"
        ))
    } else if wanted > log.end {
        Some(format!("{name}: {wanted} lies past the end; it goes to the end, {after}"))
    } else {
        None
    };
    Move { partition, log, before, after: Some(after), warning }
}

fn commit(
    client: &mut Client,
    group: &str,
    moves: &[Move],
) -> Result<BTreeMap<TopicPartition, ErrorCode>, Failure> {
    let offsets: BTreeMap<TopicPartition, i64> =
        moves.iter().filter_map(|planned| Some((planned.partition.clone(), planned.after?))).collect();
    let errors = client.commit(group, &offsets)?;
    // A coordinator that finds members refuses every partition alike.
    let joined = [
        ErrorCode::UNKNOWN_MEMBER_ID,
        ErrorCode::ILLEGAL_GENERATION,
        ErrorCode::REBALANCE_IN_PROGRESS,
        ErrorCode::STALE_MEMBER_EPOCH,
    ];
    if errors.len() == offsets.len() && errors.values().all(|code| joined.contains(code)) {
        let reason = match client.group(group)? {
            Some(view) if view.is_active() => held_by(&view),
            _ => "a member joined it meanwhile; stop its consumers first".to_owned(),
        };
        return Err(Failure::Other(format!("cannot move the group '{}': {reason}", printable(group))));
    }
    Ok(errors)
}

fn report(
    arguments: &GroupSeekArguments,
    moves: &[Move],
    refused: &BTreeMap<TopicPartition, ErrorCode>,
) -> Result<(), Failure> {
    // What holds once the command has ended.
    let settled = |planned: &Move| match planned.after {
        Some(after) if !refused.contains_key(&planned.partition) => Some(after),
        _ => planned.before,
    };
    let lag = |planned: &Move| settled(planned).map(|offset| (planned.log.end - offset).max(0));
    if arguments.json {
        let partitions = moves.iter().map(|planned| {
            json!({
                "topic": planned.partition.topic,
                "partition": planned.partition.index,
                "before": planned.before,
                "after": settled(planned),
                "start_offset": planned.log.start,
                "end_offset": planned.log.end,
                "lag": lag(planned),
                "warning": planned.warning,
                "error": refused.get(&planned.partition).map(|code| code.name().unwrap_or("unknown")),
            })
        });
        return print_json(&json!({
            "group": arguments.name,
            "dry_run": arguments.dry_run,
            "partitions": partitions.collect::<serde_json::Value>(),
        }));
    }
    let cell = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let rows: Vec<Vec<String>> = moves
        .iter()
        .map(|planned| {
            vec![
                planned.partition.topic.clone(),
                planned.partition.index.to_string(),
                cell(planned.before),
                cell(settled(planned)),
                planned.log.end.to_string(),
                cell(lag(planned)),
            ]
        })
        .collect();
    let mut text = String::new();
    if let Some(SeekTarget::Time(time)) = arguments.to {
        text.push_str(&format!("Records since {}\n\n", time::shown(time)));
    }
    text.push_str(&table(&["TOPIC", "PARTITION", "BEFORE", "AFTER", "END", "LAG"], &rows));
    let total: i64 = moves.iter().filter_map(lag).fold(0, i64::saturating_add);
    let group = printable(&arguments.name);
    let lag = grouped(total.unsigned_abs());
    text.push_str(&if arguments.dry_run {
        format!("\nNothing was changed (--dry-run). The group '{group}' would be {lag} behind in these partitions.\n")
    } else {
        format!("\nThe group '{group}' is {lag} behind in these partitions.\n")
    });
    print(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(target: SeekTarget, before: Option<i64>, found: Option<i64>) -> (Option<i64>, bool) {
        let partition = TopicPartition { topic: "orders".into(), index: 0 };
        let planned = plan_one(target, partition, LogRange { start: 10, end: 30 }, before, found);
        (planned.after, planned.warning.is_some())
    }

    #[test]
    fn a_group_goes_where_it_is_told_within_the_log() {
        assert_eq!(planned(SeekTarget::Earliest, None, None), (Some(10), false));
        assert_eq!(planned(SeekTarget::Latest, Some(12), None), (Some(30), false));
        for (offset, after, is_warned) in [(9, 10, true), (10, 10, false), (30, 30, false), (31, 30, true)] {
            assert_eq!(planned(SeekTarget::Offset(offset), None, None), (Some(after), is_warned));
        }
        assert_eq!(planned(SeekTarget::Relative(-5), Some(20), None), (Some(15), false));
        assert_eq!(planned(SeekTarget::Relative(-15), Some(20), None), (Some(10), true));
        assert_eq!(planned(SeekTarget::Relative(i64::MAX), Some(20), None), (Some(30), true));
        assert_eq!(planned(SeekTarget::Relative(5), None, None), (None, true));
        assert_eq!(planned(SeekTarget::Time(1), None, Some(17)), (Some(17), false));
        assert_eq!(planned(SeekTarget::Time(1), Some(12), Some(-1)), (Some(30), false));
    }
}
