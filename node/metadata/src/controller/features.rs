//! UpdateFeatures: the level at which all nodes use a feature, so that nobody writes what another cannot read.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ringmain_protocol::ErrorCode;
use serde::{Deserialize, Serialize};

use super::{Controller, Decision, Refusal};
use crate::node_image::LevelRange;
use crate::record::MetadataRecord;

/// The feature whose level says which records there may be.
pub const METADATA_FEATURE: &str = "ringmain.metadata";

/// Levels of the metadata that this program reads and writes. 0: one node, alone. 1: a cluster.
pub const METADATA_LEVELS: LevelRange = LevelRange { least: 0, most: 1 };

/// Which way a level may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LevelChange {
    /// Up.
    Upgrade,
    /// Down, if nothing is lost by it.
    SafeDowngrade,
    /// Down, whatever is lost by it.
    UnsafeDowngrade,
    /// A number that Kafka does not define.
    Unknown,
}

/// A feature's wanted level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateFeature {
    /// Its name.
    pub feature: String,
    /// The level.
    pub level: i16,
    /// Which way.
    pub change: LevelChange,
}

impl Controller<'_> {
    /// Changes levels, all or none.
    pub fn update_features(
        &self,
        updates: &[UpdateFeature],
        validate_only: bool,
    ) -> Decision<Result<(), Refusal>> {
        let checked: Result<Vec<_>, Refusal> =
            updates.iter().map(|update| self.check_feature(update)).collect();
        match checked {
            Ok(records) if !validate_only => {
                Decision { records: records.into_iter().flatten().collect(), answer: Ok(()) }
            }
            checked => Decision { records: Vec::new(), answer: checked.map(|_| ()) },
        }
    }

    fn check_feature(&self, update: &UpdateFeature) -> Result<Option<MetadataRecord>, Refusal> {
        let UpdateFeature { feature, level, change } = update;
        let refused = |reason: &str| {
            let message = format!("Invalid update version {level} for feature {feature}. {reason}");
            Err(Refusal::new(ErrorCode::INVALID_UPDATE_VERSION, message))
        };
        if *change == LevelChange::Unknown {
            return refused("The controller does not support the given upgrade type.");
        }
        if *level < 0 {
            return refused("A feature version cannot be less than 0.");
        }
        if let Some(reason) = self.unsupported(feature, *level) {
            return refused(&reason);
        }
        let current = self.image.feature_level(feature);
        if *level < current && *change == LevelChange::Upgrade {
            return refused(concat!(
                "Can't downgrade the version of this feature without setting the upgrade type to ",
                "either safe or unsafe downgrade."
            ));
        }
        if *level > current && *change != LevelChange::Upgrade {
            return refused("Can't downgrade to a newer version.");
        }
        // A cluster's records cannot be said at the level of one node.
        if feature == METADATA_FEATURE && *level < current {
            return refused("The records of a cluster cannot be expressed at a lower level.");
        }
        let record = MetadataRecord::FeatureLevelSet { feature: feature.clone(), level: *level };
        Ok((*level != current).then_some(record))
    }

    fn unsupported(&self, feature: &str, level: i16) -> Option<String> {
        if feature != METADATA_FEATURE {
            return Some("Local controller does not support this feature.".to_string());
        }
        let range = |who: &str, levels: LevelRange| {
            format!("{who} only supports versions {}-{}", levels.least, levels.most)
        };
        if !METADATA_LEVELS.contains(level) {
            let controller = format!("Local controller {}", self.options.node_id);
            return Some(range(&controller, METADATA_LEVELS));
        }
        let (node_id, node) = self.image.nodes().iter().find(|(_, node)| !node.levels.contains(level))?;
        Some(range(&format!("Broker {node_id}"), node.levels))
    }
}
