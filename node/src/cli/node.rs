//! `dev` and `start`: from arguments to a checked configuration.

use super::Serve;
use super::arguments::{DevArguments, StartArguments};
use super::failure::Failure;
use super::output::print;
use crate::config::options::OPTIONS;
use crate::config::{ConfigSources, NodeConfig};
use crate::server::signals;

/// The configuration of a node for trying out.
pub(super) fn dev(arguments: DevArguments) -> Result<Serve, Failure> {
    let flag = |key: &str, flag: &str, value: Option<String>| {
        value.map(|value| (key.to_owned(), value, flag.to_owned()))
    };
    let named = [
        flag("data_dir", "--data-dir", arguments.data_dir),
        flag("network.listen", "--listen", arguments.listen),
        flag("network.admin", "--admin", arguments.admin),
        flag("shards", "--shards", arguments.shards),
    ];
    let flags = named.into_iter().flatten().chain(set_flags(arguments.set)).collect();
    let sources = ConfigSources { file: None, environment: environment(), flags };
    Ok(Serve { config: NodeConfig::load(&sources)?, reload_from: None })
}

/// The configuration of a node as its file says.
pub(super) fn start(arguments: &StartArguments) -> Result<Serve, Failure> {
    if let Some(parent) = arguments.with_parent {
        signals::stop_with_parent(parent).map_err(|error| Failure::Io {
            operation: "stop with the process that started this one".to_owned(),
            error,
        })?;
    }
    let flags = set_flags(arguments.set.clone()).collect();
    let sources = ConfigSources { file: Some(arguments.config.clone()), environment: environment(), flags };
    Ok(Serve { config: NodeConfig::load(&sources)?, reload_from: Some(sources) })
}

/// Says what would hold, and where it came from.
pub(super) fn check(arguments: &StartArguments) -> Result<(), Failure> {
    let Serve { config, .. } = start(arguments)?;
    let mut text = String::from("The configuration is valid. Set, and where:\n");
    for option in &OPTIONS {
        let origin = config.settings.origin(option.key);
        if *origin != crate::config::Origin::Default {
            text.push_str(&format!("  {} ({origin})\n", option.key));
        }
    }
    for (name, value) in config.topic_defaults.iter() {
        text.push_str(&format!("  topic_defaults.{name} = {value}\n"));
    }
    text.push_str("Everything else is at its default.\n");
    print(&text)
}

fn set_flags(set: Vec<(String, String)>) -> impl Iterator<Item = (String, String, String)> {
    set.into_iter().map(|(key, value)| {
        let flag = format!("--set {key}");
        (key, value, flag)
    })
}

/// Variables whose name or value is not Unicode cannot be ours.
pub(super) fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
