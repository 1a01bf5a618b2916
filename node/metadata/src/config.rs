//! Kafka's configurations of topics and brokers: the tables, one value's rules, and which of several layers holds.
//!
//! What must hold: nothing outside this module parses a configuration value; an unknown name is an error. Does not own
//! where configurations are kept (records, and the node's own file), nor a node's other options.

pub mod broker_definitions;
pub mod definition;
pub mod layers;
pub mod source;
pub mod topic;
pub mod topic_definitions;

pub use layers::TopicDefaults;
pub use source::{ConfigSource, Synonym};
pub use topic::TopicConfig;
