//! Which node is meant: its configuration, as far as it can be read.

use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;

use super::SystemFiles;
use super::finding::Verdict;
use crate::cli::arguments::SubjectArguments;
use crate::cli::node::environment;
use crate::config::{ConfigSources, NodeConfig};

/// Where the package puts the configuration.
const INSTALLED: &str = "etc/ringmain/ringmain.toml";

/// The node that is looked at.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Subject {
    /// The file, if one was named or is installed.
    pub(in crate::cli) file: Option<PathBuf>,
    /// What holds, or why that is not known.
    pub(in crate::cli) config: Result<NodeConfig, Unusable>,
}

/// Why a configuration is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Unusable {
    /// This user may not read it, or what it names.
    NotAllowed(String),
    /// It is wrong.
    Wrong(String),
}

impl Subject {
    /// The node that the arguments name: by its file, else by the one that is installed, else one of `ringmain dev`.
    pub(in crate::cli) fn find(arguments: &SubjectArguments, system: &SystemFiles) -> Self {
        let named = || std::env::var_os("RINGMAIN_CONFIG").map(PathBuf::from);
        let installed = || Some(system.path(INSTALLED)).filter(|path| path.exists());
        // Only a directory was named: it need not be that of the installed node.
        let file = match (&arguments.config, &arguments.data_dir) {
            (Some(file), _) => Some(file.clone()),
            (None, Some(_)) => None,
            (None, None) => named().or_else(installed),
        };
        let data_dir = arguments.data_dir.as_ref().map(|directory| {
            ("data_dir".to_owned(), directory.display().to_string(), "--data-dir".to_owned())
        });
        let sources = ConfigSources {
            file: file.clone(),
            environment: environment(),
            flags: data_dir.into_iter().collect(),
        };
        let config = NodeConfig::load(&sources).map_err(|problems| {
            let is_hidden = file.as_ref().is_some_and(|file| {
                File::open(file).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
            });
            // The certificates that it names are read too; their errors come as texts.
            let only_hidden = problems.0.iter().all(|problem| problem.message.contains("Permission denied"));
            if is_hidden || only_hidden {
                Unusable::NotAllowed(problems.to_string())
            } else {
                Unusable::Wrong(problems.to_string())
            }
        });
        Self { file, config }
    }
}

/// Whether the configuration can be used.
pub(super) fn configuration(subject: &Subject) -> Verdict {
    let file = match &subject.file {
        Some(file) => file.display().to_string(),
        None => "no file (no --config, and none is installed)".to_owned(),
    };
    match &subject.config {
        Ok(config) => {
            let given: Vec<&str> = config.settings.given().map(|(key, _)| key).collect();
            let set = if given.is_empty() { "nothing".to_owned() } else { given.join(", ") };
            Verdict::ok(format!("{file}; sets {set}"))
        }
        Err(Unusable::NotAllowed(reason)) => Verdict::advice(
            format!("cannot be read by this user, so what follows from it was not checked: {reason}"),
            format!("sudo ringmain check --config {file}"),
        ),
        Err(Unusable::Wrong(problems)) => Verdict::problem(
            format!("cannot be used, so what follows from it was not checked: {problems}"),
            format!("correct it, then: ringmain start --config {file} --check"),
        ),
    }
}
