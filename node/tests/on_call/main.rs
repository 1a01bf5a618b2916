//! What somebody on call has: `ringmain check`, `ringmain debug`, and the diagnostics of a node. Always the real binary.

#[path = "../support/mod.rs"]
mod support;

mod bundle;
mod check;
mod logs;
mod recorded_machine;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs the binary with the arguments, and nothing of its own in the environment.
fn ringmain<A: AsRef<std::ffi::OsStr>>(arguments: &[A]) -> Output {
    let output =
        Command::new(env!("CARGO_BIN_EXE_ringmain")).args(arguments).env_remove("RINGMAIN_CONFIG").output();
    output.expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder of a test, which goes with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("on-call-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        Self(folder)
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.0.join(relative)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind costs space, not the result.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
