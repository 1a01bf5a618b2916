//! IncrementalAlterConfigs: single changes of topics' and nodes' configurations (KIP-339).

use std::rc::Rc;

use ringmain_protocol::{
    codec::Text,
    messages::{
        AlterConfigsResource, AlterConfigsResourceResponse, AlterableConfig, IncrementalAlterConfigsRequest,
        IncrementalAlterConfigsResponse,
    },
};

use super::{config_target, refusal_parts, refused_by_service};
use crate::{
    metadata::controller::{AlterConfigs, ConfigChange, ConfigTarget},
    shard::Shard,
};

pub(super) async fn answer(
    shard: &Rc<Shard>,
    request: &IncrementalAlterConfigsRequest<'_>,
) -> IncrementalAlterConfigsResponse<'static> {
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
            resource_name: Text::Owned(resource.resource_name.to_owned()),
        }
    });
    IncrementalAlterConfigsResponse { responses: responses.collect(), ..Default::default() }
}

fn wanted(resource: &AlterConfigsResource<'_>) -> (ConfigTarget, AlterConfigs) {
    let changes = resource.configs.iter().map(|config| (config.name.to_owned(), change(config)));
    let target = config_target(resource.resource_type, resource.resource_name);
    (target, AlterConfigs::Changes(changes.collect()))
}

fn change(config: &AlterableConfig<'_>) -> ConfigChange {
    let value = config.value.map(str::to_owned);
    match config.config_operation {
        0 => ConfigChange::Set(value),
        1 => ConfigChange::Delete,
        2 => ConfigChange::Append(value),
        3 => ConfigChange::Subtract(value),
        unknown => ConfigChange::Unknown(unknown),
    }
}
