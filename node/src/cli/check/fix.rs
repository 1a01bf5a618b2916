//! `check --fix`: the settings of the system that were found wanting, as files that hold at every start.
//!
//! What must hold: nothing is written before it was shown and agreed to; what an earlier run wrote stays, because a setting
//! that is right by now is right because of it; a file is replaced as a whole. Does not do: changing the running system. The
//! commands that do are printed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use super::finding::{Finding, Setting};
use crate::cli::failure::Failure;
use crate::cli::output::print;

const SYSCTL_FILE: &str = "etc/sysctl.d/60-ringmain.conf";
const UDEV_FILE: &str = "etc/udev/rules.d/60-ringmain.rules";
const HEADING: &str = "# Written by 'ringmain check --fix'; it keeps lines that are here.\n";

/// A file as it should be.
struct Proposal {
    file: &'static str,
    text: String,
    /// What makes it hold at once.
    apply: &'static str,
}

/// Shows the files that hold what the findings want, and writes them below `root` when that is agreed to.
pub(super) fn write(findings: &[Finding], root: &Path, is_agreed: bool) -> Result<(), Failure> {
    let settings: Vec<&Setting> = findings.iter().flat_map(|finding| &finding.settings).collect();
    let (sysctl, udev) = (present(&root.join(SYSCTL_FILE))?, present(&root.join(UDEV_FILE))?);
    let proposals =
        proposals(&settings, |file| if file == SYSCTL_FILE { sysctl.clone() } else { udev.clone() });
    if proposals.is_empty() {
        return print("\nThere is no setting of the system to write.\n");
    }
    for Proposal { file, text, .. } in &proposals {
        print(&format!("\n{}:\n{text}", root.join(file).display()))?;
    }
    if !is_agreed && !agree()? {
        return print("Nothing was written.\n");
    }
    for Proposal { file, text, .. } in &proposals {
        replace(&root.join(file), text)?;
    }
    let commands: Vec<&str> = proposals.iter().map(|proposal| proposal.apply).collect();
    print(&format!("Written. They hold from the next start on; at once with:\n  {}\n", commands.join("\n  ")))
}

/// The files to write, with what they have now.
fn proposals(settings: &[&Setting], present: impl Fn(&str) -> String) -> Vec<Proposal> {
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    let mut rules: BTreeSet<String> = BTreeSet::new();
    for setting in settings {
        match setting {
            Setting::Sysctl(name, value) => {
                values.insert((*name).to_owned(), value.clone());
            }
            Setting::Udev(rule) => {
                rules.insert(rule.clone());
            }
        }
    }
    let mut proposals = Vec::new();
    if !values.is_empty() {
        for (name, value) in lines(&present(SYSCTL_FILE)).iter().filter_map(|line| line.split_once('=')) {
            values.entry(name.trim().to_owned()).or_insert_with(|| value.trim().to_owned());
        }
        let text = values.iter().map(|(name, value)| format!("{name} = {value}\n")).collect::<String>();
        let apply = "sysctl --system";
        proposals.push(Proposal { file: SYSCTL_FILE, text: HEADING.to_owned() + &text, apply });
    }
    if !rules.is_empty() {
        rules.extend(lines(&present(UDEV_FILE)));
        let text = rules.iter().map(|rule| format!("{rule}\n")).collect::<String>();
        let apply = "udevadm control --reload && udevadm trigger --action=add --subsystem-match=block \
                     --subsystem-match=cpu";
        proposals.push(Proposal { file: UDEV_FILE, text: HEADING.to_owned() + &text, apply });
    }
    proposals
}

/// Those that say something.
fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// Asks the person at the terminal; without one the answer is no.
fn agree() -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        print("Nobody can be asked here: --yes writes without asking. ")?;
        return Ok(false);
    }
    print("Write this? [y/N] ")?;
    io::stdout().flush().map_err(Failure::output)?;
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Failure::Io { operation: "read the answer".to_owned(), error })?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// What a file has; one that cannot be read is not one without lines, and is not replaced.
fn present(path: &Path) -> Result<String, Failure> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|error| Failure::Io { operation: format!("read {}", path.display()), error }),
    }
}

fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error| Failure::Io { operation: format!("write {}", path.display()), error };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let new = path.with_extension("new");
    fs::write(&new, text).and_then(|()| fs::rename(&new, path)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_before_stays() {
        let swappiness = Setting::Sysctl("vm.swappiness", "1".to_owned());
        let rule = Setting::Udev("KERNEL==\"sdb\"".to_owned());
        let present = |file: &str| match file {
            SYSCTL_FILE => "# old\nnet.core.rmem_max = 4194304\nvm.swappiness=60\n".to_owned(),
            _ => String::new(),
        };
        let found = proposals(&[&swappiness, &swappiness, &rule], present);
        let texts: Vec<&str> = found.iter().map(|proposal| &proposal.text[HEADING.len()..]).collect();
        assert_eq!(texts, ["net.core.rmem_max = 4194304\nvm.swappiness = 1\n", "KERNEL==\"sdb\"\n"]);
        assert!(proposals(&[], present).is_empty());
    }
}
