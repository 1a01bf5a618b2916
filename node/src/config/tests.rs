//! Loading from every source, and the reference against the table.

use super::*;

/// A file that is removed with the value.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ringmain-config-{}-{name}.toml", std::process::id()));
        std::fs::write(&path, text).expect("the temporary directory is writable");
        Self(path)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // Nothing depends on its removal.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn load_file(name: &str, text: &str) -> Result<NodeConfig, String> {
    let file = TemporaryFile::new(name, text);
    let sources = ConfigSources { file: Some(file.0.clone()), ..ConfigSources::default() };
    let shown = file.0.display().to_string();
    NodeConfig::load(&sources).map_err(|problems| problems.to_string().replace(&shown, "FILE"))
}

#[test]
fn defaults_are_a_node_on_loopback() {
    let config = NodeConfig::default();
    assert_eq!(config.network.listen.to_string(), "127.0.0.1:9092");
    assert_eq!(config.advertised_address(9092).to_string(), "127.0.0.1:9092");
    assert_eq!(config.shards, Shards::Auto);
    assert_eq!(config.limits.request_bytes_max, 100 << 20);
    assert_eq!(config.data_dir, PathBuf::from("./ringmain-data"));
}

#[test]
fn a_file_sets_options_nested_or_dotted() {
    let config = load_file(
        "nested",
        "data_dir = '/var/lib/ringmain'\nshards = 2\nlimits.connection_idle_ms = '30s'\n\
         [network]\nlisten = '0.0.0.0:9092'\nadvertised = 'broker.example:9092'\nadmin = 'off'\n\
         [topic_defaults]\nretention.ms = 1000\n'cleanup.policy' = ['delete', 'compact']\nwrite.caching = true\n",
    )
    .expect("valid");
    assert_eq!(config.shards, Shards::Count(2));
    assert_eq!(config.limits.connection_idle_ms, 30_000);
    assert_eq!(config.network.admin, None);
    assert_eq!(config.advertised_address(1).to_string(), "broker.example:9092");
    assert_eq!(config.topic_defaults.get("retention.ms"), Some("1000"));
    assert_eq!(config.topic_defaults.get("cleanup.policy"), Some("delete,compact"));
    assert_eq!(config.topic_defaults.get("write.caching"), Some("true"));
}

#[test]
fn every_problem_is_reported_with_its_line() {
    let problems = load_file(
        "problems",
        "dta_dir = 'x'\nshards = 0\n[limits]\nconnection_idel_ms = 5\n[topic_defaults]\nretention.m = 4\n\
         segment.bytes = 1\n",
    )
    .expect_err("invalid");
    assert_eq!(
        problems,
        "FILE:1: unknown option 'dta_dir'; did you mean 'data_dir'?\n\
         FILE:2: shards: 0 is less than the smallest allowed, 1\n\
         FILE:4: unknown option 'limits.connection_idel_ms'; did you mean 'limits.connection_idle_ms'?\n\
         FILE:6: unknown topic configuration 'retention.m'; did you mean 'retention.ms'?\n\
         FILE:7: Invalid value 1 for configuration segment.bytes: Value must be at least 1048576"
    );
}

#[test]
fn a_file_that_is_not_toml_names_its_line() {
    let problem = load_file("syntax", "shards = 1\nnetwork = [\n").expect_err("invalid");
    assert!(problem.starts_with("FILE:"), "{problem}");
}

#[test]
fn a_missing_file_is_a_sentence() {
    let sources =
        ConfigSources { file: Some(PathBuf::from("/nonexistent.toml")), ..ConfigSources::default() };
    let problems = NodeConfig::load(&sources).expect_err("missing").to_string();
    assert!(problems.starts_with("cannot read the configuration file /nonexistent.toml:"), "{problems}");
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = TemporaryFile::new("order", "shards = 1\nnode_id = 1\nlog_level = 'warn'\n");
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let sources = ConfigSources {
        file: Some(file.0.clone()),
        environment: vec![
            variable("RINGMAIN_SHARDS", "2"),
            variable("RINGMAIN_NODE_ID", "2"),
            variable("RINGMAIN_TOPIC_DEFAULTS_RETENTION_MS", "9"),
            variable("RINGMAIN_BROKERS", "elsewhere:9092"),
            variable("PATH", "/bin"),
        ],
        flags: vec![("shards".to_owned(), "3".to_owned(), "--shards".to_owned())],
    };
    let config = NodeConfig::load(&sources).expect("valid");
    assert_eq!(config.shards, Shards::Count(3));
    assert_eq!(config.node_id, 2);
    assert_eq!(config.log_level.to_string(), "warn");
    assert_eq!(config.topic_defaults.get("retention.ms"), Some("9"));
    assert_eq!(config.settings.origin("shards"), &Origin::Flag("--shards".to_owned()));
}

#[test]
fn an_unknown_variable_of_ours_is_a_problem() {
    let sources = ConfigSources {
        environment: vec![("RINGMAIN_DATADIR".to_owned(), "x".to_owned())],
        ..ConfigSources::default()
    };
    let problems = NodeConfig::load(&sources).expect_err("unknown").to_string();
    assert_eq!(
        problems,
        "environment variable RINGMAIN_DATADIR: is not an option; did you mean 'RINGMAIN_DATA_DIR'?"
    );
}

#[test]
fn a_wildcard_needs_an_advertised_address() {
    let problem = load_file("wildcard", "network.listen = '0.0.0.0:9092'\n").expect_err("invalid");
    assert!(problem.contains("set network.advertised"), "{problem}");
    let problem =
        load_file("advertised", "network.listen = '0.0.0.0:9092'\nnetwork.advertised = '0.0.0.0:9092'\n")
            .expect_err("invalid");
    assert!(problem.contains("not an address that a client can connect to"), "{problem}");
}

#[test]
fn options_and_their_kafka_names_point_at_each_other() {
    use broker_definitions::BrokerValue;
    for row in &broker_definitions::BROKER_CONFIGS {
        if let BrokerValue::Option(key) | BrokerValue::Minutes(key) = row.value {
            assert!(options::option_definition(key).is_some(), "{}", row.definition.name);
        }
    }
    for option in &options::OPTIONS {
        if let Some(name) = option.kafka_name {
            let row = broker_definitions::broker_definition(name).expect(name);
            let points_back = [BrokerValue::Option(option.key), BrokerValue::Minutes(option.key)];
            assert!(points_back.contains(&row.value), "{name}");
        }
    }
}
