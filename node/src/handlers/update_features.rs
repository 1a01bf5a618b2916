//! UpdateFeatures: the levels at which the cluster uses its features (KIP-584).

use std::rc::Rc;

use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{FeatureUpdate, FeatureUpdateResult, UpdateFeaturesRequest, UpdateFeaturesResponse},
};

use super::{RequestInfo, refusal_parts, refused_by_service};
use crate::{
    metadata::controller::{LevelChange, UpdateFeature},
    shard::Shard,
};

/// The first version that says which way a level may go.
const KINDS_FROM_VERSION: i16 = 1;

pub(super) async fn answer<'a>(
    shard: &Rc<Shard>,
    info: RequestInfo,
    request: &UpdateFeaturesRequest<'a>,
) -> UpdateFeaturesResponse<'a> {
    let updates = request.feature_updates.iter().map(|update| UpdateFeature {
        feature: update.feature.to_owned(),
        level: update.max_version_level,
        change: change(info.version, update),
    });
    let result = match shard.metadata().update_features(updates.collect(), request.validate_only).await {
        Ok(result) => result,
        Err(error) => refused_by_service(1, &error).swap_remove(0),
    };
    let (error_code, message) = refusal_parts(result);
    let error_message = message.map(|message| {
        Text::Owned(format!(
            "The update failed for all features since the following feature had an error: {message}"
        ))
    });
    // The old form has a result for each feature besides; they change together or not at all.
    let results = request.feature_updates.iter().filter(|_| error_code == ErrorCode::NONE);
    let results = results.map(|update| FeatureUpdateResult {
        feature: Text::Borrowed(update.feature),
        error_message: None,
        ..Default::default()
    });
    UpdateFeaturesResponse { error_code, error_message, results: results.collect(), ..Default::default() }
}

fn change(version: i16, update: &FeatureUpdate<'_>) -> LevelChange {
    if version < KINDS_FROM_VERSION {
        return if update.allow_downgrade { LevelChange::SafeDowngrade } else { LevelChange::Upgrade };
    }
    match update.upgrade_type {
        1 => LevelChange::Upgrade,
        2 => LevelChange::SafeDowngrade,
        3 => LevelChange::UnsafeDowngrade,
        _ => LevelChange::Unknown,
    }
}
