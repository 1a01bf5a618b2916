//! `group describe`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::progress::{self, PartitionProgress, total_lag};
use super::{client, listed};
use crate::cli::arguments::GroupDescribeArguments;
use crate::cli::failure::Failure;
use crate::cli::output::{grouped, printable, table};
use crate::cli::watch::{Look, Shown, watch};
use crate::client::{Client, ClientError, CoordinatorView, GroupView, MemberView, TopicPartition};

/// Shows everything about groups.
pub(super) fn describe(arguments: &GroupDescribeArguments) -> Result<(), Failure> {
    let mut client = client(&arguments.cluster)?;
    watch(arguments.watch, || look(&mut client, arguments))
}

/// A group that is missing does not hide the others: it is told after them.
fn look(client: &mut Client, arguments: &GroupDescribeArguments) -> Result<Look, Failure> {
    let mut failure = None;
    let mut found = Vec::new();
    for name in &arguments.names {
        match described(client, name) {
            Ok(group) => found.push(group),
            Err(error) if !error.is_of_connection() => failure = failure.or(Some(error.into())),
            Err(error) => return Err(error.into()),
        }
    }
    let shown = if arguments.json {
        Shown::Json(found.iter().map(Described::as_json).collect())
    } else {
        let texts: Vec<String> = found.iter().map(|group| group.as_text(arguments.members)).collect();
        Shown::Text(texts.join("\n"))
    };
    Ok(Look { shown, failure })
}

/// A group with its progress.
struct Described {
    group: GroupView,
    coordinator: CoordinatorView,
    partitions: Vec<PartitionProgress>,
}

fn described(client: &mut Client, name: &str) -> Result<Described, ClientError> {
    let Some(group) = client.group(name)? else { return Err(ClientError::unknown_group(name, "describe")) };
    let coordinator = client.coordinator(name)?;
    let committed = client.committed(name)?;
    let mut partitions: BTreeSet<TopicPartition> = committed.keys().cloned().collect();
    let members = group.members.as_deref().unwrap_or_default();
    partitions.extend(members.iter().flat_map(|member| member.assigned.iter().cloned()));
    let subscribed: BTreeSet<&str> =
        members.iter().flat_map(|member| member.topics.iter().map(String::as_str)).collect();
    let subscribed: Vec<&str> = subscribed.into_iter().collect();
    for topic in client.metadata(Some(&subscribed))?.topics {
        let indexes = topic.partitions.iter().map(|partition| partition.index);
        partitions.extend(indexes.map(|index| TopicPartition { topic: topic.name.clone(), index }));
    }
    let logs = client.log_states(&partitions)?;
    Ok(Described { group, coordinator, partitions: progress::of(&committed, logs) })
}

impl Described {
    fn members(&self) -> &[MemberView] {
        self.group.members.as_deref().unwrap_or_default()
    }

    /// Who reads each partition.
    fn readers(&self) -> BTreeMap<&TopicPartition, &MemberView> {
        let members = self.members().iter();
        members.flat_map(|member| member.assigned.iter().map(move |partition| (partition, member))).collect()
    }

    fn as_json(&self) -> Value {
        let readers = self.readers();
        let members = self.members().iter().map(|member| {
            let partitions = member
                .assigned
                .iter()
                .map(|TopicPartition { topic, index }| json!({ "topic": topic, "partition": index }));
            json!({
                "member_id": member.member_id,
                "instance_id": member.instance_id,
                "client_id": member.client_id,
                "host": member.host,
                "topics": member.topics,
                "partitions": partitions.collect::<Value>(),
            })
        });
        let partitions = self.partitions.iter().map(|progress| {
            let range = progress.log.range();
            json!({
                "topic": progress.partition.topic,
                "partition": progress.partition.index,
                "committed": progress.committed,
                "start_offset": range.map(|range| range.start),
                "end_offset": range.map(|range| range.end),
                "lag": progress.lag(),
                "member_id": readers.get(&progress.partition).map(|member| &member.member_id),
            })
        });
        json!({
            "group": self.group.name,
            "state": self.group.state,
            "protocol_type": self.group.protocol_type,
            "protocol": self.group.protocol,
            "coordinator": {
                "node": self.coordinator.node_id,
                "address": self.coordinator.address.to_string(),
            },
            "lag": total_lag(&self.partitions),
            "members": self.group.members.as_ref().map(|_| members.collect::<Value>()),
            "partitions": partitions.collect::<Value>(),
            "notes": self.notes(),
        })
    }

    fn notes(&self) -> Vec<String> {
        self.partitions.iter().filter_map(PartitionProgress::note).collect()
    }

    fn as_text(&self, with_members: bool) -> String {
        let GroupView { name, state, protocol_type, protocol, members } = &self.group;
        let protocols: Vec<&str> = [protocol_type, protocol]
            .into_iter()
            .map(String::as_str)
            .filter(|text| !text.is_empty())
            .collect();
        let protocols = if protocols.is_empty() {
            "none: it only commits".to_owned()
        } else {
            printable(&protocols.join(", "))
        };
        let idle = self.members().iter().filter(|member| member.assigned.is_empty()).count();
        let members = match members {
            None => "not known: they speak a protocol that cannot be asked about here".to_owned(),
            Some(members) if idle > 0 => format!("{}, {idle} of them without a partition", members.len()),
            Some(members) => members.len().to_string(),
        };
        let lag = match total_lag(&self.partitions) {
            Some(lag) => grouped(lag.unsigned_abs()),
            None => "-, nothing is committed".to_owned(),
        };
        let mut text = format!(
            "Group {}\n  state        {state}\n  protocol     {protocols}\n  coordinator  {} ({})\n  members      \
             {members}\n  lag          {lag}\n",
            printable(name),
            self.coordinator.node_id,
            self.coordinator.address,
        );
        for note in self.notes() {
            text.push_str(&format!("  note: {note}\n"));
        }
        if with_members && !self.members().is_empty() {
            text.push('\n');
            text.push_str(&self.members_table());
        }
        if !self.partitions.is_empty() {
            text.push('\n');
            text.push_str(&self.partitions_table());
        }
        text
    }

    fn members_table(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .members()
            .iter()
            .map(|member| {
                let partitions = listed(&member.assigned);
                vec![
                    printable(&member.member_id),
                    member.instance_id.as_deref().map_or_else(|| "-".to_owned(), printable),
                    printable(&member.client_id),
                    member.host.clone(),
                    if partitions.is_empty() { "-".to_owned() } else { partitions },
                ]
            })
            .collect();
        table(&["MEMBER", "INSTANCE", "CLIENT", "HOST", "PARTITIONS"], &rows)
    }

    fn partitions_table(&self) -> String {
        let readers = self.readers();
        let cell = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let rows: Vec<Vec<String>> = self
            .partitions
            .iter()
            .map(|progress| {
                let reader = readers.get(&progress.partition);
                let name =
                    |member: &MemberView| printable(member.instance_id.as_ref().unwrap_or(&member.member_id));
                vec![
                    progress.partition.topic.clone(),
                    progress.partition.index.to_string(),
                    cell(progress.committed),
                    cell(progress.log.range().map(|range| range.end)),
                    cell(progress.lag()),
                    reader.map_or_else(|| "-".to_owned(), |member| name(member)),
                    reader.map_or_else(|| "-".to_owned(), |member| member.host.clone()),
                ]
            })
            .collect();
        table(&["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER", "HOST"], &rows)
    }
}
