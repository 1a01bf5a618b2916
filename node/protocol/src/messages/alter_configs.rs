//! AlterConfigs: replaces all configs of a resource. What is not named gets its default, which is
//! why clients have moved to IncrementalAlterConfigs.

use alloc::vec::Vec;

use super::AlterConfigsResourceResponse;
use super::table::{message, row};

message! {
    /// Asks for configs to be replaced.
    struct AlterConfigsRequest<'a>, request of AlterConfigs {
        resources:     Vec<ReplaceConfigsResource<'a>> [0..];
        validate_only: bool                            [0..];
    }
}

message! {
    /// A resource, and all the configs that it shall have.
    struct ReplaceConfigsResource<'a> {
        resource_type: i8                         [0..];
        resource_name: &'a str                    [0..];
        configs:       Vec<ReplacementConfig<'a>> [0..];
    }
}

message! {
    /// A config that it shall have.
    struct ReplacementConfig<'a> {
        name:  &'a str         [0..];
        value: Option<&'a str> [0..];
    }
}

message! {
    /// What became of each resource.
    struct AlterConfigsResponse<'a>, response of AlterConfigs {
        throttle_time_ms: i32                                   [0..];
        responses:        Vec<AlterConfigsResourceResponse<'a>> [0..];
    }
}
