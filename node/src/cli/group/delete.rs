//! `group delete`: whole groups, or some of their offsets.

use std::collections::BTreeSet;

use ringmain_protocol::ErrorCode;

use super::{client, held_by, listed, selected};
use crate::cli::arguments::GroupDeleteArguments;
use crate::cli::failure::Failure;
use crate::cli::output::{print, printable};
use crate::client::{Client, ClientError, TopicPartition};

/// Deletes groups, or offsets of them. One that cannot be deleted does not keep the others.
pub(super) fn delete(arguments: &GroupDeleteArguments) -> Result<(), Failure> {
    let mut client = client(&arguments.cluster)?;
    let mut failure = None;
    for name in &arguments.names {
        let done = if arguments.topic.is_empty() {
            delete_group(&mut client, name, arguments.if_exists)
        } else {
            delete_offsets(&mut client, name, arguments)
        };
        match done {
            Ok(text) => print(&text)?,
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(()), Err)
}

fn delete_group(client: &mut Client, name: &str, if_exists: bool) -> Result<String, Failure> {
    let shown = printable(name);
    match client.delete_group(name)? {
        ErrorCode::NONE => Ok(format!("Deleted the group '{shown}'.\n")),
        ErrorCode::GROUP_ID_NOT_FOUND if if_exists => Ok(format!("The group '{shown}' does not exist.\n")),
        ErrorCode::GROUP_ID_NOT_FOUND => Err(ClientError::unknown_group(name, "delete").into()),
        ErrorCode::NON_EMPTY_GROUP => Err(not_empty(client, name, "delete the group")?),
        code => Err(ClientError::refused(code, None, format!("delete the group '{shown}'")).into()),
    }
}

fn delete_offsets(
    client: &mut Client,
    name: &str,
    arguments: &GroupDeleteArguments,
) -> Result<String, Failure> {
    let shown = printable(name);
    let committed: BTreeSet<TopicPartition> = client.committed(name)?.into_keys().collect();
    if committed.is_empty() && client.group(name)?.is_none() {
        if arguments.if_exists {
            return Ok(format!("The group '{shown}' does not exist.\n"));
        }
        return Err(ClientError::unknown_group(name, "delete offsets of").into());
    }
    let of_topic = |topic: &str| {
        let indexes = committed.iter().filter(|partition| partition.topic == topic);
        Ok(indexes.map(|partition| partition.index).collect())
    };
    let wanted = selected(&arguments.topic, of_topic)?;
    let partitions: BTreeSet<TopicPartition> = wanted.intersection(&committed).cloned().collect();
    if partitions.is_empty() {
        let text = format!("group '{shown}' has committed nothing there");
        return if arguments.if_exists {
            Ok(format!("The {text}.\n"))
        } else {
            Err(Failure::Other(format!("the {text}")))
        };
    }
    let (code, errors) = client.delete_offsets(name, &partitions)?;
    match code {
        ErrorCode::NONE => {}
        ErrorCode::GROUP_ID_NOT_FOUND => {
            return Err(ClientError::unknown_group(name, "delete offsets of").into());
        }
        ErrorCode::NON_EMPTY_GROUP => return Err(not_empty(client, name, "delete offsets of the group")?),
        code => {
            let action = format!("delete offsets of the group '{shown}'");
            return Err(ClientError::refused(code, None, action).into());
        }
    }
    if let Some((_, code)) = errors.first_key_value() {
        let kept = listed(errors.keys());
        if *code == ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC {
            return Err(Failure::Other(format!(
                "cannot delete the offsets of {kept} of the group '{shown}': its members are subscribed to it; stop \
                 them first ('ringmain group describe {shown} --members' shows who they are)"
            )));
        }
        let action = format!("delete the offsets of {kept} of the group '{shown}'");
        return Err(ClientError::refused(*code, None, action).into());
    }
    Ok(format!("Deleted {} offset(s) of the group '{shown}': {}.\n", partitions.len(), listed(&partitions)))
}

fn not_empty(client: &mut Client, name: &str, action: &str) -> Result<Failure, ClientError> {
    let reason = match client.group(name)? {
        Some(view) => held_by(&view),
        None => "it had members a moment ago; try again".to_owned(),
    };
    Ok(Failure::Other(format!("cannot {action} '{}': {reason}", printable(name))))
}
