//! What coordinators are asked about groups, in words that do not depend on the version spoken.

use std::collections::{BTreeMap, BTreeSet};

use ringmain_protocol::ErrorCode;
use ringmain_protocol::Versioned;
use ringmain_protocol::consumer_protocol::{
    CONSUMER_PROTOCOL_TYPE, ConsumerProtocolAssignment, ConsumerProtocolSubscription,
};
use ringmain_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup,
    DescribedGroupMember, ListGroupsRequest, ListGroupsResponse, OffsetCommitRequest,
    OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse, OffsetDeleteRequest,
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic, OffsetDeleteResponse, OffsetFetchRequest,
    OffsetFetchRequestGroup, OffsetFetchResponse, Response,
};

use super::{Client, ClientError, Connection, TopicPartition, decoded, printable};

/// The state of a group that does not exist, for coordinators that have no error for it.
const DEAD: &str = "Dead";

/// From this version on offsets of several groups can be fetched, so a group has another place.
const SEVERAL_GROUPS_FROM_VERSION: i16 = 8;

/// Groups in one request: bounds the answer, which carries every member with what it subscribes to.
pub(crate) const DESCRIBED_AT_ONCE: usize = 100;

/// A group as a broker lists it.
#[derive(Debug, Clone)]
pub(crate) struct ListedGroupView {
    pub(crate) name: String,
    pub(crate) protocol_type: String,
    /// `None` from a broker that does not tell.
    pub(crate) state: Option<String>,
    /// Of Kafka from 3.8 on: "classic", "consumer", "share", "streams".
    pub(crate) kind: Option<String>,
    /// The node that listed it, which is its coordinator.
    pub(crate) coordinator: i32,
}

/// A group as its coordinator describes it.
#[derive(Debug, Clone)]
pub(crate) struct GroupView {
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) protocol_type: String,
    /// The assignor that the members agreed on; empty while they have not.
    pub(crate) protocol: String,
    /// `None` where the group speaks a protocol whose members cannot be asked for here.
    pub(crate) members: Option<Vec<MemberView>>,
}

/// A member of a group.
#[derive(Debug, Clone)]
pub(crate) struct MemberView {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) host: String,
    /// Topics it wants to read; empty where it does not say so in the consumer protocol.
    pub(crate) topics: BTreeSet<String>,
    /// What it was given.
    pub(crate) assigned: BTreeSet<TopicPartition>,
}

impl GroupView {
    /// Whether somebody may be reading for it.
    pub(crate) fn is_active(&self) -> bool {
        self.state != "Empty" && self.state != DEAD
    }
}

/// An error for each partition that was not done.
pub(crate) type PartitionErrors = BTreeMap<TopicPartition, ErrorCode>;

impl Client {
    /// The groups of all nodes, by name.
    pub(crate) fn groups(&mut self) -> Result<Vec<ListedGroupView>, ClientError> {
        self.metadata(Some(&[]))?;
        let node_ids: Vec<i32> = self.nodes.keys().copied().collect();
        let mut groups = Vec::new();
        for node_id in node_ids {
            groups.extend(self.groups_of(node_id)?);
        }
        groups.sort_by(|one, other| one.name.cmp(&other.name));
        // A group that moves between two answers is in both.
        groups.dedup_by(|one, other| one.name == other.name);
        for group in &groups {
            self.learn_coordinator(&group.name, group.coordinator);
        }
        Ok(groups)
    }

    fn groups_of(&mut self, node_id: i32) -> Result<Vec<ListedGroupView>, ClientError> {
        self.retry(|client| list_once(client.node(node_id)?, node_id))
    }

    /// A group, or `None` if it does not exist.
    pub(crate) fn group(&mut self, name: &str) -> Result<Option<GroupView>, ClientError> {
        let described = self.with_coordinator(name, |connection| describe_once(connection, name))?;
        if described.is_some() {
            return Ok(described);
        }
        // A coordinator describes groups of the classic protocol by this request, and lists the others too.
        let node_id = self.coordinator(name)?.node_id;
        let listed = self.groups_of(node_id)?.into_iter().find(|group| group.name == name);
        Ok(listed.filter(|group| group.state.as_deref() != Some(DEAD)).map(|group| GroupView {
            name: group.name,
            state: group.state.unwrap_or_default(),
            protocol_type: group.kind.unwrap_or(group.protocol_type),
            protocol: String::new(),
            members: None,
        }))
    }

    /// Groups of the list as their coordinators describe them, and why the others are missing: one that has moved or is
    /// loading does not hide the rest.
    pub(crate) fn describe_groups(
        &mut self,
        listed: &[ListedGroupView],
    ) -> Result<(BTreeMap<String, GroupView>, Vec<ClientError>), ClientError> {
        let mut by_node: BTreeMap<i32, Vec<&str>> = BTreeMap::new();
        for group in listed {
            by_node.entry(group.coordinator).or_default().push(&group.name);
        }
        let (mut described, mut refusals) = (BTreeMap::new(), Vec::new());
        for (node_id, names) in by_node {
            for names in names.chunks(DESCRIBED_AT_ONCE) {
                for outcome in self.retry(|client| describe_several(client.node(node_id)?, names))? {
                    match outcome {
                        // Gone since it was listed.
                        Ok(None) => {}
                        Ok(Some(group)) => drop(described.insert(group.name.clone(), group)),
                        Err(refusal) => refusals.push(refusal),
                    }
                }
            }
        }
        Ok((described, refusals))
    }

    /// Everything that a group has committed.
    pub(crate) fn committed(&mut self, group: &str) -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
        self.with_coordinator(group, |connection| committed_once(connection, group))
    }

    /// Sets offsets of a group that has no members.
    pub(crate) fn commit(
        &mut self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, i64>,
    ) -> Result<PartitionErrors, ClientError> {
        let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition<'_>>> = BTreeMap::new();
        for (partition, offset) in offsets {
            topics.entry(&partition.topic).or_default().push(OffsetCommitRequestPartition {
                partition_index: partition.index,
                committed_offset: *offset,
                ..Default::default()
            });
        }
        let topics = topics
            .into_iter()
            .map(|(name, partitions)| OffsetCommitRequestTopic { name, partitions })
            .collect();
        // No member: generation -1 and no member id are the defaults.
        let request = OffsetCommitRequest { group_id: group, topics, ..Default::default() };
        self.with_coordinator(group, |connection| {
            let answer = connection.call(&request)?;
            let response: OffsetCommitResponse<'_> = decoded(&answer)?;
            let outcomes = response.topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(|partition| {
                    let index = partition.partition_index;
                    (TopicPartition { topic: topic.name.to_string(), index }, partition.error_code)
                })
            });
            settled(outcomes, || format!("set offsets of the group '{}'", printable(group)))
        })
    }

    /// Deletes a group; the coordinator's answer.
    pub(crate) fn delete_group(&mut self, group: &str) -> Result<ErrorCode, ClientError> {
        let request = DeleteGroupsRequest { groups_names: vec![group] };
        self.with_coordinator(group, |connection| {
            let answer = connection.call(&request)?;
            let response: DeleteGroupsResponse<'_> = decoded(&answer)?;
            let code =
                response.results.first().map_or(ErrorCode::UNKNOWN_SERVER_ERROR, |result| result.error_code);
            unless_retriable(code, || format!("delete the group '{}'", printable(group)))
        })
    }

    /// Deletes offsets of a group; the coordinator's answer for all, and for each partition that stays.
    pub(crate) fn delete_offsets(
        &mut self,
        group: &str,
        partitions: &BTreeSet<TopicPartition>,
    ) -> Result<(ErrorCode, PartitionErrors), ClientError> {
        let mut topics: BTreeMap<&str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
        for partition in partitions {
            let wanted = OffsetDeleteRequestPartition { partition_index: partition.index };
            topics.entry(&partition.topic).or_default().push(wanted);
        }
        let topics = topics
            .into_iter()
            .map(|(name, partitions)| OffsetDeleteRequestTopic { name, partitions })
            .collect();
        let request = OffsetDeleteRequest { group_id: group, topics };
        let action = || format!("delete offsets of the group '{}'", printable(group));
        self.with_coordinator(group, |connection| {
            let answer = connection.call(&request)?;
            let response: OffsetDeleteResponse<'_> = decoded(&answer)?;
            let code = unless_retriable(response.error_code, action)?;
            let outcomes = response.topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(|partition| {
                    let index = partition.partition_index;
                    (TopicPartition { topic: topic.name.to_string(), index }, partition.error_code)
                })
            });
            Ok((code, settled(outcomes, action)?))
        })
    }
}

/// Passes a code on that stays, and makes an error of one that goes away by trying again.
fn unless_retriable(code: ErrorCode, action: impl Fn() -> String) -> Result<ErrorCode, ClientError> {
    let error = ClientError::refused(code, None, action());
    if code.is_error() && error.is_retriable(true) { Err(error) } else { Ok(code) }
}

/// The errors that stay; one that goes away by trying again is an error of the whole.
fn settled(
    outcomes: impl Iterator<Item = (TopicPartition, ErrorCode)>,
    action: impl Fn() -> String,
) -> Result<PartitionErrors, ClientError> {
    let mut errors = PartitionErrors::new();
    for (partition, code) in outcomes {
        if unless_retriable(code, &action)?.is_error() {
            errors.insert(partition, code);
        }
    }
    Ok(errors)
}

/// The groups that a node coordinates.
pub(crate) fn list_once(
    connection: &mut Connection,
    node_id: i32,
) -> Result<Vec<ListedGroupView>, ClientError> {
    // All states are asked for: what an older broker cannot filter would have to be filtered here anyway.
    let answer = connection.call(&ListGroupsRequest::default())?;
    let response: ListGroupsResponse<'_> = decoded(&answer)?;
    if response.error_code != ErrorCode::NONE {
        let action = format!("list the groups of node {node_id}");
        return Err(ClientError::refused(response.error_code, None, action));
    }
    let told = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let listed = response.groups.iter().map(|group| ListedGroupView {
        name: group.group_id.to_string(),
        protocol_type: group.protocol_type.to_string(),
        state: told(&group.group_state),
        kind: told(&group.group_type),
        coordinator: node_id,
    });
    Ok(listed.collect())
}

fn describe_once(connection: &mut Connection, name: &str) -> Result<Option<GroupView>, ClientError> {
    let request = DescribeGroupsRequest { groups: vec![name], ..Default::default() };
    let answer = connection.call(&request)?;
    let response: DescribeGroupsResponse<'_> = decoded(&answer)?;
    response.groups.first().map_or(Ok(None), group_view)
}

/// What the node says of each group in `names`.
pub(crate) fn describe_several(
    connection: &mut Connection,
    names: &[&str],
) -> Result<Vec<Result<Option<GroupView>, ClientError>>, ClientError> {
    let request = DescribeGroupsRequest { groups: names.to_vec(), ..Default::default() };
    let answer = connection.call(&request)?;
    let response: DescribeGroupsResponse<'_> = decoded(&answer)?;
    Ok(response.groups.iter().map(group_view).collect())
}

fn group_view(group: &DescribedGroup<'_>) -> Result<Option<GroupView>, ClientError> {
    match group.error_code {
        ErrorCode::NONE if group.group_state == DEAD => return Ok(None),
        ErrorCode::GROUP_ID_NOT_FOUND => return Ok(None),
        ErrorCode::NONE => {}
        code => {
            let action = format!("describe the group '{}'", printable(&group.group_id));
            return Err(ClientError::refused(code, group.error_message.as_deref(), action));
        }
    }
    let is_consumer = group.protocol_type == CONSUMER_PROTOCOL_TYPE;
    let mut members: Vec<MemberView> =
        group.members.iter().map(|member| member_view(member, is_consumer)).collect();
    members.sort_by(|one, other| one.member_id.cmp(&other.member_id));
    Ok(Some(GroupView {
        name: group.group_id.to_string(),
        state: group.group_state.to_string(),
        protocol_type: group.protocol_type.to_string(),
        protocol: group.protocol_data.to_string(),
        members: Some(members),
    }))
}

/// What members say among themselves is theirs: bytes that are not the consumer protocol are shown as nothing said.
fn member_view(member: &DescribedGroupMember<'_>, is_consumer: bool) -> MemberView {
    let mut topics = BTreeSet::new();
    let mut assigned = BTreeSet::new();
    if is_consumer {
        if let Ok((_, subscription)) = ConsumerProtocolSubscription::read(member.member_metadata) {
            topics.extend(subscription.topics.iter().map(|topic| topic.to_string()));
        }
        if let Ok((_, assignment)) = ConsumerProtocolAssignment::read(member.member_assignment) {
            for topic in &assignment.assigned_partitions {
                assigned.extend(
                    topic
                        .partitions
                        .iter()
                        .map(|index| TopicPartition { topic: topic.topic.to_string(), index: *index }),
                );
            }
        }
    }
    MemberView {
        member_id: member.member_id.to_string(),
        instance_id: member.group_instance_id.as_deref().map(str::to_owned),
        client_id: member.client_id.to_string(),
        // As brokers print it, an address follows a slash that would follow its name.
        host: member.client_host.trim_start_matches('/').to_owned(),
        topics,
        assigned,
    }
}

/// Everything that a group has committed, as its coordinator says.
pub(crate) fn committed_once(
    connection: &mut Connection,
    group: &str,
) -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
    let mut request = OffsetFetchRequest::default();
    if connection.version(OffsetFetchResponse::API_KEY)? >= SEVERAL_GROUPS_FROM_VERSION {
        request.groups = vec![OffsetFetchRequestGroup { group_id: group, topics: None }];
    } else {
        request.group_id = group;
        request.topics = None;
    }
    let answer = connection.call(&request)?;
    let response: OffsetFetchResponse<'_> = decoded(&answer)?;
    let (code, topics) = match response.groups.first() {
        Some(found) => (found.error_code, &found.topics),
        None => (response.error_code, &response.topics),
    };
    let refused = |code| {
        ClientError::refused(code, None, format!("fetch the offsets of the group '{}'", printable(group)))
    };
    if code == ErrorCode::GROUP_ID_NOT_FOUND {
        return Ok(BTreeMap::new());
    }
    if code != ErrorCode::NONE {
        return Err(refused(code));
    }
    let mut committed = BTreeMap::new();
    for topic in topics {
        for partition in &topic.partitions {
            if partition.error_code != ErrorCode::NONE {
                return Err(refused(partition.error_code));
            }
            if partition.committed_offset >= 0 {
                let key = TopicPartition { topic: topic.name.to_string(), index: partition.partition_index };
                committed.insert(key, partition.committed_offset);
            }
        }
    }
    Ok(committed)
}
