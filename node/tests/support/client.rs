//! A real client behind a program of its own language; all these programs take the same words (see `python/exchange.py`).

use super::ran::{self, Release};
use super::server::Brokers;
use super::{languages, tools};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A client, ready to run.
pub(crate) struct Client {
    name: &'static str,
    version: String,
    /// The program and what it wants before the broker's address.
    words: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

impl Client {
    fn new(name: &'static str, version: &str, words: Vec<String>) -> Self {
        Self { name, version: version.to_owned(), words, environment: Vec::new() }
    }

    pub(crate) fn librdkafka(version: &str) -> Result<Self, String> {
        let python = tools::librdkafka(version)?.display().to_string();
        let words = vec![python, source("python/exchange.py")];
        Ok(Self::new("confluent-kafka (librdkafka)", version, words))
    }

    pub(crate) fn kafka_python(version: &str) -> Result<Self, String> {
        let python = languages::kafka_python(version)?.display().to_string();
        Ok(Self::new("kafka-python", version, vec![python, source("python/kafka_python.py")]))
    }

    pub(crate) fn kafkajs() -> Result<Self, String> {
        let (node, modules) = languages::javascript()?;
        let words = vec![node.display().to_string(), source("javascript/main.js")];
        let mut client = Self::new("kafkajs", &languages::node_version("kafkajs")?, words);
        client.environment = vec![
            ("NODE_PATH", modules.display().to_string()),
            ("KAFKAJS_NO_PARTITIONER_WARNING", "1".into()),
        ];
        Ok(client)
    }

    pub(crate) fn franz() -> Result<Self, String> {
        let program = languages::go_program("franz")?.display().to_string();
        Ok(Self::new("franz-go", &languages::go_version("github.com/twmb/franz-go")?, vec![program]))
    }

    /// `protocol`: the release of Kafka that the program says it talks to, or "default".
    pub(crate) fn sarama(protocol: &str) -> Result<Self, String> {
        let program = languages::go_program("sarama")?.display().to_string();
        let version = languages::go_version("github.com/IBM/sarama")?;
        let version = match protocol {
            "default" => version,
            pinned => format!("{version}, as for Kafka {pinned}"),
        };
        Ok(Self::new("sarama", &version, vec![program, protocol.to_owned()]))
    }

    pub(crate) fn java(version: &str) -> Result<Self, String> {
        let mut words = vec!["java".to_owned()];
        words.extend(tools::JAVA_OPTIONS.map(str::to_owned));
        words.extend(["-cp".into(), tools::java_program("client", version)?, "Exchange".into()]);
        Ok(Self::new("Java client", version, words))
    }

    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    /// The client's program with its first words.
    fn command(&self, brokers: &impl Brokers, words: &[&str]) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).arg(brokers.addresses()).args(words);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end; a failure fails the test.
    pub(crate) fn run(&self, brokers: &impl Brokers, words: &[&str]) -> String {
        tools::run(&mut self.command(brokers, words))
            .unwrap_or_else(|failure| panic!("{}: {failure}", self.title()))
    }

    /// Starts a command; all that it says goes to the end of a file.
    pub(crate) fn spawn(&self, brokers: &impl Brokers, words: &[&str], said: &Path) -> Child {
        let file = File::options().create(true).append(true).open(said).expect("a file can be made");
        let errors = file.try_clone().expect("a file handle can be copied");
        let mut command = self.command(brokers, words);
        let child = command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn();
        child.unwrap_or_else(|error| panic!("cannot start {}: {error}", self.title()))
    }

    /// Notes for the table of clients what this one has just done.
    pub(crate) fn did(&self, what: &str) {
        ran::note(self.name, Release::Pinned(&self.version), what);
    }
}

fn source(path: &str) -> String {
    tools::sources().join(path).display().to_string()
}
