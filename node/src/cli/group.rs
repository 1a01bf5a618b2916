//! The `group` commands: who reads for a group, how far behind it is, and moving it while nobody does.
//!
//! An ordinary client of any broker that speaks the protocol. Everything about one group is asked of its coordinator,
//! everything about logs of their leaders; the answers are of slightly different moments.

mod delete;
mod describe;
mod list;
mod progress;
mod saved;
mod seek;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::arguments::{ClusterArguments, GroupCommand, TopicPartitions};
use super::failure::Failure;
use super::output::printable;
use crate::client::{Client, ClientError, GroupView, TopicPartition};

/// Members that an error names; more would hide what it says.
const MEMBERS_NAMED_MAX: usize = 5;

/// Does what a `group` command says.
pub(super) fn run(command: GroupCommand) -> Result<(), Failure> {
    match command {
        GroupCommand::List(arguments) => list::list(&arguments),
        GroupCommand::Describe(arguments) => describe::describe(&arguments),
        GroupCommand::Seek(arguments) => seek::seek(&arguments),
        GroupCommand::Delete(arguments) => delete::delete(&arguments),
    }
}

fn client(arguments: &ClusterArguments) -> Result<Client, ClientError> {
    Client::new(&arguments.brokers, Duration::from_secs(arguments.timeout))
}

/// Who keeps a group from being changed, and what to do about it.
fn held_by(group: &GroupView) -> String {
    let Some(members) = &group.members else {
        return format!("it is {}; stop its consumers first", group.state);
    };
    let mut named: Vec<String> = members
        .iter()
        .take(MEMBERS_NAMED_MAX)
        .map(|member| {
            let id = member.instance_id.as_ref().unwrap_or(&member.member_id);
            format!("{} of client '{}' on {}", printable(id), printable(&member.client_id), member.host)
        })
        .collect();
    if members.len() > named.len() {
        named.push(format!("{} more", members.len() - named.len()));
    }
    let (count, what) = match members.len() {
        0 => return format!("it is {} and about to have members; stop its consumers first", group.state),
        1 => ("a member".to_owned(), "it"),
        several => (format!("{several} members"), "them"),
    };
    let mut text = format!("it has {count} ({}); stop {what} first", named.join(", "));
    if members.iter().any(|member| member.instance_id.is_some()) {
        // It does not say so when it stops, so that it can come back to the same partitions.
        text.push_str(". A member with an instance id stays until session.timeout.ms after its end");
    }
    text
}

/// Partitions as texts name them: `orders:0,1 returns:2`.
fn listed<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> String {
    let mut topics: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.index.to_string());
    }
    let texts = topics.into_iter().map(|(topic, indexes)| format!("{topic}:{}", indexes.join(",")));
    texts.collect::<Vec<_>>().join(" ")
}

/// The partitions that `--topic` names; those of a topic without a list come from `all`.
fn selected<'a>(
    topics: &[TopicPartitions],
    mut all: impl FnMut(&str) -> Result<Vec<i32>, Failure> + 'a,
) -> Result<BTreeSet<TopicPartition>, Failure> {
    let mut partitions = BTreeSet::new();
    for TopicPartitions { topic, partitions: indexes } in topics {
        let indexes = match indexes {
            Some(indexes) => indexes.clone(),
            None => all(topic)?,
        };
        partitions.extend(indexes.into_iter().map(|index| TopicPartition { topic: topic.clone(), index }));
    }
    Ok(partitions)
}
