//! The reference of every option and configuration, written from the tables.
//!
//! `docs/operating.md` holds this text between two marks, and a test compares them: what the reference says is what the
//! code does.

use std::fmt::Write;

use super::broker_definitions::{BROKER_CONFIGS, BrokerValue};
use super::definition::{Effect, Rule, Update};
use super::options::OPTIONS;
use super::topic_definitions::TOPIC_CONFIGS;

/// The reference as Markdown.
pub fn reference() -> String {
    let mut text = String::new();
    options(&mut text);
    topic_configs(&mut text);
    broker_configs(&mut text);
    text
}

/// Writing to a text cannot fail.
macro_rules! line {
    ($text:expr, $($argument:tt)*) => {
        let _ = writeln!($text, $($argument)*);
    };
}

fn options(text: &mut String) {
    line!(text, "### Options of the node\n");
    line!(text, "| key | value | default | for | cost |\n|---|---|---|---|---|");
    for option in &OPTIONS {
        let default = if option.default.is_empty() { "(none)" } else { option.default };
        line!(
            text,
            "| `{}` | {} | {default} | {} | {} |",
            option.key,
            option.unit(),
            option.documentation,
            option.cost
        );
    }
}

fn topic_configs(text: &mut String) {
    line!(text, "\n### Topic configurations\n");
    line!(text, "| name | type | default | values | for |\n|---|---|---|---|---|");
    for definition in &TOPIC_CONFIGS {
        let default = match definition.default {
            Some("") | None => "(none)",
            Some("9223372036854775807") => "no limit",
            Some(default) => default,
        };
        let note = match definition.effect {
            Effect::Acts => String::new(),
            Effect::Accepted(why) => format!(" *Accepted, does nothing: {why}.*"),
        };
        line!(
            text,
            "| `{}` | {} | {default} | {} | {}{note} |",
            definition.name,
            definition.config_type.name().to_ascii_lowercase(),
            rule_text(&definition.rule),
            definition.documentation
        );
    }
}

fn broker_configs(text: &mut String) {
    line!(text, "\n### Broker configurations\n");
    line!(text, "| name | set by |\n|---|---|");
    for row in BROKER_CONFIGS.iter() {
        let set_by = match row.value {
            BrokerValue::TopicDefault(name) => {
                format!("AlterConfigs on the broker or the cluster, or `topic_defaults.{name}`")
            }
            BrokerValue::Option(key) => format!("`{key}`"),
            BrokerValue::Minutes(key) => format!("`{key}`, in minutes"),
            BrokerValue::Listeners => "`network.listen`".to_owned(),
            BrokerValue::AdvertisedListeners => "`network.advertised`".to_owned(),
            BrokerValue::Fixed => "fixed".to_owned(),
        };
        debug_assert_eq!(
            row.definition.update == Update::Dynamic,
            matches!(row.value, BrokerValue::TopicDefault(_))
        );
        line!(text, "| `{}` | {set_by} |", row.definition.name);
    }
}

fn rule_text(rule: &Rule) -> String {
    match rule {
        Rule::Any => "any".to_owned(),
        Rule::AtLeast(least) => format!("from {least}"),
        Rule::Between(least, most) => format!("{least} to {most}"),
        Rule::BetweenOr(least, most, other) => format!("{least} to {most}, or {other}"),
        Rule::OneOf(words) => words.join(", "),
        Rule::EachOf(words) => format!("some of {}", words.join(", ")),
        Rule::ThrottledReplicas => "`*` or partition:node pairs".to_owned(),
        Rule::MessageFormatVersion => "a version".to_owned(),
    }
}
