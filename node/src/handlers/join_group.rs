//! JoinGroup: waits for the next generation of a group.

use std::{rc::Rc, sync::Arc};

use ringmain_group::{Answer, Event, Join, JoinAnswer, Protocol};
use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember},
};

use super::{RequestInfo, group_refusal, group_request::GroupRequest};
use crate::{metadata::random_uuid_text, shard::Shard};

/// The first version that is told its id and must come back with it (KIP-394).
const MEMBER_ID_REQUIRED_FROM_VERSION: i16 = 4;
/// The first version in which there may be no protocol name.
const NO_PROTOCOL_FROM_VERSION: i16 = 7;
/// The first version whose leader may be told to skip the assignment (KIP-814).
const SKIP_ASSIGNMENT_FROM_VERSION: i16 = 9;

pub(super) async fn answer(
    shard: &Rc<Shard>,
    from: &GroupRequest,
    request: &JoinGroupRequest<'_>,
) -> JoinAnswer {
    let coordinator = match shard.coordinator(request.group_id) {
        Ok(coordinator) => coordinator,
        Err(error) => return refused(group_refusal(request.group_id, error), request.member_id),
    };
    let uuid = match random_uuid_text() {
        Ok(uuid) => uuid,
        Err(error) => {
            tracing::error!(%error, "make a member id");
            return refused(ErrorCode::COORDINATOR_NOT_AVAILABLE, request.member_id);
        }
    };
    let protocol = |name, metadata| Protocol { name, metadata };
    let protocols: Vec<_> = request.protocols.iter().map(|it| protocol(it.name, it.metadata)).collect();
    let version = from.info.version;
    let join = Join {
        group: request.group_id,
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        client_id: &from.client_id,
        client_host: &from.client_host,
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: if version == 0 {
            request.session_timeout_ms
        } else {
            request.rebalance_timeout_ms
        },
        protocol_type: request.protocol_type,
        protocols: &protocols,
        member_id_required: version >= MEMBER_ID_REQUIRED_FROM_VERSION,
        skip_assignment_supported: version >= SKIP_ASSIGNMENT_FROM_VERSION,
        reason: request.reason,
        uuid: &uuid,
    };
    match coordinator.ask(shard, |request| Event::Join { request, join }).await {
        Answer::Join(answer) => answer,
        other => unreachable!("a join is answered by {other:?}"),
    }
}

fn refused(error: ErrorCode, member_id: &str) -> JoinAnswer {
    JoinAnswer {
        error,
        generation: -1,
        protocol_type: None,
        protocol_name: None,
        leader: Arc::from(""),
        skip_assignment: false,
        member_id: Arc::from(member_id),
        members: Vec::new(),
    }
}

pub(super) fn response(info: RequestInfo, answer: &JoinAnswer) -> JoinGroupResponse<'_> {
    let without_protocol = (info.version < NO_PROTOCOL_FROM_VERSION).then_some(Text::Borrowed(""));
    JoinGroupResponse {
        error_code: answer.error,
        generation_id: answer.generation,
        protocol_type: answer.protocol_type.as_deref().map(Text::Borrowed),
        protocol_name: answer.protocol_name.as_deref().map(Text::Borrowed).or(without_protocol),
        leader: Text::Borrowed(&answer.leader),
        skip_assignment: answer.skip_assignment,
        member_id: Text::Borrowed(&answer.member_id),
        members: answer
            .members
            .iter()
            .map(|member| JoinGroupResponseMember {
                member_id: Text::Borrowed(&member.member_id),
                group_instance_id: member.instance_id.as_deref().map(Text::Borrowed),
                metadata: &member.metadata,
            })
            .collect(),
        ..Default::default()
    }
}
