//! `debug bundle`: one file for whoever looks for a fault.
//!
//! What must hold: no record and no key gets in (segments and journals are listed, never opened; values whose names say that
//! they are secret are masked); a part that cannot be had is named in `about.txt`, and the others are there all the same;
//! every part is bounded in size and in time, so that it works on a machine that is in trouble.

mod archive;
mod configuration;
mod data;
mod diagnostics;
mod node;
mod system;

use std::path::{Path, PathBuf};

use self::archive::Archive;
use super::super::check::{self, Subject, SystemFiles, Unusable};
use crate::cli::arguments::BundleArguments;
use crate::cli::failure::Failure;
use crate::cli::output::{print, sized};
use crate::cli::time;
use crate::config::{HostPort, NodeConfig};

/// What the parts are taken from.
pub(super) struct Context {
    system: SystemFiles,
    subject: Subject,
    /// The node that uses the data directory, if one runs and this user may see it.
    process_id: Option<u32>,
    admin: Option<HostPort>,
}

impl Context {
    fn config(&self) -> Result<&NodeConfig, String> {
        self.subject.config.as_ref().map_err(|unusable| {
            let (Unusable::Wrong(reason) | Unusable::NotAllowed(reason)) = unusable;
            format!("the configuration cannot be used: {reason}")
        })
    }
}

/// One file of the bundle.
struct Part {
    name: &'static str,
    what: &'static str,
    collect: fn(&Context) -> Result<String, String>,
}

/// All of them but `about.txt`, in the order of the bundle.
static PARTS: [Part; 16] = [
    Part {
        name: "configuration.txt",
        what: "each option, its value and where it comes from",
        collect: configuration::options,
    },
    Part {
        name: "unit.txt",
        what: "the service's unit and what was dropped in",
        collect: configuration::unit,
    },
    Part { name: "check.json", what: "the findings of 'ringmain check'", collect: findings },
    Part {
        name: "system.txt",
        what: "kernel, processors, memory, disks, network, as /proc and /sys tell",
        collect: system::machine,
    },
    Part {
        name: "process.txt",
        what: "the node's process: limits, memory, threads, open files by kind",
        collect: system::process,
    },
    Part { name: "metrics.txt", what: "/metrics of the node", collect: node::metrics },
    Part { name: "health.txt", what: "/healthz, /readyz and /loglevel of the node", collect: node::health },
    Part { name: "cluster.json", what: "ringmain cluster status --json", collect: node::cluster },
    Part {
        name: "journal.txt",
        what: "the last lines of the service in the journal",
        collect: diagnostics::service_lines,
    },
    Part { name: "kernel.txt", what: "the last lines of the kernel", collect: diagnostics::kernel_lines },
    Part {
        name: "data/files.txt",
        what: "names, sizes and times of the files in the data directory",
        collect: data::files,
    },
    Part {
        name: "data/format.txt",
        what: "which cluster and node the data directory belongs to",
        collect: data::format,
    },
    Part {
        name: "data/checkpoints.txt",
        what: "what the partitions' checkpoints say",
        collect: data::checkpoints,
    },
    Part { name: "data/file-system.txt", what: "what the data directory lies on", collect: system::mounts },
    Part { name: "sysctl.txt", what: "settings of the kernel that matter here", collect: system::settings },
    Part { name: "interrupts.txt", what: "interrupts of each core", collect: system::interrupts },
];

/// Writes the bundle.
pub(super) fn run(arguments: &BundleArguments) -> Result<(), Failure> {
    let context = context(arguments)?;
    let stamp = time::shown(time::now_ms()).replace([':', '.'], "-");
    let folder = format!("ringmain-debug-{stamp}");
    let out = arguments.out.clone().unwrap_or_else(|| PathBuf::from(format!("{folder}.tar.gz")));
    let failed = |error| Failure::Io { operation: format!("write {}", out.display()), error };
    let mut archive = Archive::create(&out, &folder).map_err(failed)?;
    let mut missing = Vec::new();
    let mut about = format!(
        "Ringmain {}, {}\nConfiguration: {}\n\n",
        env!("CARGO_PKG_VERSION"),
        time::shown(time::now_ms()),
        context.subject.file.as_ref().map_or("none".to_owned(), |file| file.display().to_string())
    );
    for part in &PARTS {
        match (part.collect)(&context) {
            Ok(text) => {
                archive.add(part.name, &text).map_err(failed)?;
                about.push_str(&format!("{:<24}{}\n", part.name, part.what));
            }
            Err(reason) => {
                about.push_str(&format!("{:<24}missing: {}\n", part.name, reason.trim()));
                missing.push(format!("  {:<22}{}\n", part.name, reason.trim()));
            }
        }
    }
    archive.add("about.txt", &about).map_err(failed)?;
    let bytes = archive.finish().map_err(failed)?;
    let mut text = format!("Wrote {} ({})\n", out.display(), sized(bytes as f64));
    if !missing.is_empty() {
        text.push_str(&format!("Could not be had, and is missing:\n{}", missing.concat()));
    }
    text.push_str("No record and no key is in it, but names of topics, groups, hosts and addresses are: look before you send it.\n");
    print(&text)
}

fn context(arguments: &BundleArguments) -> Result<Context, Failure> {
    let system = SystemFiles::new(Path::new("/"));
    let subject = Subject::find(&arguments.subject, &system);
    let config = subject.config.as_ref().ok();
    let admin = match &arguments.admin {
        Some(admin) => Some(HostPort::parse(admin).map_err(Failure::Other)?),
        None => config.and_then(|config| config.network.admin.clone()),
    };
    let process_id = config.and_then(|config| system::process_of(&system, &config.data_dir));
    Ok(Context { process_id, admin, system, subject })
}

fn findings(context: &Context) -> Result<String, String> {
    let findings = check::findings(&context.system, context.subject.clone());
    Ok(format!("{:#}\n", check::as_json(&findings)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_names_of_their_own() {
        let names: std::collections::BTreeSet<&str> = PARTS.iter().map(|part| part.name).collect();
        assert_eq!(names.len(), PARTS.len());
    }
}
