//! Which broker this is, and which release of it.
//!
//! Kafka's protocol has no field for either, so both are inferred: from what the broker serves and
//! which settings it knows, and more exactly from its process where that runs on this machine.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use ringmain_protocol::messages::ApiVersionsResponse;
use serde::Serialize;

use super::configuration::Settings;
use super::process::Process;

/// The feature whose greatest level tells a Kafka release, and the release of each level.
const KAFKA_FEATURE: &str = "metadata.version";
const KAFKA_LEVELS: [(i16, i16, &str); 5] =
    [(20, 20, "3.8"), (21, 21, "3.9"), (22, 25, "4.0"), (26, 27, "4.1"), (28, 29, "4.2")];
/// What names of settings begin with that only one broker has.
const REDPANDA_PREFIX: &str = "redpanda.";
const RINGMAIN_ONLY: [&str; 2] = ["write.caching", "validation.level"];
/// Kafka's jars whose names end in its version.
const KAFKA_JARS: [&str; 2] = ["kafka-server-common-", "kafka_2.1"];
/// The gauge whose labels name the build.
const BUILD_METRIC: &str = "ringmain_build_info{";
/// A metrics page is asked once, on this machine.
const METRICS_WAIT: Duration = Duration::from_secs(3);
const METRICS_BYTES_MAX: u64 = 4 << 20;

/// A broker whose ways are known, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Kafka,
    Ringmain,
    Redpanda,
    Unknown,
}

/// A broker's software.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Software {
    pub(crate) kind: Kind,
    /// As a report names it.
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    /// The commit that it was built from, where it says.
    pub(crate) commit: Option<String>,
    /// What this was inferred from.
    pub(crate) grounds: String,
}

/// What a broker told of itself over the wire.
#[derive(Debug, Default)]
pub(crate) struct Told<'a> {
    pub(crate) versions: Option<&'a ApiVersionsResponse<'a>>,
    pub(crate) topic: Option<&'a Settings>,
    pub(crate) broker: Option<&'a Settings>,
}

impl Software {
    /// Infers it.
    pub(crate) fn infer(told: &Told<'_>, process: Option<&Process>) -> Self {
        let jar = process.and_then(kafka_jar);
        let level = told.versions.and_then(kafka_level);
        let knows =
            |name: &str| told.topic.is_some_and(|topic| topic.names().any(|known| known.starts_with(name)));
        if knows(REDPANDA_PREFIX) {
            return Self::new(Kind::Redpanda, "Redpanda", "its topics have settings of Redpanda's own");
        }
        if RINGMAIN_ONLY.iter().all(|name| knows(name)) {
            let software =
                Self::new(Kind::Ringmain, "Ringmain", "its topics have settings of Ringmain's own");
            return software.with_ringmain_build(process);
        }
        if let Some(jar) = jar {
            let version =
                jar.trim_end_matches(".jar").rsplit_once('-').map(|(_, version)| version.to_owned());
            let kafka = Self::new(Kind::Kafka, "Apache Kafka", &format!("its process has {jar}"));
            return Self { version, ..kafka };
        }
        if let Some(level) = level {
            let release =
                KAFKA_LEVELS.iter().find(|(least, greatest, _)| (*least..=*greatest).contains(&level));
            let grounds = format!("over the wire: {KAFKA_FEATURE} up to {level}");
            let version = release.map(|(_, _, release)| format!("{release}.x"));
            return Self { version, ..Self::new(Kind::Kafka, "Apache Kafka", &grounds) };
        }
        let zookeeper =
            told.broker.is_some_and(|broker| broker.names().any(|name| name == "zookeeper.connect"));
        if zookeeper {
            return Self::new(Kind::Kafka, "Apache Kafka", "its settings name ZooKeeper");
        }
        Self::new(Kind::Unknown, "unknown", "nothing that it told or that its process shows names it")
    }

    fn new(kind: Kind, name: &str, grounds: &str) -> Self {
        Self { kind, name: name.to_owned(), version: None, commit: None, grounds: grounds.to_owned() }
    }

    /// Adds what the metrics page of a Ringmain on this machine says of its build.
    fn with_ringmain_build(mut self, process: Option<&Process>) -> Self {
        let address = process.and_then(|process| argument(&process.command_line, "--admin"));
        let page = address.and_then(metrics_page);
        if let Some(labels) = page.as_deref().and_then(build_labels) {
            self.version = label(labels, "version");
            self.commit = label(labels, "commit");
            self.grounds += "; its metrics name the build";
        }
        self
    }
}

/// The greatest level of the metadata format that the broker supports: each release has its own.
fn kafka_level(versions: &ApiVersionsResponse<'_>) -> Option<i16> {
    let features = versions.supported_features.iter();
    features.filter(|feature| feature.name == KAFKA_FEATURE).map(|feature| feature.max_version).max()
}

/// A jar of the class path, or that is open, whose name tells Kafka's version.
fn kafka_jar(process: &Process) -> Option<String> {
    let class_path = argument(&process.command_line, "-cp")
        .or_else(|| argument(&process.command_line, "-classpath"))
        .or_else(|| argument(&process.command_line, "--class-path"));
    let on_path = class_path.into_iter().flat_map(|path| path.split(':')).flat_map(|entry| {
        match entry.strip_suffix('*') {
            Some(folder) => file_names(folder),
            None => file_name(Path::new(entry)).into_iter().collect(),
        }
    });
    let descriptors = fs::read_dir(format!("/proc/{}/fd", process.pid)).into_iter().flatten().flatten();
    let open = descriptors.filter_map(|descriptor| file_name(&fs::read_link(descriptor.path()).ok()?));
    on_path
        .chain(open)
        .find(|name| name.ends_with(".jar") && KAFKA_JARS.iter().any(|jar| name.starts_with(jar)))
}

fn file_names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn file_name(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

/// The argument behind `name`, or in `name=...`.
fn argument<'p>(command_line: &'p [String], name: &str) -> Option<&'p str> {
    let at = command_line.iter().position(|word| word == name);
    let behind = at.and_then(|at| command_line.get(at + 1)).map(String::as_str);
    behind.or_else(|| command_line.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')))
}

/// `GET /metrics`; `None` if that fails in any way: a report then says less, which it shows.
fn metrics_page(address: &str) -> Option<String> {
    let address = address.to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&address, METRICS_WAIT).ok()?;
    stream.set_read_timeout(Some(METRICS_WAIT)).ok()?;
    stream.set_write_timeout(Some(METRICS_WAIT)).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut page = String::new();
    stream.take(METRICS_BYTES_MAX).read_to_string(&mut page).ok()?;
    Some(page)
}

/// What stands in braces behind the build metric's name.
fn build_labels(page: &str) -> Option<&str> {
    let line = page.lines().find_map(|line| line.strip_prefix(BUILD_METRIC))?;
    Some(line.split_once('}')?.0)
}

/// The value of `name="value"` among labels.
fn label(labels: &str, name: &str) -> Option<String> {
    let value = labels.split(',').find_map(|label| label.trim().strip_prefix(name)?.strip_prefix('='))?;
    let value = value.trim_matches('"');
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use ringmain_protocol::messages::SupportedFeature;

    use super::super::configuration::Source;
    use super::super::configuration::tests::told;
    use super::*;

    fn settings(names: &[&str]) -> Settings {
        Settings::new(names.iter().map(|name| told(name, Some("x"), Source::Default)).collect())
    }

    fn with_topic(names: &[&str]) -> Software {
        Software::infer(&Told { topic: Some(&settings(names)), ..Told::default() }, None)
    }

    #[test]
    fn settings_of_its_own_tell_a_broker() {
        assert_eq!(with_topic(&["write.caching", "validation.level"]).kind, Kind::Ringmain);
        assert_eq!(with_topic(&["write.caching", "redpanda.remote.read"]).kind, Kind::Redpanda);
        assert_eq!(with_topic(&["write.caching", "flush.ms"]).kind, Kind::Unknown);
        assert_eq!(Software::infer(&Told::default(), None).kind, Kind::Unknown);
        let broker = settings(&["zookeeper.connect"]);
        assert_eq!(
            Software::infer(&Told { broker: Some(&broker), ..Told::default() }, None).kind,
            Kind::Kafka
        );
    }

    #[test]
    fn the_metadata_level_tells_kafkas_release() {
        let release = |max_version| {
            let feature = SupportedFeature { name: KAFKA_FEATURE.into(), min_version: 1, max_version };
            let versions = ApiVersionsResponse { supported_features: vec![feature], ..Default::default() };
            let found = Software::infer(&Told { versions: Some(&versions), ..Told::default() }, None);
            assert_eq!(found.kind, Kind::Kafka);
            found.version
        };
        assert_eq!(release(21).as_deref(), Some("3.9.x"));
        assert_eq!(release(29).as_deref(), Some("4.2.x"));
        assert_eq!(release(99), None);
    }

    #[test]
    fn arguments_stand_behind_their_names_or_in_them() {
        let line: Vec<String> = ["java", "-cp", "/a/*:/b.jar", "--admin=x:1"].map(str::to_owned).into();
        assert_eq!(argument(&line, "-cp"), Some("/a/*:/b.jar"));
        assert_eq!(argument(&line, "--admin"), Some("x:1"));
        assert_eq!(argument(&line, "--adm"), None);
    }

    #[test]
    fn the_build_is_read_from_its_labels() {
        let page = "# HELP\nringmain_build_info{version=\"0.1.0\",commit=\"abc\"} 1\n";
        let labels = build_labels(page).expect("is there");
        assert_eq!(label(labels, "version").as_deref(), Some("0.1.0"));
        assert_eq!(label(labels, "commit").as_deref(), Some("abc"));
        assert_eq!(label(labels, "date"), None);
        assert_eq!(build_labels("ringmain_requests_total 1\n"), None);
    }
}
