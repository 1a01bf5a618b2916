//! The packages under test, made by the script that makes those of a release.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::tools;

/// The revision of the package that is released, and of a later one for the upgrade.
pub(crate) const REVISIONS: [&str; 2] = ["1", "2"];

/// What the script made.
pub(crate) struct Package {
    /// Has both Debian packages and the tarball.
    pub(crate) folder: PathBuf,
    pub(crate) version: String,
}

/// Makes the packages, unless a tool is missing for it.
pub(crate) fn made() -> Result<Package, String> {
    for (tool, argument) in [("dpkg-deb", "--version"), ("strip", "--version"), ("lintian", "--version")] {
        tools::run(Command::new(tool).arg(argument)).map_err(|_| format!("{tool} is not installed"))?;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/package.sh");
    let binary = Path::new(env!("CARGO_BIN_EXE_ringmain"));
    let target = binary.ancestors().nth(2).expect("the binary lies in a folder of its profile");
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/package");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| format!("cannot clear {}: {error}", folder.display()))?;
    }
    // The one that is released is made last: its pages are the ones that stay.
    for revision in REVISIONS.into_iter().rev() {
        let mut make = Command::new(&script);
        make.args(["--fast", "--deb-version", &format!("{version}-{revision}"), "--binary"])
            .arg(binary)
            .env("CARGO_TARGET_DIR", target);
        tools::run(&mut make).expect("the packages can be made");
    }
    Ok(Package { folder, version })
}

impl Package {
    /// The file of the Debian package.
    fn deb(&self) -> PathBuf {
        let entries = fs::read_dir(&self.folder).expect("the folder of the packages is there");
        let prefix = format!("ringmain_{}-{}_", self.version, REVISIONS[0]);
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                name.starts_with(&prefix) && name.ends_with(".deb")
            })
            .unwrap_or_else(|| panic!("no {prefix} in {}", self.folder.display()))
    }

    /// No error and no warning.
    pub(crate) fn passes_lintian(&self) {
        let mut lintian = Command::new("lintian");
        lintian.args(["--fail-on", "error,warning", "--allow-root", "--no-cfg"]).arg(self.deb());
        let said = tools::run(&mut lintian).expect("lintian finds nothing");
        println!("lintian: {}", if said.is_empty() { "nothing" } else { said.trim_end() });
    }
}
