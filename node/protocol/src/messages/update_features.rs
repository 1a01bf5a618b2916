//! UpdateFeatures: has the cluster use its features at other levels (KIP-584).

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

/// The default of [`FeatureUpdate::upgrade_type`]: only up.
pub const UPGRADE: i8 = 1;

message! {
    /// Asks for levels.
    struct UpdateFeaturesRequest<'a>, request of UpdateFeatures {
        timeout_ms:      i32                    [0..] default(60_000);
        feature_updates: Vec<FeatureUpdate<'a>> [0..];
        validate_only:   bool                   [1..];
    }
}

message! {
    /// A feature and its new level.
    struct FeatureUpdate<'a> {
        feature:           &'a str [0..];
        /// 0 turns it off.
        max_version_level: i16     [0..];
        allow_downgrade:   bool    [0..=0];
        /// 1: up; 2: down if nothing is lost by it; 3: down.
        upgrade_type:      i8      [1..] default(UPGRADE);
    }
}

message! {
    /// Whether the levels hold from now on.
    struct UpdateFeaturesResponse<'a>, response of UpdateFeatures {
        throttle_time_ms: i32                          [0..];
        error_code:       ErrorCode                    [0..];
        error_message:    Option<Text<'a>>             [0..] default(Some(Text::Borrowed("")));
        results:          Vec<FeatureUpdateResult<'a>> [0..=1] ignorable;
    }
}

message! {
    /// Whether one of them holds.
    struct FeatureUpdateResult<'a> {
        feature:       Text<'a>         [0..];
        error_code:    ErrorCode        [0..];
        error_message: Option<Text<'a>> [0..] default(Some(Text::Borrowed("")));
    }
}
