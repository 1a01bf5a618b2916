//! Which diagnostics are written: a level for all that is ours, and levels for single modules.
//!
//! What must hold: a `LogFilter` was parsed, so whoever applies it has nothing to refuse. Does not do: the levels of what is
//! not ours, and the writing (that is `observability::logging`).

use std::fmt;
use std::str::FromStr;

/// How severe diagnostics have to be to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing is.
    Off,
    /// What failed.
    Error,
    /// What may fail soon, or is slower than it should be.
    Warn,
    /// What an operator wants to know of every day.
    Info,
    /// What explains a failure.
    Debug,
    /// Everything.
    Trace,
}

const LEVELS: [(&str, LogLevel); 6] = [
    ("off", LogLevel::Off),
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

/// Levels, as they are written: `info`, or `info,ringmain::shard=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter {
    level: LogLevel,
    modules: Vec<(String, LogLevel)>,
}

impl LogFilter {
    /// Parses `LEVEL`, `MODULE=LEVEL`, or several of them with commas between; the error is a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut level = None;
        let mut modules: Vec<(String, LogLevel)> = Vec::new();
        for part in text.split(',').map(str::trim) {
            match part.split_once('=') {
                None => {
                    if level.replace(parse_level(part)?).is_some() {
                        let wanted = "write one, and MODULE=LEVEL for others";
                        return Err(format!("'{text}' has two levels for everything; {wanted}"));
                    }
                }
                Some((module, level)) => {
                    let module = parse_module(module.trim())?;
                    modules.retain(|(other, _)| *other != module);
                    modules.push((module, parse_level(level.trim())?));
                }
            }
        }
        Ok(Self { level: level.unwrap_or(LogLevel::Info), modules })
    }

    /// Of everything that is ours and has no level of its own.
    pub fn level(&self) -> LogLevel {
        self.level
    }

    /// Modules, by the beginning of their path, with their levels.
    pub fn modules(&self) -> impl Iterator<Item = (&str, LogLevel)> {
        self.modules.iter().map(|(module, level)| (module.as_str(), *level))
    }
}

fn parse_level(text: &str) -> Result<LogLevel, String> {
    text.parse().map_err(|()| {
        format!(
            "'{text}' is no level; write error, warn, info, debug or trace, or MODULE=LEVEL as in \
                 info,ringmain::shard=debug"
        )
    })
}

fn parse_module(text: &str) -> Result<String, String> {
    let is_part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
    };
    if text.split("::").all(is_part) {
        Ok(text.to_owned())
    } else {
        Err(format!("'{text}' is no module; write its path, such as ringmain::shard or ringmain_storage"))
    }
}

impl FromStr for LogLevel {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let known = LEVELS.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
        known.map(|(_, level)| *level).ok_or(())
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = LEVELS.iter().find(|(_, level)| level == self).map_or("", |(name, _)| *name);
        f.write_str(name)
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.level)?;
        self.modules.iter().try_for_each(|(module, level)| write!(f, ",{module}={level}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_written_as_they_are_read() {
        for (text, written) in [
            ("info", "info"),
            (" WARN ", "warn"),
            ("info, ringmain::shard = debug", "info,ringmain::shard=debug"),
            ("ringmain_storage=trace", "info,ringmain_storage=trace"),
            ("debug,openraft=info,openraft=warn", "debug,openraft=warn"),
            ("off", "off"),
        ] {
            assert_eq!(LogFilter::parse(text).expect(text).to_string(), written);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, said) in [
            ("", "no level"),
            ("loud", "'loud' is no level"),
            ("info,warn", "two levels"),
            ("ringmain::shard=loud", "'loud' is no level"),
            ("a b=info", "'a b' is no module"),
            ("=info", "'' is no module"),
            ("ringmain:shard=info", "no module"),
            ("info,", "no level"),
        ] {
            let error = LogFilter::parse(text).expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
