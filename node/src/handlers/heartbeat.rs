//! Heartbeat: a member is alive, and learns whether it must join again.

use std::rc::Rc;

use ringmain_group::{Answer, Event, Heartbeat};
use ringmain_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::group_refusal;
use crate::shard::Shard;

pub(super) async fn answer(shard: &Rc<Shard>, request: &HeartbeatRequest<'_>) -> HeartbeatResponse {
    let error_code = match shard.coordinator(request.group_id) {
        Ok(coordinator) => {
            let heartbeat = Heartbeat {
                group: request.group_id,
                generation: request.generation_id,
                member_id: request.member_id,
                instance_id: request.group_instance_id,
            };
            match coordinator.ask(shard, |request| Event::Heartbeat { request, heartbeat }).await {
                Answer::Heartbeat(error) => error,
                other => unreachable!("a heartbeat is answered by {other:?}"),
            }
        }
        Err(error) => group_refusal(request.group_id, error),
    };
    HeartbeatResponse { error_code, ..Default::default() }
}
