//! SIGHUP: the configuration is read again, and what can be changed while the node runs is changed.
//!
//! What must hold: a configuration that is wrong, or that changes what needs a restart, is told with the names of the
//! options, and what is in force stays as it is. The environment and the flags of the process are those that it was
//! started with.

use crate::config::{ConfigSources, NodeConfig, Settings};

/// What is in force, and where it came from.
pub(super) struct Reload {
    sources: ConfigSources,
    /// As the node was started with.
    started_with: Settings,
}

impl Reload {
    pub(super) fn new(sources: ConfigSources, started_with: Settings) -> Self {
        Self { sources, started_with }
    }

    /// Reads the configuration again.
    pub(super) fn reload(&mut self) {
        let settings = match NodeConfig::load(&self.sources) {
            Ok(config) => config.settings,
            Err(problems) => {
                return tracing::error!(
                    "the configuration is not read again, for it cannot be used: {problems}"
                );
            }
        };
        let needs_restart = self.started_with.differences(&settings);
        if needs_restart.is_empty() {
            tracing::info!("the configuration was read again");
        } else {
            let options = needs_restart.join(", ");
            tracing::warn!(
                options,
                "the configuration was read again; these take effect with the next start"
            );
        }
    }
}
