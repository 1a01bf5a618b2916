//! Tells the program which commit it was built from, and whether the tree differed from it.
//!
//! Without git (a release archive) the report says that the commit is unknown; nothing fails.

use std::process::Command;

/// What a change of the program's behaviour can come from, from the repository's root.
const SOURCES: [&str; 3] = ["bench", "node/protocol", "Cargo.lock"];

fn main() {
    let commit = git(&["rev-parse", "HEAD"]).unwrap_or_default();
    // Untracked files are left out: one that is compiled in has a `mod` line in a tracked file.
    let mut status = vec!["--no-optional-locks", "status", "--porcelain", "--untracked-files=no", "--"];
    status.extend(SOURCES);
    let is_dirty = git(&status).is_some_and(|changes| !changes.is_empty());
    println!("cargo::rustc-env=RINGMAIN_BENCH_COMMIT={commit}");
    println!("cargo::rustc-env=RINGMAIN_BENCH_DIRTY={is_dirty}");
    // Naming one file switches cargo's own rule (any file of the package) off, so all are named.
    for source in SOURCES {
        println!("cargo::rerun-if-changed=../{source}");
    }
    // HEAD changes with the branch; what it names changes with each commit.
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD".to_owned()].into_iter().chain(branch) {
        if let Some(path) = git(&["rev-parse", "--git-path", &name]) {
            println!("cargo::rerun-if-changed=../{path}");
        }
    }
}

/// What git prints, run in the repository's root; `None` if it fails or there is none.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir("..").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
