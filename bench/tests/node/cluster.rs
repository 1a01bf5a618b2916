//! Three nodes, as the script for users starts them.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::node::{binary, free_address, without_settings};

/// The running nodes. Dropped, they are stopped and their data go.
pub(crate) struct Cluster {
    folder: PathBuf,
    first: SocketAddr,
}

/// Ports of a cluster: of its clients from the first on, of its nodes from so many above on.
const PEER_PORTS: u16 = 1000;

impl Cluster {
    /// Starts nodes on fresh data and waits until they listen.
    pub(crate) fn start(name: &str) -> Self {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{name}-{}", std::process::id()));
        let first = loop {
            let address = free_address();
            // Those that follow are wanted too.
            if (0..3).chain([PEER_PORTS]).all(|above| is_free(address.port() + above)) {
                break address;
            }
        };
        let cluster = Self { folder, first };
        cluster.script(&["up", "ringmain", &first.port().to_string(), &cluster.folder()]);
        cluster
    }

    /// What the script prints.
    pub(crate) fn script(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(Self::script_path());
        without_settings(&mut command).args(arguments).env("RINGMAIN", binary());
        let output = command.stderr(Stdio::inherit()).output().expect("the script can be run");
        assert!(output.status.success(), "{arguments:?}: {}\n{}", output.status, self.output());
        String::from_utf8(output.stdout).expect("lines of text")
    }

    /// The command that starts a node again.
    pub(crate) fn restart(&self) -> String {
        format!(
            "RINGMAIN='{}' '{}' start '{}' {{node}}",
            binary().display(),
            Self::script_path(),
            self.folder()
        )
    }

    /// Where clients reach the first node.
    pub(crate) fn address(&self) -> String {
        self.first.to_string()
    }

    pub(crate) fn folder(&self) -> String {
        self.folder.to_str().expect("the build's directory has a plain name").to_owned()
    }

    fn script_path() -> &'static str {
        concat!(env!("CARGO_MANIFEST_DIR"), "/cluster.sh")
    }

    fn output(&self) -> String {
        let each = (1..=3).map(|id| fs::read_to_string(self.folder.join(format!("node-{id}.output"))));
        each.map(Result::unwrap_or_default).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the nodes said:\n{}", self.output());
        }
        // Whatever has become of them: what still runs is stopped.
        let _ = Command::new(Self::script_path()).args(["down", &self.folder()]).status();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
