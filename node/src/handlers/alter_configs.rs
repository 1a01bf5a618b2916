//! AlterConfigs: replaces all configurations of topics and nodes; what is not named goes back to its default.

use std::rc::Rc;

use ringmain_protocol::{
    codec::Text,
    messages::{
        AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse, ReplaceConfigsResource,
    },
};

use super::{config_target, refusal_parts, refused_by_service};
use crate::{
    metadata::controller::{AlterConfigs, ConfigTarget},
    shard::Shard,
};

pub(super) async fn answer<'a>(
    shard: &Rc<Shard>,
    request: &AlterConfigsRequest<'a>,
) -> AlterConfigsResponse<'a> {
    let wanted: Vec<(ConfigTarget, AlterConfigs)> = request.resources.iter().map(wanted).collect();
    let results = match shard.metadata().alter_configs(wanted, request.validate_only).await {
        Ok(results) => {
            shard.applied_everywhere().await;
            results
        }
        Err(error) => refused_by_service(request.resources.len(), &error),
    };
    let responses = request.resources.iter().zip(results).map(|(resource, result)| {
        let (error_code, error_message) = refusal_parts(result);
        AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: resource.resource_type,
            resource_name: Text::Borrowed(resource.resource_name),
        }
    });
    AlterConfigsResponse { responses: responses.collect(), ..Default::default() }
}

fn wanted(resource: &ReplaceConfigsResource<'_>) -> (ConfigTarget, AlterConfigs) {
    let configs =
        resource.configs.iter().map(|config| (config.name.to_owned(), config.value.map(str::to_owned)));
    let target = config_target(resource.resource_type, resource.resource_name);
    (target, AlterConfigs::Replace(configs.collect()))
}
