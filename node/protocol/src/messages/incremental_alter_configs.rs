//! IncrementalAlterConfigs: changes some configs of a resource and leaves the others.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// Asks for configs to be changed.
    struct IncrementalAlterConfigsRequest<'a>, request of IncrementalAlterConfigs {
        resources:     Vec<AlterConfigsResource<'a>> [0..];
        validate_only: bool                          [0..];
    }
}

message! {
    /// A resource and its changes: all are made, or none.
    struct AlterConfigsResource<'a> {
        resource_type: i8                       [0..];
        resource_name: &'a str                  [0..];
        configs:       Vec<AlterableConfig<'a>> [0..];
    }
}

message! {
    /// One change.
    struct AlterableConfig<'a> {
        name:             &'a str         [0..];
        config_operation: i8              [0..];
        value:            Option<&'a str> [0..];
    }
}

message! {
    /// What became of each resource.
    struct IncrementalAlterConfigsResponse<'a>, response of IncrementalAlterConfigs {
        throttle_time_ms: i32                                   [0..];
        responses:        Vec<AlterConfigsResourceResponse<'a>> [0..];
    }
}

message! {
    /// What became of one resource.
    struct AlterConfigsResourceResponse<'a> {
        error_code:    ErrorCode        [0..];
        error_message: Option<Text<'a>> [0..];
        resource_type: i8               [0..];
        resource_name: Text<'a>         [0..];
    }
}
