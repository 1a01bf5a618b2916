//! Where the options come from: the defaults, then the file, then the environment, then flags; the later wins.
//!
//! Owns the walk over them and the report of everything that is wrong, with the place where it stands. Knows no option
//! by name: the table of [`super::options`] says which there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::layers::TopicDefaults;
use super::options::{OPTIONS, OptionDefinition, OptionValue, option_definition};
use super::suggestion::nearest;
use super::topic_definitions::{TOPIC_CONFIGS, topic_definition};

/// Keys under this prefix are topic configurations by Kafka's names.
const TOPIC_DEFAULTS_PREFIX: &str = "topic_defaults.";

/// Environment variables with this prefix are ours.
const ENVIRONMENT_PREFIX: &str = "RINGMAIN_";

/// Variables that belong to the command line tools and not to the node.
const TOOL_VARIABLES: [&str; 2] = ["RINGMAIN_BROKERS", "RINGMAIN_CONFIG"];

/// What is to be read, in the order in which it wins.
#[derive(Debug, Clone, Default)]
pub struct ConfigSources {
    /// The TOML file.
    pub file: Option<PathBuf>,
    /// Variables of the environment; others than ours are passed over.
    pub environment: Vec<(String, String)>,
    /// Keys given on the command line, each with the flag as it was written.
    pub flags: Vec<(String, String, String)>,
}

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: the default of the table.
    Default,
    /// In the file, at the line.
    File(PathBuf, usize),
    /// In the environment variable.
    Environment(String),
    /// By the flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Where it was written.
    pub origin: Origin,
    /// What is wrong and what to do.
    pub message: String,
}

/// Everything that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblems(pub Vec<ConfigProblem>);

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            match problem.origin {
                Origin::Default => f.write_str(&problem.message)?,
                _ => write!(f, "{}: {}", problem.origin, problem.message)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigProblems {}

/// The value of every option, with its origin.
#[derive(Debug, Clone)]
pub struct Settings {
    /// One entry for each row of the table.
    options: BTreeMap<&'static str, Setting>,
    topic_defaults: TopicDefaults,
}

#[derive(Debug, Clone)]
struct Setting {
    value: OptionValue,
    /// As it was given.
    text: String,
    origin: Origin,
}

impl Settings {
    /// The defaults of the table.
    pub fn defaults() -> Self {
        let setting = |option: &'static OptionDefinition| {
            let value = option.parse(option.default).expect("the table's defaults are tested to parse");
            (option.key, Setting { value, text: option.default.to_owned(), origin: Origin::Default })
        };
        Self { options: OPTIONS.iter().map(setting).collect(), topic_defaults: TopicDefaults::default() }
    }

    /// Reads every source.
    pub fn gather(sources: &ConfigSources) -> Result<Self, ConfigProblems> {
        let mut settings = Self::defaults();
        let mut problems = Vec::new();
        if let Some(path) = &sources.file {
            settings.read_file(path, &mut problems);
        }
        for (variable, value) in &sources.environment {
            settings.read_variable(variable, value, &mut problems);
        }
        for (key, value, flag) in &sources.flags {
            settings.set(key, value, Origin::Flag(flag.clone()), &mut problems);
        }
        if problems.is_empty() { Ok(settings) } else { Err(ConfigProblems(problems)) }
    }

    /// The parsed value of an option of the table.
    pub fn value(&self, key: &str) -> &OptionValue {
        &self.setting(key).value
    }

    /// Where the value of an option was given.
    pub fn origin(&self, key: &str) -> &Origin {
        &self.setting(key).origin
    }

    /// Where the value of an option was given, if there is such an option.
    pub fn origin_of(&self, key: &str) -> Option<&Origin> {
        self.options.get(key).map(|setting| &setting.origin)
    }

    /// Whether anything gives the option a value.
    pub fn is_set(&self, key: &str) -> bool {
        *self.origin(key) != Origin::Default
    }

    /// The options that were given a value, as it was written.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let given = self.options.iter().filter(|(_, setting)| setting.origin != Origin::Default);
        given.map(|(key, setting)| (*key, setting.text.as_str()))
    }

    /// An option as it was written, or as the table has it.
    pub fn given_or_default(&self, key: &str) -> &str {
        &self.setting(key).text
    }

    /// The keys of what has another value there, topic configurations included.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let options = self.options.iter().filter(|(key, setting)| setting.value != *other.value(key));
        let mut keys: Vec<String> = options.map(|(key, _)| (*key).to_owned()).collect();
        let defaults = [self, other].map(|it| it.topic_defaults.iter().collect::<BTreeMap<_, _>>());
        let names: BTreeSet<_> = defaults.iter().flat_map(|it| it.keys()).collect();
        let differs = names.into_iter().filter(|name| defaults[0].get(*name) != defaults[1].get(*name));
        keys.extend(differs.map(|name| format!("{TOPIC_DEFAULTS_PREFIX}{name}")));
        keys
    }

    /// Every option: its key, its value as it was written, and where.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &str, &Origin)> {
        self.options.iter().map(|(key, setting)| (*key, setting.text.as_str(), &setting.origin))
    }

    /// The topic configurations that the node's own configuration sets.
    pub fn topic_defaults(&self) -> &TopicDefaults {
        &self.topic_defaults
    }

    fn setting(&self, key: &str) -> &Setting {
        match self.options.get(key) {
            Some(setting) => setting,
            None => unreachable!("{key} is not in the table of options"),
        }
    }

    fn read_file(&mut self, path: &Path, problems: &mut Vec<ConfigProblem>) {
        let at = |line| Origin::File(path.to_owned(), line);
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("cannot read the configuration file {}: {error}", path.display());
                return problems.push(ConfigProblem { origin: Origin::Default, message });
            }
        };
        let line_of = |position: usize| text[..position.min(text.len())].matches('\n').count() + 1;
        let table = match DeTable::parse(&text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                let line = error.span().map_or(1, |span| line_of(span.start));
                return problems
                    .push(ConfigProblem { origin: at(line), message: error.message().to_owned() });
            }
        };
        let mut entries = Vec::new();
        flatten(&table, "", &mut entries);
        // In the order of the file, so that problems are listed in it.
        entries.sort_by_key(|entry| entry.position);
        for Entry { key, position, value } in entries {
            match value {
                Some(value) => self.set(&key, &value, at(line_of(position)), problems),
                None => problems.push(ConfigProblem {
                    origin: at(line_of(position)),
                    message: format!("{key}: write a text, a number, true or false"),
                }),
            }
        }
    }

    fn read_variable(&mut self, variable: &str, value: &str, problems: &mut Vec<ConfigProblem>) {
        let Some(rest) = variable.strip_prefix(ENVIRONMENT_PREFIX) else { return };
        if TOOL_VARIABLES.contains(&variable) {
            return;
        }
        let origin = Origin::Environment(variable.to_owned());
        let as_variable = |key: &str| key.replace('.', "_").to_ascii_uppercase();
        if let Some(option) = OPTIONS.iter().find(|option| as_variable(option.key) == rest) {
            return self.set(option.key, value, origin, problems);
        }
        if let Some(name) = rest.strip_prefix("TOPIC_DEFAULTS_")
            && let Some(definition) = TOPIC_CONFIGS.iter().find(|d| as_variable(d.name) == name)
        {
            let key = format!("{TOPIC_DEFAULTS_PREFIX}{}", definition.name);
            return self.set(&key, value, origin, problems);
        }
        let known: Vec<String> = OPTIONS.iter().map(OptionDefinition::environment_variable).collect();
        let suggestion = nearest(variable, known.iter().map(String::as_str));
        problems.push(ConfigProblem { origin, message: unknown("is not an option", suggestion) });
    }

    fn set(&mut self, key: &str, text: &str, origin: Origin, problems: &mut Vec<ConfigProblem>) {
        let result = match key.strip_prefix(TOPIC_DEFAULTS_PREFIX) {
            Some(name) => self.set_topic_default(name, text, &origin),
            None => self.set_option(key, text, &origin),
        };
        if let Err(message) = result {
            problems.push(ConfigProblem { origin, message });
        }
    }

    fn set_option(&mut self, key: &str, text: &str, origin: &Origin) -> Result<(), String> {
        let Some(option) = option_definition(key) else {
            let suggestion = nearest(key, OPTIONS.iter().map(|option| option.key));
            return Err(unknown(&format!("unknown option '{key}'"), suggestion));
        };
        let mut value = option.parse(text).map_err(|error| format!("{key}: {error}"))?;
        if let (OptionValue::Path(path), Origin::File(file, _)) = (&mut value, origin)
            && let Some(directory) = file.parent()
        {
            *path = directory.join(&*path);
        }
        self.options.insert(option.key, Setting { value, text: text.to_owned(), origin: origin.clone() });
        Ok(())
    }

    fn set_topic_default(&mut self, name: &str, text: &str, _origin: &Origin) -> Result<(), String> {
        let Some(definition) = topic_definition(name) else {
            let suggestion = nearest(name, TOPIC_CONFIGS.iter().map(|d| d.name));
            return Err(unknown(&format!("unknown topic configuration '{name}'"), suggestion));
        };
        let value = definition.parse(text).map_err(|error| error.to_string())?;
        self.topic_defaults.set(definition, value.to_string());
        Ok(())
    }
}

fn unknown(what: &str, suggestion: Option<&str>) -> String {
    match suggestion {
        Some(name) => format!("{what}; did you mean '{name}'?"),
        None => format!("{what}; docs/operating.md lists them all"),
    }
}

/// A value of the file under its full key; `None` where it is of a type that no option has.
struct Entry {
    key: String,
    position: usize,
    value: Option<String>,
}

/// Brings nested tables to full keys, so that `[a] b = 1` and `a.b = 1` are the same.
fn flatten(table: &DeTable<'_>, prefix: &str, entries: &mut Vec<Entry>) {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.get_ref());
        let position = name.span().start;
        let text = match value.get_ref() {
            DeValue::Table(table) => {
                flatten(table, &format!("{key}."), entries);
                continue;
            }
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(number) => Some(number.as_str().to_owned()),
            DeValue::Float(number) => Some(number.as_str().to_owned()),
            DeValue::Boolean(value) => Some(value.to_string()),
            DeValue::Array(items) => list_text(items),
            DeValue::Datetime(_) => None,
        };
        entries.push(Entry { key, position, value: text });
    }
}

/// A list of texts as Kafka writes lists.
fn list_text(items: &toml::de::DeArray<'_>) -> Option<String> {
    let texts: Option<Vec<&str>> = items
        .iter()
        .map(|item| match item.get_ref() {
            DeValue::String(text) => Some(text.as_ref()),
            _ => None,
        })
        .collect();
    texts.map(|texts| texts.join(","))
}
