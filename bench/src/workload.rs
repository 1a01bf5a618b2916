//! Workload files: a scenario with its settings under a name that means something.
//!
//! ```toml
//! name = "small records, acknowledged one by one"
//! description = "Why anybody should want to know."
//! scenario = "produce"
//!
//! [load]                       # the scenario's flags
//! record-size = "1KiB"
//! records-per-request = 1
//!
//! [topic-config]
//! "flush.messages" = 1
//! ```
//!
//! A key that nobody knows, or that the scenario does not use, is an error with its name and line:
//! a setting that is ignored makes a figure that means something else.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::scenario::options::LoadOptions;
use crate::scenario::settings::Settings;
use crate::scenario::{Kind, Scenario};

/// A workload as it stands in its file.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Workload {
    /// What it measures, in a line.
    pub(crate) name: String,
    /// Why, and how to read the result.
    #[serde(default)]
    pub(crate) description: String,
    /// The scenario.
    pub(crate) scenario: Kind,
    /// Its settings; the flags of the command line win over them.
    #[serde(default)]
    load: LoadOptions,
    #[serde(default)]
    topic_config: toml::Table,
}

impl Workload {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let workload: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let given = workload.load.given().map_err(|error| error.to_string())?;
        let used = workload.scenario.options();
        if let Some(name) = given.keys().find(|name| !used.contains(&name.as_str())) {
            let line = line_of(text, name).map_or_else(String::new, |line| format!("line {line}: "));
            return Err(format!("{line}{} does not use {name}", workload.scenario.name()));
        }
        Ok(workload)
    }

    /// The scenario, with what the command line says instead.
    pub(crate) fn scenario(
        &self,
        flags: &LoadOptions,
        configs: &[(String, String)],
    ) -> Result<Scenario, String> {
        let options = flags.over(&self.load)?;
        let mut all: Vec<(String, String)> = self
            .topic_config
            .iter()
            .map(|(name, value)| Ok((name.clone(), config_value(name, value)?)))
            .collect::<Result<_, String>>()?;
        all.retain(|(name, _)| configs.iter().all(|(given, _)| given != name));
        all.extend(configs.iter().cloned());
        let settings = Settings::resolve(self.scenario, &options, all)?;
        Ok(Scenario { kind: self.scenario, settings })
    }
}

/// The value of a topic's config, which is text on the wire.
fn config_value(name: &str, value: &toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        toml::Value::Boolean(flag) => Ok(flag.to_string()),
        _ => Err(format!("the topic config {name} is neither text nor a number nor true or false")),
    }
}

/// Number of the line that begins with a key.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let is_key = |line: &str| {
        line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    text.lines().position(is_key).map(|index| index + 1)
}

/// A scenario's settings as given and completed, as a workload file has them.
pub(crate) fn to_toml(scenario: &Scenario) -> Result<String, toml::ser::Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct File {
        scenario: Kind,
        load: toml::Table,
        #[serde(skip_serializing_if = "toml::Table::is_empty")]
        topic_config: toml::Table,
        /// What the library was told; not a part of workload files.
        #[serde(skip_serializing_if = "toml::Table::is_empty")]
        librdkafka: toml::Table,
    }
    let configs = scenario.settings.configs.iter();
    let file = File {
        scenario: scenario.kind,
        load: scenario.settings.to_table(scenario.kind)?,
        topic_config: configs.map(|(name, value)| (name.clone(), value.clone().into())).collect(),
        librdkafka: librdkafka_settings(scenario)?,
    };
    toml::to_string(&file)
}

#[cfg(feature = "librdkafka")]
fn librdkafka_settings(scenario: &Scenario) -> Result<toml::Table, toml::ser::Error> {
    use serde::ser::Error;

    use crate::scenario::{librdkafka, options::Driver};

    if scenario.settings.driver != Driver::Librdkafka {
        return Ok(toml::Table::new());
    }
    let all = librdkafka::settings_of(scenario.kind, &scenario.settings);
    let all = all.map_err(toml::ser::Error::custom)?.into_iter();
    Ok(all.map(|(name, value)| (name.to_owned(), value.into())).collect())
}

#[cfg(not(feature = "librdkafka"))]
fn librdkafka_settings(_: &Scenario) -> Result<toml::Table, toml::ser::Error> {
    Ok(toml::Table::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name = \"n\"\nscenario = \"produce\"\n[load]\nrecord-size = \"1KiB\"\nrate = 5.0\n[topic-config]\n\"flush.messages\" = 1\n\"write.caching\" = true\n";

    #[test]
    fn flags_and_configs_win_over_the_file() {
        let workload = Workload::parse(TEXT).expect("parses");
        let flags = LoadOptions { rate: Some(7.0), ..LoadOptions::default() };
        let configs = [("flush.messages".to_owned(), "9".to_owned())];
        let scenario = workload.scenario(&flags, &configs).expect("is complete");
        assert_eq!((scenario.settings.rate, scenario.settings.record_size), (Some(7.0), 1024));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(scenario.settings.configs, [pair("write.caching", "true"), pair("flush.messages", "9")]);
    }

    #[test]
    fn unknown_and_unused_keys_are_named_with_their_line() {
        let unknown = Workload::parse(&TEXT.replace("rate", "raet")).expect_err("no such key");
        assert!(unknown.contains("raet") && unknown.contains("line 5"), "{unknown}");
        let unused = Workload::parse(&TEXT.replace("rate = 5.0", "passes = 3")).expect_err("not used");
        assert_eq!(unused, "line 5: produce does not use passes");
        let scenario = Workload::parse(&TEXT.replace("\"produce\"", "\"prodoose\"")).expect_err("none");
        assert!(scenario.contains("prodoose") && scenario.contains("line 2"), "{scenario}");
    }

    #[test]
    fn every_shipped_workload_is_complete() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads");
        let mut count = 0;
        for entry in fs::read_dir(folder).expect("workloads are shipped") {
            let path = entry.expect("an entry").path();
            let workload = Workload::read(&path).expect("parses");
            assert!(!workload.name.is_empty() && !workload.description.is_empty(), "{}", path.display());
            let scenario = workload.scenario(&LoadOptions::default(), &[]).expect("is complete");
            let again = to_toml(&scenario).expect("serializes");
            let named = format!("name = \"again\"\n{again}");
            Workload::parse(&named).unwrap_or_else(|error| panic!("{}: {error}\n{named}", path.display()));
            count += 1;
        }
        assert!(count >= 8, "{count} workloads");
    }
}
