//! DeleteGroups: groups without members, with their offsets; each is deleted on the shard that runs it.

use std::{collections::BTreeSet, rc::Rc};

use ringmain_group::{Answer, Event};
use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse},
};

use crate::shard::Shard;

pub(super) async fn answer(
    shard: &Rc<Shard>,
    request: &DeleteGroupsRequest<'_>,
) -> DeleteGroupsResponse<'static> {
    let mut seen = BTreeSet::new();
    let mut results = Vec::with_capacity(request.groups_names.len());
    for group in request.groups_names.iter().filter(|group| seen.insert(**group)) {
        let (owner, name) = (shard.group_owner(group), (*group).to_owned());
        let error_code =
            shard.run_on(owner, |shard: Rc<Shard>| async move { delete(&shard, &name).await }).await;
        let group_id = Text::Owned((*group).to_owned());
        results.push(DeletableGroupResult { group_id, error_code });
    }
    DeleteGroupsResponse { results, ..Default::default() }
}

async fn delete(shard: &Rc<Shard>, group: &str) -> ErrorCode {
    let coordinator = match shard.coordinator(group) {
        Ok(coordinator) => coordinator,
        Err(error) => return error,
    };
    match coordinator.ask(shard, |request| Event::DeleteGroup { request, group }).await {
        Answer::DeleteGroup(error) => error,
        other => unreachable!("a deletion is answered by {other:?}"),
    }
}
