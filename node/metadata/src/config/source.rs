//! Where the value of a configuration came from, as DescribeConfigs reports it.

use alloc::string::String;

/// A place that gives a configuration a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synonym {
    /// The name under which it stands there.
    pub name: String,
    /// The value there.
    pub value: Option<String>,
    /// Which kind of place.
    pub source: ConfigSource,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    /// Set for the topic.
    Topic,
    /// Set for this node while running.
    DynamicNode,
    /// Set for the cluster while running.
    DynamicCluster,
    /// Set by the node's own file, environment or flags.
    NodeFile,
    /// The default of the table.
    Default,
}

impl ConfigSource {
    /// The number that stands for it in a DescribeConfigs answer.
    pub fn wire_code(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::DynamicNode => 2,
            Self::DynamicCluster => 3,
            Self::NodeFile => 4,
            Self::Default => 5,
        }
    }
}
