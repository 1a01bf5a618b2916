//! A broker's configuration, asked over the wire: what is not default, and what decides whether an
//! acknowledged record survives.

use std::io;
use std::net::SocketAddr;

use ringmain_protocol::ErrorCode;
use ringmain_protocol::messages::{
    ConfigResourceType, ConfigSource, DescribeConfigsRequest, DescribeConfigsResource,
    DescribeConfigsResponse, DescribedConfig,
};
use serde::Serialize;

use super::process::is_secret;
use crate::driver::wire::client::{Client, check, other};

/// Tells where a value came from, and is served by every broker of the last years.
const DESCRIBE_CONFIGS_VERSION: i16 = 1;

/// What is reported even if it is default: it decides what an acknowledgement is worth.
const DURABILITY_NAMES: [&str; 13] = [
    "flush.messages",
    "flush.ms",
    "flush.bytes",
    "write.caching",
    "log.flush.interval.messages",
    "log.flush.interval.ms",
    "log.flush.scheduler.interval.ms",
    "log.flush.offset.checkpoint.interval.ms",
    "min.insync.replicas",
    "unclean.leader.election.enable",
    "default.replication.factor",
    "acks",
    "fsync",
];
/// What is reported even if it is default: it decides how the work is done.
const WORK_NAMES: [&str; 11] = [
    "segment.bytes",
    "log.segment.bytes",
    "preallocate",
    "log.preallocate",
    "compression.type",
    "num.io.threads",
    "num.network.threads",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "max.message.bytes",
    "message.timestamp.type",
];

/// One setting in effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Setting {
    pub(crate) name: String,
    /// `None`: not set, or not told.
    pub(crate) value: Option<String>,
    /// What gave it its value.
    pub(crate) source: Source,
    /// Whether it bears on what an acknowledgement is worth.
    pub(crate) bears_on_durability: bool,
}

/// What gave a setting its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// Set on the topic.
    Topic,
    /// Set on the broker or the cluster while it runs.
    RunTime,
    /// The broker's file or command line.
    File,
    /// Nothing.
    Default,
    /// The broker did not say.
    Unknown,
}

impl Source {
    /// As a report says it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Topic => "set on the topic",
            Self::RunTime => "set at run time",
            Self::File => "set in the broker's file",
            Self::Default => "default",
            Self::Unknown => "source unknown",
        }
    }

    fn from_wire(number: i8) -> Self {
        match ConfigSource::from_number(number) {
            Some(ConfigSource::Topic) => Self::Topic,
            Some(ConfigSource::DynamicBroker | ConfigSource::DynamicDefaultBroker) => Self::RunTime,
            Some(ConfigSource::StaticBroker) => Self::File,
            Some(ConfigSource::Default) => Self::Default,
            _ => Self::Unknown,
        }
    }
}

/// The settings of a topic or a broker, sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings(Vec<Setting>);

impl Settings {
    /// Asks for the settings of a topic.
    pub(crate) fn of_topic(address: SocketAddr, topic: &str) -> io::Result<Self> {
        describe(address, ConfigResourceType::Topic, topic)
    }

    /// Asks for the settings of a broker.
    pub(crate) fn of_broker(address: SocketAddr, node_id: i32) -> io::Result<Self> {
        describe(address, ConfigResourceType::Broker, &node_id.to_string())
    }

    /// From settings in any order.
    pub(crate) fn new(mut settings: Vec<Setting>) -> Self {
        settings.sort_by(|left, right| left.name.cmp(&right.name));
        Self(settings)
    }

    /// The value of a setting that has one.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|setting| setting.name == name)?.value.as_deref()
    }

    /// The names of all settings.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|setting| setting.name.as_str())
    }

    /// Those that a report shows.
    pub(crate) fn worth_reporting(self) -> Vec<Setting> {
        let is_shown = |setting: &Setting| {
            setting.source != Source::Default
                || setting.bears_on_durability
                || WORK_NAMES.contains(&setting.name.as_str())
        };
        // A setting without a value that nobody set says nothing.
        let says_something = |setting: &Setting| setting.value.is_some() || setting.source != Source::Default;
        self.0.into_iter().filter(|setting| is_shown(setting) && says_something(setting)).collect()
    }
}

fn describe(address: SocketAddr, kind: ConfigResourceType, name: &str) -> io::Result<Settings> {
    let resource = DescribeConfigsResource {
        resource_type: kind.number(),
        resource_name: name,
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let mut client = Client::connect(address)?;
    let response: DescribeConfigsResponse<'_> = client.call(DESCRIBE_CONFIGS_VERSION, &request)?;
    let [result] = &response.results[..] else {
        return Err(other(format!("{} answers came for one resource", response.results.len())));
    };
    if result.error_code != ErrorCode::NONE {
        let message = result.error_message.as_deref().unwrap_or("no reason given");
        check(result.error_code, || format!("cannot describe the configuration ({message})"))?;
    }
    Ok(Settings::new(result.configs.iter().map(setting).collect()))
}

fn setting(config: &DescribedConfig<'_>) -> Setting {
    let is_hidden = config.is_sensitive || is_secret(&config.name);
    Setting {
        name: config.name.to_string(),
        value: config.value.as_ref().filter(|_| !is_hidden).map(ToString::to_string),
        source: Source::from_wire(config.config_source),
        bears_on_durability: DURABILITY_NAMES.contains(&&*config.name),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A setting as a broker would tell it.
    pub(crate) fn told(name: &str, value: Option<&str>, source: Source) -> Setting {
        setting(&DescribedConfig {
            name: name.into(),
            value: value.map(Into::into),
            config_source: match source {
                Source::Topic => 1,
                Source::RunTime => 2,
                Source::File => 4,
                Source::Default => 5,
                Source::Unknown => -1,
            },
            ..Default::default()
        })
    }

    #[test]
    fn defaults_are_left_out_unless_they_matter() {
        let settings = Settings::new(vec![
            told("retention.ms", Some("1"), Source::Default),
            told("segment.bytes", Some("2"), Source::Default),
            told("flush.messages", Some("3"), Source::Default),
            told("log.dirs", Some("/data"), Source::File),
            told("log.flush.interval.ms", None, Source::Default),
        ]);
        assert_eq!(settings.value("retention.ms"), Some("1"));
        let shown = settings.worth_reporting();
        let names: Vec<&str> = shown.iter().map(|setting| setting.name.as_str()).collect();
        assert_eq!(names, ["flush.messages", "log.dirs", "segment.bytes"]);
        assert!(shown[0].bears_on_durability && !shown[2].bears_on_durability);
    }

    #[test]
    fn what_is_sensitive_has_no_value() {
        let hidden = DescribedConfig {
            name: "x".into(),
            value: Some("y".into()),
            is_sensitive: true,
            ..Default::default()
        };
        assert_eq!(setting(&hidden).value, None);
        assert_eq!(told("ssl.keystore.password", Some("y"), Source::File).value, None);
        assert_eq!(setting(&hidden).source, Source::Unknown);
    }
}
