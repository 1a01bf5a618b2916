//! DescribeConfigs: the configuration of topics and brokers, and where each value comes from.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// Asks for configurations.
    struct DescribeConfigsRequest<'a>, request of DescribeConfigs {
        resources:             Vec<DescribeConfigsResource<'a>> [0..];
        include_synonyms:      bool                             [1..];
        include_documentation: bool                             [3..];
    }
}

message! {
    /// A resource, and the configs asked for; null asks for all.
    struct DescribeConfigsResource<'a> {
        resource_type:      i8                   [0..];
        resource_name:      &'a str              [0..];
        configuration_keys: Option<Vec<&'a str>> [0..];
    }
}

message! {
    /// Configurations.
    struct DescribeConfigsResponse<'a>, response of DescribeConfigs {
        throttle_time_ms: i32                            [0..];
        results:          Vec<DescribeConfigsResult<'a>> [0..];
    }
}

message! {
    /// The configuration of one resource.
    struct DescribeConfigsResult<'a> {
        error_code:    ErrorCode                [0..];
        error_message: Option<Text<'a>>         [0..];
        resource_type: i8                       [0..];
        resource_name: Text<'a>                 [0..];
        configs:       Vec<DescribedConfig<'a>> [0..];
    }
}

message! {
    /// One config: its value in effect, and why it has it.
    struct DescribedConfig<'a> {
        name:          Text<'a>               [0..];
        value:         Option<Text<'a>>       [0..];
        read_only:     bool                   [0..];
        config_source: i8                     [1..] default(-1) ignorable;
        is_sensitive:  bool                   [0..];
        synonyms:      Vec<ConfigSynonym<'a>> [1..] ignorable;
        config_type:   i8                     [3..] ignorable;
        documentation: Option<Text<'a>>       [3..] ignorable;
    }
}

message! {
    /// A place that sets the config, the strongest first.
    struct ConfigSynonym<'a> {
        name:   Text<'a>         [1..];
        value:  Option<Text<'a>> [1..];
        source: i8               [1..];
    }
}
