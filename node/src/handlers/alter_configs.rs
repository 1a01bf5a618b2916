//! AlterConfigs: replaces all configurations of topics and nodes; what is not named goes back to its default.
//!
//! What it shares with IncrementalAlterConfigs, the way from a change to its answer, stands here too.

use std::rc::Rc;

use ringmain_protocol::{
    codec::Text,
    messages::{
        AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse, ReplaceConfigsResource,
    },
};

use super::{config_target, refusal_parts, refused_by_service};
use crate::{metadata::controller::AlterConfigs, shard::Shard};

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
    let (resources, changes): (Vec<_>, Vec<_>) = wanted
        .into_iter()
        .map(|(kind, name, change)| ((kind, name.to_owned()), (config_target(kind, name), change)))
        .unzip();
    let results = match shard.metadata().alter_configs(changes, validate_only).await {
        Ok(results) => {
            shard.applied_everywhere().await;
            results
        }
        Err(error) => refused_by_service(resources.len(), &error),
    };
    let responses = resources.into_iter().zip(results).map(|((resource_type, name), result)| {
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

fn replacement<'a>(resource: &ReplaceConfigsResource<'a>) -> Wanted<'a> {
    let configs =
        resource.configs.iter().map(|config| (config.name.to_owned(), config.value.map(str::to_owned)));
    (resource.resource_type, resource.resource_name, AlterConfigs::Replace(configs.collect()))
}
