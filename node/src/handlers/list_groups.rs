//! ListGroups: the groups of all shards, by state and type where the client asks for some only.

use std::rc::Rc;

use ringmain_group::{GroupListing, GroupState};
use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{ListGroupsRequest, ListGroupsResponse, ListedGroup},
};

use crate::shard::Shard;

/// The type of every group here: those of KIP-848 have others.
const CLASSIC: &str = "classic";

pub(super) async fn answer(
    shard: &Rc<Shard>,
    request: &ListGroupsRequest<'_>,
) -> ListGroupsResponse<'static> {
    let of_type = request.types_filter.iter().any(|name| name.eq_ignore_ascii_case(CLASSIC));
    if !request.types_filter.is_empty() && !of_type {
        return ListGroupsResponse::default();
    }
    let all_states = request.states_filter.is_empty();
    let states: Vec<GroupState> =
        request.states_filter.iter().filter_map(|name| GroupState::from_name(name)).collect();
    let mut response = ListGroupsResponse::default();
    for owner in shard.all_shards() {
        let states = states.clone();
        let on_owner = move |shard: Rc<Shard>| async move {
            let wanted = |group: &GroupListing| all_states || states.contains(&group.state);
            shard.list_groups(wanted)
        };
        let (groups, refusal) = shard.run_on(owner, on_owner).await;
        response.groups.extend(groups.into_iter().map(listed));
        // What could be read is told beside the error, as in Kafka.
        response.error_code = refusal.unwrap_or(response.error_code);
    }
    if response.error_code == ErrorCode::NOT_COORDINATOR {
        response.error_code = ErrorCode::COORDINATOR_NOT_AVAILABLE;
    }
    response
}

fn listed(group: GroupListing) -> ListedGroup<'static> {
    ListedGroup {
        group_id: Text::Owned(group.group.as_ref().to_owned()),
        protocol_type: Text::Owned(group.protocol_type.as_ref().to_owned()),
        group_state: Text::Borrowed(group.state.name()),
        group_type: Text::Borrowed(CLASSIC),
    }
}
