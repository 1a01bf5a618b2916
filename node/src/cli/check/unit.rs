//! The service, as far as files tell: its process when it runs, and what its unit says.

use super::SystemFiles;

/// The unit's name.
const UNIT: &str = "ringmain.service";

/// Where units lie, the strongest first.
const FOLDERS: [&str; 4] =
    ["etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];

/// The service on this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::cli) struct Unit {
    /// Its process, when it runs.
    pub(in crate::cli) process_id: Option<u32>,
    /// The lines of the unit and what was dropped in, the later ones winning; empty where there is no unit.
    directives: Vec<String>,
}

impl Unit {
    pub(in crate::cli) fn find(system: &SystemFiles) -> Self {
        let text = FOLDERS.iter().find_map(|folder| system.text(&format!("{folder}/{UNIT}")));
        let mut directives: Vec<String> = text.iter().flat_map(|text| lines(text)).collect();
        // The strongest wins, so it comes last.
        for folder in FOLDERS.iter().rev() {
            for name in system.names(&format!("{folder}/{UNIT}.d")) {
                let text = system.text(&format!("{folder}/{UNIT}.d/{name}")).unwrap_or_default();
                directives.extend(lines(&text));
            }
        }
        let processes = system.text(&format!("sys/fs/cgroup/system.slice/{UNIT}/cgroup.procs"));
        let process_id = processes.and_then(|text| text.lines().next()?.parse().ok());
        Self { process_id, directives }
    }

    /// The last value of a directive.
    pub(super) fn directive(&self, name: &str) -> Option<&str> {
        let values = self.directives.iter().rev();
        values.filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::trim).next()
    }
}

fn lines(text: &str) -> impl Iterator<Item = String> + use<'_> {
    text.lines().map(|line| line.trim().to_owned())
}
