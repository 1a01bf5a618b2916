//! The node's own options: what may be written for one, and how it is read. `table` lists them.
//!
//! An option `a.b` is the key `b` of the table `[a]` in the file, `RINGMAIN_A_B` in the environment, and `--set a.b=..`
//! on the command line; the frequent ones have a flag of their own. The reference in `docs/operating.md` is tested
//! against this table.

mod table;

use std::path::PathBuf;

pub use self::table::OPTIONS;
use OptionKind::{
    Address, AddressOr, Boolean, Bytes, Count, CountOrAuto, LogLevels, Milliseconds, OneOf, OptionalPath,
    Path, Text, Voters,
};

use super::cluster::Voter;
use super::log_filter::LogFilter;
use super::quantity::{HostPort, parse_bytes, parse_milliseconds};

/// One option of the node.
#[derive(Debug)]
pub struct OptionDefinition {
    /// Its key in the file.
    pub key: &'static str,
    /// What may be written.
    pub kind: OptionKind,
    /// The default, written as in the file.
    pub default: &'static str,
    /// Kafka's name for the same, under which DescribeConfigs shows it.
    pub kafka_name: Option<&'static str>,
    /// What it is for.
    pub documentation: &'static str,
    /// What a larger or another value costs.
    pub cost: &'static str,
}

/// What may be written for an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionKind {
    /// A path; a relative one in a file is relative to the file's directory, elsewhere to the working directory.
    Path,
    /// A path, or empty for "not set".
    OptionalPath,
    /// Any text; empty is "not set".
    Text,
    /// `true` or `false`.
    Boolean,
    /// One of a few words.
    OneOf(&'static [&'static str]),
    /// `HOST:PORT`.
    Address,
    /// `HOST:PORT`, or a word that stands for none.
    AddressOr(&'static str),
    /// A size, with its bounds.
    Bytes(u64, u64),
    /// A time, with its bounds in milliseconds.
    Milliseconds(u64, u64),
    /// A number, with its bounds.
    Count(u64, u64),
    /// A number with its bounds, or `auto`.
    CountOrAuto(u64, u64),
    /// A list of `ID@HOST:PORT`.
    Voters,
    /// A level, and levels of modules.
    LogLevels,
}

/// The value of an option, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionValue {
    /// Of [`OptionKind::Path`] and [`OptionKind::OptionalPath`].
    Path(PathBuf),
    /// Of [`OptionKind::Text`] and [`OptionKind::OneOf`].
    Text(String),
    /// Of [`OptionKind::Boolean`].
    Boolean(bool),
    /// Of [`OptionKind::Address`] and [`OptionKind::AddressOr`].
    Address(HostPort),
    /// Of sizes, times and numbers.
    Number(u64),
    /// Of [`OptionKind::Voters`].
    Voters(Vec<Voter>),
    /// Of [`OptionKind::LogLevels`].
    LogFilter(LogFilter),
    /// `auto`, no path, or the word that stands for no address.
    Unset,
}

impl OptionDefinition {
    /// The environment variable that sets it.
    pub fn environment_variable(&self) -> String {
        format!("RINGMAIN_{}", self.key.replace('.', "_").to_ascii_uppercase())
    }

    /// Parses and checks a value; the error is a sentence without the option's name.
    pub fn parse(&self, text: &str) -> Result<OptionValue, String> {
        let text = text.trim();
        match self.kind {
            Path if text.is_empty() => Err("the path is empty".to_owned()),
            OptionalPath if text.is_empty() => Ok(OptionValue::Unset),
            Path | OptionalPath => Ok(OptionValue::Path(PathBuf::from(text))),
            Voters => Voter::parse_list(text).map(OptionValue::Voters),
            LogLevels => LogFilter::parse(text).map(OptionValue::LogFilter),
            Text => Ok(OptionValue::Text(text.to_owned())),
            Boolean => match text {
                "true" => Ok(OptionValue::Boolean(true)),
                "false" => Ok(OptionValue::Boolean(false)),
                _ => Err(format!("'{text}' is neither true nor false")),
            },
            OneOf(words) if words.contains(&text) => Ok(OptionValue::Text(text.to_owned())),
            OneOf(words) => Err(format!("'{text}' is none of {}", words.join(", "))),
            AddressOr(word) if text == word => Ok(OptionValue::Unset),
            Address | AddressOr(_) => HostPort::parse(text).map(OptionValue::Address),
            CountOrAuto(..) if text == "auto" => Ok(OptionValue::Unset),
            Bytes(least, most) => within(parse_bytes(text)?, least, most),
            Milliseconds(least, most) => within(parse_milliseconds(text)?, least, most),
            Count(least, most) | CountOrAuto(least, most) => {
                let number = text.parse().map_err(|_| format!("'{text}' is not a number"))?;
                within(number, least, most)
            }
        }
    }

    /// What may be written, for the reference.
    pub fn unit(&self) -> String {
        match self.kind {
            Path | OptionalPath => "path".to_owned(),
            Voters => "list of ID@HOST:PORT".to_owned(),
            LogLevels => "error, warn, info, debug, trace; MODULE=LEVEL".to_owned(),
            Text => "text".to_owned(),
            Boolean => "true or false".to_owned(),
            OneOf(words) => words.join(", "),
            Address => "HOST:PORT".to_owned(),
            AddressOr(word) => format!("HOST:PORT or {word}"),
            Bytes(..) => "bytes, or with KiB, MiB, GiB".to_owned(),
            Milliseconds(..) => "milliseconds, or with s, m, h, d".to_owned(),
            Count(least, most) => format!("{least} to {most}"),
            CountOrAuto(least, most) => format!("{least} to {most}, or auto"),
        }
    }
}

fn within(number: u64, least: u64, most: u64) -> Result<OptionValue, String> {
    if number < least {
        return Err(format!("{number} is less than the smallest allowed, {least}"));
    }
    if number > most {
        return Err(format!("{number} is more than the largest allowed, {most}"));
    }
    Ok(OptionValue::Number(number))
}

/// The definition of an option.
pub fn option_definition(key: &str) -> Option<&'static OptionDefinition> {
    OPTIONS.iter().find(|option| option.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_parses_and_every_option_is_explained() {
        for option in &OPTIONS {
            option.parse(option.default).expect(option.key);
            assert!(option.documentation.ends_with('.'), "{}", option.key);
            assert!(option.cost.ends_with('.'), "{}", option.key);
        }
    }

    #[test]
    fn keys_and_variables_are_unique() {
        let keys: std::collections::BTreeSet<_> = OPTIONS.iter().map(|o| o.key).collect();
        let variables: std::collections::BTreeSet<_> =
            OPTIONS.iter().map(OptionDefinition::environment_variable).collect();
        assert_eq!((keys.len(), variables.len()), (OPTIONS.len(), OPTIONS.len()));
    }

    #[test]
    fn bounds_hold() {
        let shards = option_definition("shards").expect("known");
        assert_eq!(shards.parse("auto"), Ok(OptionValue::Unset));
        assert_eq!(shards.parse("4"), Ok(OptionValue::Number(4)));
        assert!(shards.parse("0").is_err());
        assert!(shards.parse("257").is_err());
        assert!(shards.parse("many").is_err());
    }
}
