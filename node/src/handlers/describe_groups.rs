//! DescribeGroups: state and members of groups; each is asked on the shard that runs it.

use std::rc::Rc;

use ringmain_group::{GroupDescription, GroupState, MemberDescription};
use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{
        DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup as WireGroup, DescribedGroupMember,
    },
};

use super::RequestInfo;
use crate::shard::Shard;

/// The first version with an error for a group that does not exist (KIP-1043).
const NOT_FOUND_FROM_VERSION: i16 = 6;
/// Operations on a group that a client without restrictions may do, as bits of Kafka's `AclOperation` codes: read 3,
/// delete 6, describe 8.
const GROUP_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8;

/// What was learned of one group.
pub(super) struct DescribedGroup {
    group: String,
    found: Result<Option<GroupDescription>, ErrorCode>,
}

pub(super) async fn answer(shard: &Rc<Shard>, request: &DescribeGroupsRequest<'_>) -> Vec<DescribedGroup> {
    let mut described = Vec::with_capacity(request.groups.len());
    for group in &request.groups {
        let (owner, name) = (shard.group_owner(group), (*group).to_owned());
        let on_owner = |shard: Rc<Shard>| async move {
            let found =
                shard.coordinator(&name).and_then(|coordinator| coordinator.read(|it| it.describe(&name)));
            DescribedGroup { group: name, found }
        };
        described.push(shard.run_on(owner, on_owner).await);
    }
    described
}

pub(super) fn response<'a>(
    info: RequestInfo,
    request: &DescribeGroupsRequest<'_>,
    described: &'a [DescribedGroup],
) -> DescribeGroupsResponse<'a> {
    let operations = request.include_authorized_operations;
    let groups = described.iter().map(|described| {
        let mut group = group(info, described);
        if operations && !group.error_code.is_error() {
            group.authorized_operations = GROUP_OPERATIONS;
        }
        group
    });
    DescribeGroupsResponse { groups: groups.collect(), ..Default::default() }
}

fn group<'a>(info: RequestInfo, DescribedGroup { group, found }: &'a DescribedGroup) -> WireGroup<'a> {
    let group_id = Text::Borrowed(group.as_str());
    let group_state = Text::Borrowed(GroupState::Dead.name());
    match found {
        Ok(Some(description)) => WireGroup {
            group_id,
            group_state: Text::Borrowed(description.state.name()),
            protocol_type: Text::Borrowed(&description.protocol_type),
            protocol_data: Text::Borrowed(&description.protocol_name),
            members: description.members.iter().map(member).collect(),
            ..Default::default()
        },
        Ok(None) if info.version >= NOT_FOUND_FROM_VERSION => WireGroup {
            group_state,
            error_code: ErrorCode::GROUP_ID_NOT_FOUND,
            error_message: Some(Text::Owned(format!("Group {group_id} not found."))),
            group_id,
            ..Default::default()
        },
        Ok(None) => WireGroup { group_id, group_state, ..Default::default() },
        Err(error_code) => WireGroup { group_id, error_code: *error_code, ..Default::default() },
    }
}

fn member(member: &MemberDescription) -> DescribedGroupMember<'_> {
    DescribedGroupMember {
        member_id: Text::Borrowed(&member.member_id),
        group_instance_id: member.instance_id.as_deref().map(Text::Borrowed),
        client_id: Text::Borrowed(&member.client_id),
        client_host: Text::Borrowed(&member.client_host),
        member_metadata: &member.metadata,
        member_assignment: &member.assignment,
    }
}
