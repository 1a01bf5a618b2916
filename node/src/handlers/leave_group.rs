//! LeaveGroup: members leave at once; from version 3 several, which is also how operators remove members.

use std::rc::Rc;

use ringmain_group::{Answer, Event, Leave, LeaveAnswer, LeavingMember};
use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{LeaveGroupRequest, LeaveGroupResponse, MemberResponse},
};

use super::{RequestInfo, group_refusal};
use crate::shard::Shard;

/// The first version that names members in a list.
const SEVERAL_FROM_VERSION: i16 = 3;

pub(super) async fn answer(
    shard: &Rc<Shard>,
    info: RequestInfo,
    request: &LeaveGroupRequest<'_>,
) -> LeaveGroupResponse<'static> {
    let several = info.version >= SEVERAL_FROM_VERSION;
    let LeaveAnswer { error, members } = leave(shard, several, request).await;
    if several {
        let members = members.into_iter().map(|member| MemberResponse {
            member_id: Text::Owned(member.member_id.as_ref().to_owned()),
            group_instance_id: member.instance_id.map(|name| Text::Owned(name.as_ref().to_owned())),
            error_code: member.error,
        });
        return LeaveGroupResponse { error_code: error, members: members.collect(), ..Default::default() };
    }
    let of_member = members.first().map_or(ErrorCode::NONE, |member| member.error);
    LeaveGroupResponse { error_code: if error.is_error() { error } else { of_member }, ..Default::default() }
}

async fn leave(shard: &Rc<Shard>, several: bool, request: &LeaveGroupRequest<'_>) -> LeaveAnswer {
    let coordinator = match shard.coordinator(request.group_id) {
        Ok(coordinator) => coordinator,
        Err(error) => {
            return LeaveAnswer { error: group_refusal(request.group_id, error), members: Vec::new() };
        }
    };
    let members = if several {
        let listed = request.members.iter();
        let listed = listed.map(|member| LeavingMember {
            member_id: member.member_id,
            instance_id: member.group_instance_id,
            reason: member.reason,
        });
        listed.collect()
    } else {
        vec![LeavingMember { member_id: request.member_id, instance_id: None, reason: None }]
    };
    let leave = Leave { group: request.group_id, members: &members };
    match coordinator.ask(shard, |request| Event::Leave { request, leave }).await {
        Answer::Leave(answer) => answer,
        other => unreachable!("a leave is answered by {other:?}"),
    }
}
