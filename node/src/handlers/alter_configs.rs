//! AlterConfigs: replaces all configurations of topics and nodes; what is not named goes back to its default.
//!
//! What it shares with IncrementalAlterConfigs, the way from a change to its answer, stands here too.

use std::rc::Rc;

use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{
        AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse, ReplaceConfigsResource,
    },
};

use super::{config_target, refusal_parts, refused_by_service};
use crate::{
    metadata::{
        NodeId,
        controller::{AlterConfigs, ConfigTarget, Refusal},
    },
    shard::Shard,
};

/// What is to be done to one resource: its type and name as the client gave them, and the change.
pub(super) type Wanted<'a> = (i8, &'a str, AlterConfigs);

pub(super) async fn answer(
    shard: &Rc<Shard>,
    request: &AlterConfigsRequest<'_>,
) -> AlterConfigsResponse<'static> {
    let wanted = request.resources.iter().map(replacement).collect();
    AlterConfigsResponse {
        responses: alter(shard, wanted, request.validate_only).await,
        ..Default::default()
    }
}

/// Changes each resource, or only says whether that could be done. Answers when every shard has the change.
pub(super) async fn alter(
    shard: &Rc<Shard>,
    wanted: Vec<Wanted<'_>>,
    validate_only: bool,
) -> Vec<AlterConfigsResourceResponse<'static>> {
    let node_id = shard.node().node_id();
    let names: Vec<_> = wanted.iter().map(|(kind, name, _)| (*kind, (*name).to_owned())).collect();
    let mut refused: Vec<_> =
        names.iter().map(|(kind, name)| foreign_node(&config_target(*kind, name), node_id)).collect();
    // What is named twice is refused as such, whatever it is: the controller does it.
    let is_twice = |resource: &(i8, String)| names.iter().filter(|other| *other == resource).count() > 1;
    for (resource, refusal) in names.iter().zip(&mut refused) {
        if refusal.is_some() && is_twice(resource) {
            *refusal = None;
        }
    }
    let changes: Vec<_> = wanted
        .into_iter()
        .zip(&refused)
        .filter(|(_, refusal)| refusal.is_none())
        .map(|((kind, name, change), _)| (config_target(kind, name), change))
        .collect();
    let mut results = decide(shard, changes, validate_only).await.into_iter();
    let responses = names.into_iter().zip(refused).map(|((resource_type, name), refusal)| {
        let result = match refusal {
            Some(refusal) => Err(refusal),
            None => results.next().expect("there is a result for each change"),
        };
        let (error_code, error_message) = refusal_parts(result);
        AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type,
            resource_name: Text::Owned(name),
        }
    });
    responses.collect()
}

async fn decide(
    shard: &Rc<Shard>,
    changes: Vec<(ConfigTarget, AlterConfigs)>,
    validate_only: bool,
) -> Vec<Result<(), Refusal>> {
    if changes.is_empty() {
        return Vec::new();
    }
    let count = changes.len();
    match shard.metadata().alter_configs(changes, validate_only).await {
        Ok(results) => {
            shard.applied_everywhere().await;
            results
        }
        Err(error) => refused_by_service(count, &error),
    }
}

/// As in Kafka, what one node is configured with is changed through that node: it alone could tell what it cannot do. Clients
/// know that, and ask it.
fn foreign_node(target: &ConfigTarget, node_id: NodeId) -> Option<Refusal> {
    let ConfigTarget::Broker(name) = target else { return None };
    let refused = |message: String| Some(Refusal::new(ErrorCode::INVALID_REQUEST, message));
    match name.parse::<i32>() {
        _ if name.is_empty() => None,
        Ok(id) if id == node_id.0 => None,
        Ok(_) => refused(format!("Unexpected broker id, expected {node_id}, but received {name}")),
        Err(_) => refused(format!("Node id must be an integer, but it is: {name}")),
    }
}

fn replacement<'a>(resource: &ReplaceConfigsResource<'a>) -> Wanted<'a> {
    let configs =
        resource.configs.iter().map(|config| (config.name.to_owned(), config.value.map(str::to_owned)));
    (resource.resource_type, resource.resource_name, AlterConfigs::Replace(configs.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_takes_its_own_configuration_and_that_of_all() {
        let refusal = |target| foreign_node(&target, NodeId(2)).map(|refusal| refusal.message);
        let broker = |name: &str| ConfigTarget::Broker(name.to_owned());
        assert_eq!(refusal(broker("2")), None);
        assert_eq!(refusal(broker("")), None);
        assert_eq!(refusal(ConfigTarget::Topic("3".to_owned())), None);
        let said = |message: &str| Some(Some(message.to_owned()));
        assert_eq!(refusal(broker("3")), said("Unexpected broker id, expected 2, but received 3"));
        assert_eq!(refusal(broker("two")), said("Node id must be an integer, but it is: two"));
    }
}
