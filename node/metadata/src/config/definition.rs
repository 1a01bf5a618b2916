//! What Kafka's configuration names have in common: a type, a default, a rule, a sentence.
//!
//! Owns the parsing of one value and the words of its refusal, which are the words that Kafka sends: tools show them
//! and tests of clients compare them. The tables themselves are [`super::topic_definitions`] and
//! [`super::broker_definitions`].

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// A named configuration of a topic or of a broker, as a row of a table.
#[derive(Debug, Clone, Copy)]
pub struct ConfigDefinition {
    /// Kafka's name, or ours where Kafka has none.
    pub name: &'static str,
    /// The type that DescribeConfigs reports.
    pub config_type: ConfigType,
    /// The default as text; `None` where Kafka's default is null ("not set").
    pub default: Option<&'static str>,
    /// What a value of that type must satisfy.
    pub rule: Rule,
    /// Names on the broker that give the value when it is not set, strongest first.
    pub synonyms: &'static [&'static str],
    /// Whether it can be changed while the node runs.
    pub update: Update,
    /// What it does here.
    pub effect: Effect,
    /// One sentence for people, sent by DescribeConfigs and printed in the reference.
    pub documentation: &'static str,
}

/// What a configuration does in this node, said in the reference so that nobody trusts one that does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It changes what the node does.
    Acts,
    /// It is checked, kept and described, and does nothing; the text says why.
    Accepted(&'static str),
}

/// Whether a configuration can be changed by AlterConfigs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// By AlterConfigs, at once.
    Dynamic,
    /// Only in the node's own configuration, at its next start.
    ReadOnly,
}

/// The types of Kafka's DescribeConfigs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigType {
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
    /// 32-bit integer.
    Int,
    /// 16-bit integer.
    Short,
    /// 64-bit integer.
    Long,
    /// Floating point.
    Double,
    /// Comma-separated texts.
    List,
}

impl ConfigType {
    /// The number that stands for the type in a DescribeConfigs answer.
    pub fn wire_code(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
        }
    }

    /// The name as Kafka writes it in messages and tools.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
        }
    }
}

/// What a value must satisfy beyond its type.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// Nothing more.
    Any,
    /// A smallest value.
    AtLeast(i64),
    /// A smallest and a largest value, both allowed.
    Between(i64, i64),
    /// A range, or one value outside it that means "the default".
    BetweenOr(i64, i64, i64),
    /// One of a few texts.
    OneOf(&'static [&'static str]),
    /// A list of a few texts.
    EachOf(&'static [&'static str]),
    /// `*`, or `partition:node` pairs.
    ThrottledReplicas,
    /// A version of Kafka's message format, such as `2.8` or `3.0-IV1`.
    MessageFormatVersion,
}

/// A value of a configuration, parsed.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigValue {
    /// Of [`ConfigType::Boolean`].
    Boolean(bool),
    /// Of [`ConfigType::String`].
    Text(String),
    /// Of [`ConfigType::Int`], [`ConfigType::Short`] and [`ConfigType::Long`].
    Integer(i64),
    /// Of [`ConfigType::Double`].
    Double(f64),
    /// Of [`ConfigType::List`].
    List(Vec<String>),
}

impl fmt::Display for ConfigValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
            Self::Integer(value) => write!(f, "{value}"),
            // Always with a decimal point, as Java prints it.
            Self::Double(value) => write!(f, "{value:?}"),
            Self::List(values) => f.write_str(&values.join(",")),
        }
    }
}

/// A value that its definition refuses. The text is what the client sees.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid value {value} for configuration {name}: {reason}")]
pub struct InvalidValue {
    name: &'static str,
    value: String,
    reason: String,
}

impl ConfigDefinition {
    /// Parses and checks one value.
    pub fn parse(&self, text: &str) -> Result<ConfigValue, InvalidValue> {
        let value = self.parse_type(text)?;
        self.check_rule(&value)?;
        Ok(value)
    }

    /// The default, parsed; `None` where it is "not set". A test holds that every default parses.
    pub fn default_value(&self) -> Option<ConfigValue> {
        self.default.map(|text| self.parse(text).expect("the tables' defaults are tested to parse"))
    }

    fn parse_type(&self, text: &str) -> Result<ConfigValue, InvalidValue> {
        // Java's trim: everything up to the blank.
        let trimmed = text.trim_matches(|character: char| character <= ' ');
        let not_a_number = || self.invalid(text, format!("Not a number of type {}", self.config_type.name()));
        Ok(match self.config_type {
            ConfigType::Boolean if trimmed.eq_ignore_ascii_case("true") => ConfigValue::Boolean(true),
            ConfigType::Boolean if trimmed.eq_ignore_ascii_case("false") => ConfigValue::Boolean(false),
            ConfigType::Boolean => {
                return Err(self.invalid(text, "Expected value to be either true or false"));
            }
            ConfigType::String => ConfigValue::Text(trimmed.to_owned()),
            ConfigType::Int => {
                ConfigValue::Integer(trimmed.parse::<i32>().map(i64::from).map_err(|_| not_a_number())?)
            }
            ConfigType::Short => {
                ConfigValue::Integer(trimmed.parse::<i16>().map(i64::from).map_err(|_| not_a_number())?)
            }
            ConfigType::Long => ConfigValue::Integer(trimmed.parse::<i64>().map_err(|_| not_a_number())?),
            ConfigType::Double => match trimmed.parse::<f64>() {
                Ok(number) if !number.is_nan() => ConfigValue::Double(number),
                _ => return Err(not_a_number()),
            },
            ConfigType::List if trimmed.is_empty() => ConfigValue::List(Vec::new()),
            ConfigType::List => {
                ConfigValue::List(trimmed.split(',').map(|item| item.trim().to_owned()).collect())
            }
        })
    }

    fn check_rule(&self, value: &ConfigValue) -> Result<(), InvalidValue> {
        match (self.rule, value) {
            (Rule::AtLeast(least), value) => self.check_range(value, Some(least), None),
            (Rule::Between(least, most), value) => self.check_range(value, Some(least), Some(most)),
            (Rule::BetweenOr(least, most, other), ConfigValue::Integer(number)) => {
                if (least..=most).contains(number) || *number == other {
                    return Ok(());
                }
                Err(self
                    .invalid(number, format!("Value must be between {least} and {most} or equal to {other}")))
            }
            (Rule::OneOf(allowed), ConfigValue::Text(text)) => self.check_one_of(text, allowed),
            (Rule::EachOf(allowed), ConfigValue::List(items)) => {
                items.iter().try_for_each(|item| self.check_one_of(item, allowed))
            }
            (Rule::ThrottledReplicas, ConfigValue::List(items)) => self.check_throttled_replicas(items),
            (Rule::MessageFormatVersion, ConfigValue::Text(text)) => {
                if is_message_format_version(text) {
                    return Ok(());
                }
                Err(self.invalid(text, format!("Version {text} is not a valid version")))
            }
            _ => Ok(()),
        }
    }

    fn check_range(
        &self,
        value: &ConfigValue,
        least: Option<i64>,
        most: Option<i64>,
    ) -> Result<(), InvalidValue> {
        let (below, above) = match *value {
            ConfigValue::Integer(number) => {
                (least.is_some_and(|least| number < least), most.is_some_and(|most| number > most))
            }
            #[expect(clippy::cast_precision_loss, reason = "the bounds of doubles are 0 and 1")]
            ConfigValue::Double(number) => (
                least.is_some_and(|least| number < least as f64),
                most.is_some_and(|most| number > most as f64),
            ),
            _ => (false, false),
        };
        match (least, most) {
            (Some(least), _) if below => Err(self.invalid(value, format!("Value must be at least {least}"))),
            (_, Some(most)) if above => {
                Err(self.invalid(value, format!("Value must be no more than {most}")))
            }
            _ => Ok(()),
        }
    }

    fn check_one_of(&self, text: &str, allowed: &[&str]) -> Result<(), InvalidValue> {
        if allowed.contains(&text) {
            return Ok(());
        }
        Err(self.invalid(text, format!("String must be one of: {}", allowed.join(", "))))
    }

    fn check_throttled_replicas(&self, items: &[String]) -> Result<(), InvalidValue> {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let is_pair = |item: &String| {
            item.split_once(':').is_some_and(|(partition, node)| is_number(partition) && is_number(node))
        };
        let is_every_replica = items.len() == 1 && items[0] == "*";
        if is_every_replica || items.iter().all(is_pair) {
            return Ok(());
        }
        let name = self.name;
        Err(self.invalid(
            format!("[{}]", items.join(", ")),
            format!(
                "{name} must be the literal '*' or a list of replicas in the following format: \
                 [partitionId]:[brokerId],[partitionId]:[brokerId],..."
            ),
        ))
    }

    fn invalid(&self, value: impl ToString, reason: impl Into<String>) -> InvalidValue {
        InvalidValue { name: self.name, value: value.to_string(), reason: reason.into() }
    }
}

/// `0.8.0` up to `4.0`, with an optional `-IV<n>`; which of them existed does not matter to a setting that does nothing.
fn is_message_format_version(text: &str) -> bool {
    let (release, internal) = match text.split_once("-IV") {
        Some((release, internal)) => (release, Some(internal)),
        None => (text, None),
    };
    let numbers: Option<Vec<u32>> = release.split('.').map(|part| part.parse().ok()).collect();
    let known_release = match numbers.as_deref() {
        Some([0, minor, ..]) => (8..=11).contains(minor),
        Some([major, _] | [major, _, _]) => (1..=4).contains(major),
        _ => false,
    };
    known_release && internal.is_none_or(|n| n.len() == 1 && n.as_bytes()[0].is_ascii_digit())
}
