//! SyncGroup: waits for what the leader of the generation assigns.

use std::rc::Rc;

use bytes::Bytes;
use ringmain_group::{Answer, Event, Sync, SyncAnswer, SyncedMember};
use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{SyncGroupRequest, SyncGroupResponse},
};

use super::{RequestInfo, group_refusal};
use crate::shard::Shard;

/// The first version that must name protocol type and protocol.
const PROTOCOL_FROM_VERSION: i16 = 5;

pub(super) async fn answer(
    shard: &Rc<Shard>,
    info: RequestInfo,
    request: &SyncGroupRequest<'_>,
) -> SyncAnswer {
    let names_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    if info.version >= PROTOCOL_FROM_VERSION && !names_protocol {
        return refused(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    }
    let coordinator = match shard.coordinator(request.group_id) {
        Ok(coordinator) => coordinator,
        Err(error) => return refused(group_refusal(request.group_id, error)),
    };
    let member = |member_id, assignment| SyncedMember { member_id, assignment };
    let assignments: Vec<_> =
        request.assignments.iter().map(|it| member(it.member_id, it.assignment)).collect();
    let sync = Sync {
        group: request.group_id,
        generation: request.generation_id,
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        protocol_type: request.protocol_type,
        protocol_name: request.protocol_name,
        assignments: &assignments,
    };
    match coordinator.ask(shard, |request| Event::Sync { request, sync }).await {
        Answer::Sync(answer) => answer,
        other => unreachable!("a sync is answered by {other:?}"),
    }
}

fn refused(error: ErrorCode) -> SyncAnswer {
    SyncAnswer { error, protocol_type: None, protocol_name: None, assignment: Bytes::new() }
}

pub(super) fn response(answer: &SyncAnswer) -> SyncGroupResponse<'_> {
    SyncGroupResponse {
        error_code: answer.error,
        protocol_type: answer.protocol_type.as_deref().map(Text::Borrowed),
        protocol_name: answer.protocol_name.as_deref().map(Text::Borrowed),
        assignment: &answer.assignment,
        ..Default::default()
    }
}
