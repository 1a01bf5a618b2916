//! Configuration: the node's own options, and Kafka's configurations of topics and brokers.
//!
//! Owns [`NodeConfig`], the one checked struct into which file, environment and flags go; the tables of
//! [`topic_definitions`] and [`broker_definitions`] are those of `ringmain-metadata`. What must hold: nothing outside
//! these two parses a configuration value; an unknown key is an error. Does not own where topic configurations are kept
//! (that is `metadata`).

pub mod cluster;
pub mod describe;
mod log_filter;
pub mod options;
pub mod quantity;
pub mod reference;
pub mod sources;
pub mod suggestion;

use std::path::PathBuf;

pub use cluster::{ClusterConfig, Voter};
pub use describe::DescribedConfig;
pub use log_filter::{LogFilter, LogLevel};
use options::OptionValue;
pub use quantity::HostPort;
pub use ringmain_metadata::config::{
    ConfigSource, Synonym, TopicConfig, TopicDefaults, broker_definitions, definition, layers, source, topic,
    topic_definitions,
};
pub use sources::{ConfigProblem, ConfigProblems, ConfigSources, Origin, Settings};

/// Everything that is configured for one node, checked.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Where everything of this node is kept.
    pub data_dir: PathBuf,
    /// The node's number in its cluster.
    pub node_id: i32,
    /// Told to clients as the broker's rack.
    pub rack: Option<String>,
    /// Cores that serve clients.
    pub shards: Shards,
    /// Which of the cores that the process may use the first shard takes.
    pub first_core: usize,
    /// Which diagnostics are written.
    pub log_level: LogFilter,
    /// Where to, and in which form.
    pub log_format: LogFormat,
    /// Addresses.
    pub network: NetworkConfig,
    /// Whether what reaches the admin endpoint from other machines may change the node.
    pub admin_writable: bool,
    /// What clients may take.
    pub limits: LimitsConfig,
    /// Memory of each shard.
    pub memory: MemoryConfig,
    /// The log and its journal.
    pub storage: StorageConfig,
    /// How topics are made.
    pub topics: TopicsConfig,
    /// Consumer groups and their offsets.
    pub groups: GroupsConfig,
    /// What is shown one by one.
    pub metrics: MetricsConfig,
    /// The cluster that this node belongs to; `None`: it is alone.
    pub cluster: Option<ClusterConfig>,
    /// Topic configurations that this node's file sets for all topics without one of their own.
    pub topic_defaults: TopicDefaults,
    /// Where each option came from, for DescribeConfigs and for the summary at start.
    pub settings: Settings,
}

/// How many cores serve clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shards {
    /// Every core that the process may run on.
    Auto,
    /// So many.
    Count(usize),
}

/// Where diagnostics go, and in which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// To the journal where standard error is read by it, as text elsewhere.
    Auto,
    /// Lines for people on standard error.
    Text,
    /// A JSON object a line on standard error.
    Json,
    /// To systemd's journal, by its own protocol.
    Journal,
}

/// Addresses of the node.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// Where Kafka clients connect.
    pub listen: HostPort,
    /// What clients are told; `None` is the listen address.
    pub advertised: Option<HostPort>,
    /// Where operators connect; `None` is nowhere.
    pub admin: Option<HostPort>,
}

/// What clients may take of the node.
#[derive(Debug, Clone)]
pub struct LimitsConfig {
    /// The largest request frame.
    pub request_bytes_max: usize,
    /// Connections of the node; `None` is sized from the limit of open files.
    pub connections_max: Option<usize>,
    /// Idle time after which a connection is closed.
    pub connection_idle_ms: u64,
    /// Bytes of requests that one shard holds.
    pub shard_in_flight_bytes_max: usize,
    /// The largest fetch answer.
    pub fetch_bytes_max: usize,
    /// The longest wait of a fetch.
    pub fetch_wait_ms_max: u64,
    /// Incremental fetch sessions of the node.
    pub fetch_sessions_max: usize,
}

/// Memory budgets of each shard.
#[derive(Debug, Clone)]
pub struct MemoryConfig {
    /// Newest records kept for readers.
    pub tail_bytes_per_shard: usize,
    /// Records accepted and not yet written.
    pub unwritten_bytes_per_shard: usize,
    /// Groups, their members and offsets.
    pub groups_bytes_per_shard: usize,
}

/// The log and its journal.
#[derive(Debug, Clone)]
pub struct StorageConfig {
    /// Size of each journal file.
    pub journal_file_bytes: u64,
    /// Journal files of each shard.
    pub journal_files: usize,
    /// Log files that each shard keeps open; `None` is a share of the limit.
    pub open_files_per_shard: Option<usize>,
    /// How often retention looks at each partition.
    pub retention_check_ms: u64,
    /// How often each shard looks for a log to compact.
    pub compaction_check_ms: u64,
    /// What compaction reads and writes in a second, for each shard.
    pub compaction_bytes_per_second: u64,
    /// Memory for the keys of a pass.
    pub compaction_key_map_bytes: usize,
    /// How long an idle producer's state is kept.
    pub producer_id_expiration_ms: u64,
    /// Producers that one partition remembers.
    pub producers_per_partition_max: usize,
}

/// How topics are made.
#[derive(Debug, Clone)]
pub struct TopicsConfig {
    /// Whether asking for a topic makes it.
    pub auto_create: bool,
    /// Partitions when none are given.
    pub default_partitions: i32,
    /// Replicas when none are given.
    pub default_replication_factor: i16,
    /// Partitions of the whole node.
    pub partitions_max: usize,
    /// Partitions that one request may make.
    pub partitions_per_request_max: usize,
}

/// Consumer groups and their offsets.
#[derive(Debug, Clone)]
pub struct GroupsConfig {
    /// How long the first rebalance of an empty group waits for more members.
    pub initial_rebalance_delay_ms: i32,
    /// The shortest session timeout.
    pub session_timeout_ms_min: i32,
    /// The longest session timeout.
    pub session_timeout_ms_max: i32,
    /// Members of one group.
    pub members_max: usize,
    /// Metadata and assignments of all members of one group.
    pub member_metadata_bytes_max: usize,
    /// Partitions of the offsets topic when it is made.
    pub offsets_topic_partitions: i32,
    /// Replicas of the offsets topic when it is made, if there are so many nodes.
    pub offsets_topic_replication_factor: i16,
    /// The longest text that is left with an offset.
    pub offset_metadata_bytes_max: usize,
    /// How long offsets are kept after their group lost its last member.
    pub offsets_retention_ms: i64,
    /// How often expired offsets are looked for.
    pub offsets_retention_check_ms: u64,
    /// How long a write of a group may wait for the disk.
    pub write_timeout_ms: i32,
}

/// How much of what could be shown one by one is; the rest is shown together, or not at all.
#[derive(Debug, Clone)]
pub struct MetricsConfig {
    /// Topics.
    pub topics_max: usize,
    /// Consumer groups.
    pub groups_max: usize,
    /// Partitions with followers that lag.
    pub partitions_max: usize,
}

impl NodeConfig {
    /// Reads and checks everything; the error lists every problem found, not only the first.
    pub fn load(sources: &ConfigSources) -> Result<Self, ConfigProblems> {
        let settings = Settings::gather(sources)?;
        let config = Self::from_settings(settings);
        config.check()?;
        Ok(config)
    }

    /// The address that clients are told to connect to, given where the listener was bound (its port may have been 0).
    pub fn advertised_address(&self, bound_port: u16) -> HostPort {
        let mut address = self.network.advertised.clone().unwrap_or_else(|| self.network.listen.clone());
        if address.port == 0 {
            address.port = bound_port;
        }
        address
    }

    fn from_settings(settings: Settings) -> Self {
        let cluster = settings.cluster();
        Self {
            data_dir: settings.path("data_dir"),
            node_id: settings.number("node_id"),
            rack: Some(settings.text("rack")).filter(|rack| !rack.is_empty()),
            shards: settings.optional_number("shards").map_or(Shards::Auto, Shards::Count),
            first_core: settings.number("first_core"),
            log_level: settings.log_filter("log_level"),
            log_format: match settings.text("log_format").as_str() {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                "journal" => LogFormat::Journal,
                _ => LogFormat::Auto,
            },
            network: NetworkConfig {
                listen: settings.address("network.listen").expect("the listen address has no word for none"),
                advertised: settings.address("network.advertised"),
                admin: settings.address("network.admin"),
            },
            admin_writable: settings.boolean("admin.writable"),
            limits: LimitsConfig {
                request_bytes_max: settings.number("limits.request_bytes_max"),
                connections_max: settings.optional_number("limits.connections_max"),
                connection_idle_ms: settings.number("limits.connection_idle_ms"),
                shard_in_flight_bytes_max: settings.number("limits.shard_in_flight_bytes_max"),
                fetch_bytes_max: settings.number("limits.fetch_bytes_max"),
                fetch_wait_ms_max: settings.number("limits.fetch_wait_ms_max"),
                fetch_sessions_max: settings.number("limits.fetch_sessions_max"),
            },
            memory: MemoryConfig {
                tail_bytes_per_shard: settings.number("memory.tail_bytes_per_shard"),
                unwritten_bytes_per_shard: settings.number("memory.unwritten_bytes_per_shard"),
                groups_bytes_per_shard: settings.number("memory.groups_bytes_per_shard"),
            },
            storage: StorageConfig {
                journal_file_bytes: settings.number("storage.journal_file_bytes"),
                journal_files: settings.number("storage.journal_files"),
                open_files_per_shard: settings.optional_number("storage.open_files_per_shard"),
                retention_check_ms: settings.number("storage.retention_check_ms"),
                compaction_check_ms: settings.number("storage.compaction_check_ms"),
                compaction_bytes_per_second: settings.number("storage.compaction_bytes_per_second"),
                compaction_key_map_bytes: settings.number("storage.compaction_key_map_bytes"),
                producer_id_expiration_ms: settings.number("storage.producer_id_expiration_ms"),
                producers_per_partition_max: settings.number("storage.producers_per_partition_max"),
            },
            topics: TopicsConfig {
                auto_create: settings.boolean("topics.auto_create"),
                default_partitions: settings.number("topics.default_partitions"),
                default_replication_factor: settings
                    .optional_number("topics.default_replication_factor")
                    .unwrap_or_else(|| cluster.as_ref().map_or(1, ClusterConfig::default_replication_factor)),
                partitions_max: settings.number("topics.partitions_max"),
                partitions_per_request_max: settings.number("topics.partitions_per_request_max"),
            },
            groups: GroupsConfig {
                initial_rebalance_delay_ms: settings.number("groups.initial_rebalance_delay_ms"),
                session_timeout_ms_min: settings.number("groups.session_timeout_ms_min"),
                session_timeout_ms_max: settings.number("groups.session_timeout_ms_max"),
                members_max: settings.number("groups.members_max"),
                member_metadata_bytes_max: settings.number("groups.member_metadata_bytes_max"),
                offsets_topic_partitions: settings.number("groups.offsets_topic_partitions"),
                offsets_topic_replication_factor: settings.number("groups.offsets_topic_replication_factor"),
                offset_metadata_bytes_max: settings.number("groups.offset_metadata_bytes_max"),
                offsets_retention_ms: settings.number("groups.offsets_retention_ms"),
                offsets_retention_check_ms: settings.number("groups.offsets_retention_check_ms"),
                write_timeout_ms: settings.number("groups.write_timeout_ms"),
            },
            metrics: MetricsConfig {
                topics_max: settings.number("metrics.topics_max"),
                groups_max: settings.number("metrics.groups_max"),
                partitions_max: settings.number("metrics.partitions_max"),
            },
            cluster,
            topic_defaults: settings.topic_defaults().clone(),
            settings,
        }
    }

    /// What no single option can check: how they fit together.
    fn check(&self) -> Result<(), ConfigProblems> {
        let mut problems = Vec::new();
        let mut problem = |key: &'static str, message: String| {
            // Several options under one name have no one place.
            let origin = self.settings.origin_of(key).unwrap_or(&Origin::Default).clone();
            problems.push(ConfigProblem { origin, message });
        };
        match &self.network.advertised {
            Some(address) if address.is_wildcard() => problem(
                "network.advertised",
                format!("network.advertised: {address} is not an address that a client can connect to"),
            ),
            None if self.network.listen.is_wildcard() => problem(
                "network.listen",
                format!(
                    "network.listen: {} means every address of this machine; set network.advertised to the one that \
                     clients should use",
                    self.network.listen
                ),
            ),
            _ => {}
        }
        let (shortest, longest) = (self.groups.session_timeout_ms_min, self.groups.session_timeout_ms_max);
        if shortest > longest {
            problem(
                "groups.session_timeout_ms_min",
                format!(
                    "groups.session_timeout_ms_min: {shortest} ms is more than session_timeout_ms_max, {longest} ms"
                ),
            );
        }
        cluster::problems(self, &mut problem);
        if let Err(error) = TopicConfig::resolve(&self.topic_defaults.layers(), &Default::default()) {
            problem("topic_defaults", format!("topic_defaults: {error}"));
        }
        if problems.is_empty() { Ok(()) } else { Err(ConfigProblems(problems)) }
    }
}

impl Default for NodeConfig {
    /// The defaults of the table, as with no file, no environment and no flags.
    fn default() -> Self {
        Self::from_settings(Settings::defaults())
    }
}

impl Settings {
    /// The cluster, if the node is in one.
    fn cluster(&self) -> Option<ClusterConfig> {
        Some(ClusterConfig {
            listen: self.address("cluster.listen")?,
            advertised_host: Some(self.text("cluster.advertised_host")).filter(|host| !host.is_empty()),
            voters: self.voters("cluster.voters"),
            // What is not set is empty, and refused by the check.
            ca_certificate: self.optional_path("cluster.ca_certificate").unwrap_or_default(),
            certificate: self.optional_path("cluster.certificate").unwrap_or_default(),
            key: self.optional_path("cluster.key").unwrap_or_default(),
            heartbeat_ms: self.number("cluster.heartbeat_ms"),
            session_timeout_ms: self.number("cluster.session_timeout_ms"),
            replica_lag_ms: self.number("cluster.replica_lag_ms"),
            replication_fetch_bytes_max: self.number("cluster.replication_fetch_bytes_max"),
        })
    }

    fn voters(&self, key: &str) -> Vec<Voter> {
        match self.value(key) {
            OptionValue::Voters(voters) => voters.clone(),
            other => unreachable!("option {key} is a list of voters, not {other:?}"),
        }
    }

    fn optional_path(&self, key: &str) -> Option<PathBuf> {
        match self.value(key) {
            OptionValue::Unset => None,
            _ => Some(self.path(key)),
        }
    }

    fn path(&self, key: &str) -> PathBuf {
        match self.value(key) {
            OptionValue::Path(path) => path.clone(),
            other => unreachable!("option {key} is a path, not {other:?}"),
        }
    }

    fn text(&self, key: &str) -> String {
        match self.value(key) {
            OptionValue::Text(text) => text.clone(),
            other => unreachable!("option {key} is a text, not {other:?}"),
        }
    }

    fn log_filter(&self, key: &str) -> LogFilter {
        match self.value(key) {
            OptionValue::LogFilter(filter) => filter.clone(),
            other => unreachable!("option {key} is a filter of diagnostics, not {other:?}"),
        }
    }

    fn boolean(&self, key: &str) -> bool {
        match self.value(key) {
            OptionValue::Boolean(value) => *value,
            other => unreachable!("option {key} is true or false, not {other:?}"),
        }
    }

    fn address(&self, key: &str) -> Option<HostPort> {
        match self.value(key) {
            OptionValue::Address(address) => Some(address.clone()),
            OptionValue::Unset => None,
            other => unreachable!("option {key} is an address, not {other:?}"),
        }
    }

    fn optional_number<N: TryFrom<u64>>(&self, key: &str) -> Option<N> {
        match self.value(key) {
            OptionValue::Unset => None,
            _ => Some(self.number(key)),
        }
    }

    fn number<N: TryFrom<u64>>(&self, key: &str) -> N {
        match self.value(key) {
            OptionValue::Number(number) => match N::try_from(*number) {
                Ok(number) => number,
                Err(_) => unreachable!("option {key} is bounded so that {number} fits its type"),
            },
            other => unreachable!("option {key} is a number, not {other:?}"),
        }
    }
}

#[cfg(test)]
mod tests;
