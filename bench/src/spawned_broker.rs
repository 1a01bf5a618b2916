//! The broker that stores nothing as a process of its own, so that its CPU time can be told from
//! the client's. It is stopped when the value is dropped.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::driver::wire::client::other;

/// The running process.
#[derive(Debug)]
pub(crate) struct SpawnedBroker {
    child: Child,
    address: SocketAddr,
}

impl SpawnedBroker {
    /// Starts this very program as a broker, and waits until it listens.
    pub(crate) fn start(core: Option<usize>) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("null-broker").stdout(Stdio::piped());
        if let Some(core) = core {
            command.args(["--core", &core.to_string()]);
        }
        let mut child = command.spawn()?;
        match announced_address(&mut child) {
            Ok(address) => Ok(Self { child, address }),
            Err(error) => {
                stop(&mut child);
                Err(error)
            }
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for SpawnedBroker {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

fn announced_address(child: &mut Child) -> io::Result<SocketAddr> {
    let output = child.stdout.take().ok_or_else(|| other("the null broker has no output".into()))?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    line.trim().parse().map_err(|_| other("the null broker did not start".into()))
}

/// A process that is gone already cannot be killed, and that is well.
fn stop(child: &mut Child) {
    if let Err(error) = child.kill().and_then(|()| child.wait().map(drop)) {
        eprintln!("ringmain-bench: cannot stop the null broker: {error}");
    }
}
