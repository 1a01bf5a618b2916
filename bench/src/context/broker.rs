//! A broker as a report shows it: what it is, how it is configured, what its acknowledgements are
//! worth, and which process and disk it has.
//!
//! 1. Read its process, if it is known.
//! 2. Ask over the wire: versions and features, its own id and settings, its data directories.
//! 3. Create a topic as the scenario will, describe it, delete it (or describe the one that is given).
//! 4. Infer the software, derive the durability.
//!
//! It never fails: a broker may refuse any of this, run elsewhere, or belong to somebody else. What
//! could not be known is listed, and the measurement goes on.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use ringmain_protocol::ErrorCode;
use ringmain_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, DescribeLogDirsRequest, DescribeLogDirsResponse,
    MetadataRequest, MetadataResponse,
};
use serde::Serialize;

use super::clocks::process_rss_bytes;
use super::configuration::{Setting, Settings};
use super::disk::Disk;
use super::durability::Durability;
use super::process::Process;
use super::software::{Software, Told};
use crate::driver::wire::client::{CLIENT_ID, Client, other};
use crate::target::Target;

/// Tells features; brokers that do not serve it answer in version 0.
const API_VERSIONS_VERSION: i16 = 3;
const API_VERSIONS_FALLBACK: i16 = 0;
const METADATA_VERSION: i16 = 4;
const DESCRIBE_LOG_DIRS_VERSION: i16 = 1;

/// What a scenario wants of a broker, as far as it bears on the broker's configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    /// Of the producers, -1 for all; `None` if nothing is produced.
    pub(crate) acks: Option<i16>,
    /// The topic, if it exists; otherwise the scenario creates its own.
    pub(crate) topic: Option<&'a str>,
    /// Configs with which it creates them, beside the target's.
    pub(crate) configs: &'a [(String, String)],
}

/// Everything that a report says of one broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TargetFacts {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) software: Software,
    pub(crate) durability: Durability,
    /// Settings of the topic that is produced to or read from: not default, or bearing on the work.
    pub(crate) topic_configuration: Vec<Setting>,
    /// Settings of the broker, chosen in the same way.
    pub(crate) broker_configuration: Vec<Setting>,
    /// Its process before the measurement, if it was given and could be read.
    pub(crate) process: Option<Process>,
    /// Processes of the other nodes of its cluster.
    pub(crate) other_processes: Vec<u32>,
    /// Memory of its process after the measurement.
    pub(crate) rss_after_bytes: Option<u64>,
    /// Where it keeps its logs, as it says, or as the caller says.
    pub(crate) data_directories: Vec<PathBuf>,
    /// The volume below the first of them, if it is on this machine.
    pub(crate) disk: Option<Disk>,
    /// What was asked for and could not be known, with the reason.
    pub(crate) unknown: Vec<String>,
}

/// Describes a broker.
pub(crate) fn describe(target: &Target, terms: &Terms<'_>) -> TargetFacts {
    let address = target.address;
    let mut unknown = Vec::new();
    let mut known = |what: &str, error: io::Error| unknown.push(format!("{what}: {error}"));
    let process = target.processes.first().map(Process::of).transpose().unwrap_or_else(|error| {
        known("its process", error);
        None
    });
    let versions = api_versions(address).map_err(|error| known("served versions", error)).ok();
    let node_id = node_id(address).map_err(|error| known("its id", error)).ok();
    let broker = node_id.and_then(|id| {
        Settings::of_broker(address, id).map_err(|error| known("broker configuration", error)).ok()
    });
    let topic = topic_settings(target, terms).map_err(|error| known("topic configuration", error)).ok();
    let data_directories = data_directories(address).unwrap_or_else(|error| {
        known("data directories", error);
        target.data_dir.iter().cloned().collect()
    });
    let disk = data_directories.first().filter(|_| is_here(target)).and_then(|path| {
        Disk::of(path, target.processes.first())
            .map_err(|error| known("disk of the data directory", error))
            .ok()
    });
    let told = Told { versions: versions.as_ref(), topic: topic.as_ref(), broker: broker.as_ref() };
    let software = Software::infer(&told, process.as_ref());
    TargetFacts {
        name: target.name.clone(),
        address,
        durability: Durability::derive(software.kind, terms.acks, topic.as_ref()),
        software,
        topic_configuration: topic.map(Settings::worth_reporting).unwrap_or_default(),
        broker_configuration: broker.map(Settings::worth_reporting).unwrap_or_default(),
        process,
        other_processes: target.processes.ids().iter().skip(1).copied().collect(),
        rss_after_bytes: None,
        data_directories,
        disk,
        unknown,
    }
}

impl TargetFacts {
    /// Reads once more what a run changes.
    pub(crate) fn look_again(&mut self) {
        let pid = self.process.as_ref().map(|process| process.pid);
        self.rss_after_bytes = pid.and_then(|pid| process_rss_bytes(pid).ok());
    }
}

/// Whether the broker runs on this machine: its process is known, or it listens on loopback.
fn is_here(target: &Target) -> bool {
    target.processes.is_known() || target.address.ip().is_loopback()
}

/// What is served. An owned answer, since the connection that it came over ends here.
fn api_versions(address: SocketAddr) -> io::Result<ApiVersionsResponse<'static>> {
    let version = env!("CARGO_PKG_VERSION");
    let request = ApiVersionsRequest { client_software_name: CLIENT_ID, client_software_version: version };
    let mut response = ask_versions(address, API_VERSIONS_VERSION, &request);
    if response.is_err() {
        // The answer of a broker that does not serve this version has the form of version 0.
        response = ask_versions(address, API_VERSIONS_FALLBACK, &request);
    }
    let response = response?;
    if response.error_code != ErrorCode::NONE {
        return Err(other(format!("{}", response.error_code)));
    }
    Ok(response)
}

fn ask_versions(
    address: SocketAddr,
    version: i16,
    request: &ApiVersionsRequest<'_>,
) -> io::Result<ApiVersionsResponse<'static>> {
    let mut client = Client::connect(address)?;
    let response: ApiVersionsResponse<'_> = client.call(version, request)?;
    let owned = |name: &str| name.to_owned().into();
    let supported =
        response.supported_features.iter().map(|feature| ringmain_protocol::messages::SupportedFeature {
            name: owned(&feature.name),
            min_version: feature.min_version,
            max_version: feature.max_version,
        });
    Ok(ApiVersionsResponse {
        error_code: response.error_code,
        supported_features: supported.collect(),
        ..Default::default()
    })
}

/// The id of the broker that listens at `address`.
fn node_id(address: SocketAddr) -> io::Result<i32> {
    let request =
        MetadataRequest { topics: Some(Vec::new()), allow_auto_topic_creation: false, ..Default::default() };
    let mut client = Client::connect(address)?;
    let response: MetadataResponse<'_> = client.call(METADATA_VERSION, &request)?;
    let is_it = |port: i32, host: &str| {
        port == i32::from(address.port()) && (host == address.ip().to_string() || host == "localhost")
    };
    match &response.brokers[..] {
        [only] => Ok(only.node_id),
        several => several
            .iter()
            .find(|broker| is_it(broker.port, &broker.host))
            .map(|broker| broker.node_id)
            .ok_or_else(|| other(format!("none of {} brokers says that it listens there", several.len()))),
    }
}

fn topic_settings(target: &Target, terms: &Terms<'_>) -> io::Result<Settings> {
    let address = target.address;
    if let Some(topic) = terms.topic {
        return Settings::of_topic(address, topic);
    }
    let name = format!("ringmain-bench-probe-{}", std::process::id());
    let configs = [terms.configs, &target.configs].concat();
    Client::connect(address)?.create_topic(&name, 1, 1, &configs)?;
    let settings = Settings::of_topic(address, &name);
    let deleted = Client::connect(address).and_then(|mut client| client.delete_topic(&name));
    // What went wrong first is what the user should read.
    let settings = settings?;
    deleted?;
    Ok(settings)
}

fn data_directories(address: SocketAddr) -> io::Result<Vec<PathBuf>> {
    let request = DescribeLogDirsRequest { topics: Some(Vec::new()) };
    let mut client = Client::connect(address)?;
    let response: DescribeLogDirsResponse<'_> = client.call(DESCRIBE_LOG_DIRS_VERSION, &request)?;
    let usable = response.results.iter().filter(|folder| folder.error_code == ErrorCode::NONE);
    Ok(usable.map(|folder| PathBuf::from(&*folder.log_dir)).collect())
}
