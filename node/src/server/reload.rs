//! SIGHUP: the configuration is read again, and what can be changed while the node runs is changed.
//!
//! What must hold: a configuration that is wrong, or that changes what needs a restart, is told with the names of the
//! options, and what is in force stays as it is; what can be applied is applied all the same. The environment and the flags
//! of the process are those that it was started with.

use crate::{
    config::{ConfigSources, Settings},
    observability,
};

/// The one option that can be changed while the node runs.
const LOG_LEVEL: &str = "log_level";

/// What is in force, and where it came from.
pub(super) struct Reload {
    sources: ConfigSources,
    /// As last applied.
    log_level: String,
    /// As the node was started with.
    started_with: Settings,
}

impl Reload {
    pub(super) fn new(sources: ConfigSources, started_with: Settings) -> Self {
        let log_level = started_with.given_or_default(LOG_LEVEL).to_owned();
        Self { sources, log_level, started_with }
    }

    /// Reads the configuration again.
    pub(super) fn reload(&mut self) {
        let settings = match crate::config::NodeConfig::load(&self.sources) {
            Ok(config) => config.settings,
            Err(problems) => {
                return tracing::error!(
                    "the configuration is not read again, for it cannot be used: {problems}"
                );
            }
        };
        let level = settings.given_or_default(LOG_LEVEL);
        if level != self.log_level {
            match observability::set_log_level(level) {
                Ok(()) => level.clone_into(&mut self.log_level),
                Err(error) => tracing::error!(level, error, "cannot change log_level"),
            }
        }
        let mut needs_restart = self.started_with.differences(&settings);
        needs_restart.retain(|key| key != LOG_LEVEL);
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
