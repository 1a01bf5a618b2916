//! Effects and reads as lines of a trace.

use alloc::collections::BTreeMap;

use bytes::Bytes;
use ringmain_protocol::coordinator_records::{CoordinatorKey, GroupMetadataValue, OffsetCommitValue};
use ringmain_protocol::{ErrorCode, Versioned};

use crate::{Answer, Coordinator, JoinAnswer, JoinedMember, Record, RequestToken, SyncAnswer};

pub(super) fn error(code: ErrorCode) -> &'static str {
    code.name().expect("errors have names")
}

/// Bytes that are text in these stories; a consumer's metadata shows its topics.
fn text(bytes: &Bytes) -> String {
    match crate::records::subscribed_topics(bytes) {
        Some(topics) => format!("[{}]", topics.join("+")),
        None => String::from_utf8_lossy(bytes).into_owned(),
    }
}

pub(super) fn answer(
    labels: &BTreeMap<RequestToken, String>,
    request: RequestToken,
    answer: &Answer,
) -> String {
    let label = &labels[&request];
    let text = match answer {
        Answer::Join(answer) => join(answer),
        Answer::Sync(answer) => sync(answer),
        Answer::Heartbeat(code) => format!("heartbeat {}", error(*code)),
        Answer::Leave(answer) => {
            let members = answer.members.iter().map(|left| {
                let instance = left.instance_id.as_ref().map(|id| format!("/{id}")).unwrap_or_default();
                format!(" {}{instance}={}", left.member_id, error(left.error))
            });
            format!("leave {}{}", error(answer.error), members.collect::<String>())
        }
        Answer::CommitOffsets(answer) => format!("commit {}", errors(&answer.partitions)),
        Answer::DeleteGroup(code) => format!("delete {}", error(*code)),
        Answer::DeleteOffsets(answer) => {
            format!("delete-offsets {} [{}]", error(answer.error), errors(&answer.partitions))
        }
    };
    format!("{label}: {text}")
}

fn errors(codes: &[ErrorCode]) -> String {
    codes.iter().map(|code| error(*code)).collect::<Vec<_>>().join(" ")
}

fn join(answer: &JoinAnswer) -> String {
    let mut text = format!("join {} me={}", error(answer.error), answer.member_id);
    if answer.generation != -1 {
        let name = answer.protocol_name.as_deref().unwrap_or("-");
        text.push_str(&format!(" generation={} protocol={name} leader={}", answer.generation, answer.leader));
    }
    if answer.skip_assignment {
        text.push_str(" skip");
    }
    if !answer.members.is_empty() {
        let member = |member: &JoinedMember| {
            let instance = member.instance_id.as_ref().map(|id| format!("/{id}")).unwrap_or_default();
            format!("{}{instance}:{}", member.member_id, text_of(&member.metadata))
        };
        let members: Vec<String> = answer.members.iter().map(member).collect();
        text.push_str(&format!(" members={}", members.join(",")));
    }
    text
}

fn text_of(bytes: &Bytes) -> String {
    text(bytes)
}

fn sync(answer: &SyncAnswer) -> String {
    if answer.error != ErrorCode::NONE {
        return format!("sync {}", error(answer.error));
    }
    let kind = answer.protocol_type.as_deref().unwrap_or("-");
    let name = answer.protocol_name.as_deref().unwrap_or("-");
    format!("sync NONE {kind}/{name} assignment={}", String::from_utf8_lossy(&answer.assignment))
}

pub(super) fn record(record: &Record) -> String {
    let key = CoordinatorKey::read(&record.key).expect("a key");
    match (key, &record.value) {
        (CoordinatorKey::Offset(key), Some(value)) => {
            let (version, value) = OffsetCommitValue::read(value).expect("a value");
            let mut text = format!("offset {} {}-{}={}", key.group, key.topic, key.partition, value.offset);
            if value.leader_epoch >= 0 {
                text.push_str(&format!(" epoch={}", value.leader_epoch));
            }
            if !value.metadata.is_empty() {
                text.push_str(&format!(" {:?}", value.metadata));
            }
            if value.expire_timestamp >= 0 {
                text.push_str(&format!(" expires={} v{version}", value.expire_timestamp));
            }
            text
        }
        (CoordinatorKey::Offset(key), None) => {
            format!("tombstone of offset {} {}-{}", key.group, key.topic, key.partition)
        }
        (CoordinatorKey::Group(key), Some(value)) => {
            let (_, value) = GroupMetadataValue::read(value).expect("a value");
            let members = value.members.iter().map(|member| {
                let instance = member.group_instance_id.map(|id| format!("/{id}")).unwrap_or_default();
                format!(" {}{instance}={}", member.member_id, String::from_utf8_lossy(member.assignment))
            });
            let protocol = value.protocol.unwrap_or("-");
            let leader = value.leader.unwrap_or("-");
            let members: String = members.collect();
            format!(
                "group {} generation={} protocol={protocol} leader={leader}{members}",
                key.group, value.generation
            )
        }
        (CoordinatorKey::Group(key), None) => format!("tombstone of group {}", key.group),
        (CoordinatorKey::Other(version), _) => panic!("a record of kind {version} is never written"),
    }
}

/// A group as DescribeGroups would show it.
pub(super) fn description(coordinator: &Coordinator, name: &str) -> Vec<String> {
    let Some(group) = coordinator.describe(name) else {
        return vec!["no such group".to_owned()];
    };
    let (state, protocol) = (group.state.name(), &group.protocol_name);
    let mut lines =
        vec![format!("{state} generation={} {}/{protocol}", group.generation, group.protocol_type)];
    for member in &group.members {
        let instance = member.instance_id.as_ref().map(|id| format!("/{id}")).unwrap_or_default();
        let assignment = String::from_utf8_lossy(&member.assignment).into_owned();
        let (id, client, host) = (&member.member_id, &member.client_id, &member.client_host);
        lines.push(format!("{id}{instance} of {client}{host} {} -> {assignment}", text(&member.metadata)));
    }
    lines
}

pub(super) fn offsets(coordinator: &Coordinator, name: &str) -> Vec<String> {
    let offsets = coordinator.committed_offsets(name);
    let line = |(topic, partition, offset): (&str, i32, &crate::CommittedOffset)| {
        let metadata =
            if offset.metadata.is_empty() { String::new() } else { format!(" {:?}", offset.metadata) };
        format!("{topic}-{partition}={}{metadata}", offset.offset)
    };
    offsets.map(line).collect()
}
