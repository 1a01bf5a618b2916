//! A broker to measure: how it is reached, and which process it is.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use serde::Serialize;

use crate::processes::Processes;

/// A broker, and how the topics that are created on it are configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Target {
    /// As the report calls it.
    pub(crate) name: String,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its process if it runs on this machine, or those of all nodes of its cluster.
    pub(crate) processes: Processes,
    /// Where it keeps its partitions, to take their files out of the page cache.
    pub(crate) data_dir: Option<PathBuf>,
    /// Configs of its topics, beside those of the load.
    pub(crate) configs: Vec<(String, String)>,
}

impl Target {
    /// Reads `NAME=HOST:PORT[,pid=PID[+PID]...][,data-dir=DIR][,TOPIC-CONFIG=VALUE]...`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let (name, address) = name_and_value(parts.next().unwrap_or_default())?;
        let mut target = Self {
            name,
            address: resolve(&address)?,
            processes: Processes::default(),
            data_dir: None,
            configs: Vec::new(),
        };
        for part in parts {
            match name_and_value(part)? {
                (name, value) if name == "pid" => target.processes = Processes::parse(&value)?,
                (name, value) if name == "data-dir" => target.data_dir = Some(value.into()),
                config => target.configs.push(config),
            }
        }
        Ok(target)
    }
}

/// The first address of HOST:PORT.
pub(crate) fn resolve(text: &str) -> Result<SocketAddr, String> {
    let mut addresses = text.to_socket_addrs().map_err(|error| format!("{text}: {error}"))?;
    addresses.next().ok_or_else(|| format!("{text} has no address"))
}

/// NAME=VALUE.
pub(crate) fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{text} is not NAME=VALUE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_carry_their_configs() {
        let text = "kafka=127.0.0.1:9192,pid=12,data-dir=/var/lib/kafka,flush.messages=1";
        let target = Target::parse(text).expect("parses");
        assert_eq!((target.name.as_str(), target.processes.ids()), ("kafka", &[12][..]));
        assert_eq!(target.data_dir, Some("/var/lib/kafka".into()));
        assert_eq!(target.configs, [("flush.messages".to_owned(), "1".to_owned())]);
        assert!(Target::parse("127.0.0.1:9192").is_err());
        assert!(Target::parse("a=127.0.0.1:1,pid=x").is_err());
    }
}
