//! IncrementalAlterConfigs: single changes of topics' and nodes' configurations (KIP-339).

use std::rc::Rc;

use ringmain_protocol::messages::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};

use super::alter_configs::{Wanted, alter};
use crate::{
    metadata::controller::{AlterConfigs, ConfigChange},
    shard::Shard,
};

pub(super) async fn answer(
    shard: &Rc<Shard>,
    request: &IncrementalAlterConfigsRequest<'_>,
) -> IncrementalAlterConfigsResponse<'static> {
    let wanted = request.resources.iter().map(changes).collect();
    let responses = alter(shard, wanted, request.validate_only).await;
    IncrementalAlterConfigsResponse { responses, ..Default::default() }
}

fn changes<'a>(resource: &AlterConfigsResource<'a>) -> Wanted<'a> {
    let changes = resource.configs.iter().map(|config| (config.name.to_owned(), change(config)));
    (resource.resource_type, resource.resource_name, AlterConfigs::Changes(changes.collect()))
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
