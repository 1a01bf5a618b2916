//! One node of a cluster: a process in its own network, and what can be done to it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    disk::Machine,
    machine,
    network::Network,
    product::{Product, node_folder},
    volatile_disk::Condition,
};

/// A node that was asked to stop and has not after this long is stuck.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A node; killed when dropped.
pub(crate) struct Node {
    number: i32,
    product: Product,
    folder: PathBuf,
    process: Option<Child>,
    is_paused: bool,
    /// A disk of its own that forgets what was not flushed when its power is cut.
    disk: Option<Machine>,
    /// How that disk is, if it is not a good one.
    bad_disk: Option<Condition>,
}

impl Node {
    /// A node with its configuration; it does not run yet.
    pub(crate) fn new(
        number: i32,
        nodes: &[i32],
        product: &Product,
        folder: &Path,
        disk: Option<Machine>,
    ) -> Result<Node, String> {
        let (product, folder) = (product.clone(), folder.to_owned());
        let node = Node { number, product, folder, process: None, is_paused: false, disk, bad_disk: None };
        node.product.configure(&node.folder, number, nodes, &node.data_dir())?;
        Ok(node)
    }

    pub(crate) fn number(&self) -> i32 {
        self.number
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        match &self.disk {
            Some(disk) => disk.root().join("data"),
            None => node_folder(&self.folder, self.number).join("data"),
        }
    }

    fn output_path(&self) -> PathBuf {
        node_folder(&self.folder, self.number).join("output")
    }

    /// Starts the process, on the data that are there.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        if self.is_running() {
            return Ok(());
        }
        let said = File::options().create(true).append(true).open(self.output_path());
        let said = said.map_err(|error| format!("{}: {error}", self.output_path().display()))?;
        let copy = said.try_clone().map_err(|error| error.to_string())?;
        let mut command = self.product.command(&self.folder, self.number, &self.data_dir())?;
        command.stdin(Stdio::null()).stdout(copy).stderr(said);
        machine::confine(&mut command, Some(&Network::name(self.number)))?;
        let child = command.spawn().map_err(|error| format!("node {} cannot run: {error}", self.number))?;
        self.process = Some(child);
        Ok(())
    }

    /// The exit status, if the process has ended by itself; with a bad disk it may.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.bad_disk.is_some() {
            return None;
        }
        self.process.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// kill -9, and the end of the process. One that waits for its disk does not end before that fails.
    pub(crate) fn kill(&mut self) -> Result<(), String> {
        if self.bad_disk.is_some() {
            return self.cut_power();
        }
        let Some(mut child) = self.process.take() else { return Ok(()) };
        self.is_paused = false;
        child.kill().and_then(|()| child.wait()).map(drop).map_err(|error| error.to_string())
    }

    /// SIGTERM; how long the end took.
    pub(crate) fn terminate(&mut self) -> Result<Duration, String> {
        let begin = Instant::now();
        let Some(mut child) = self.process.take() else { return Ok(Duration::ZERO) };
        machine::signal(&child, libc::SIGTERM)?;
        while begin.elapsed() < STOP_LIMIT {
            match child.try_wait().map_err(|error| error.to_string())? {
                // Java ends by the signal.
                Some(status) if status.success() || status.code() == Some(143) => return Ok(begin.elapsed()),
                Some(status) => return Err(format!("node {} stopped with {status}", self.number)),
                None => thread::sleep(Duration::from_millis(2)),
            }
        }
        self.process = Some(child);
        Err(format!("node {} does not stop within {STOP_LIMIT:?}", self.number))
    }

    /// The process stands still, and everything that it had to say waits.
    pub(crate) fn pause(&mut self) -> Result<(), String> {
        let Some(child) = &self.process else { return Ok(()) };
        self.is_paused = true;
        machine::signal(child, libc::SIGSTOP)
    }

    pub(crate) fn resume(&mut self) -> Result<(), String> {
        let Some(child) = &self.process else { return Ok(()) };
        if !self.is_paused {
            return Ok(());
        }
        self.is_paused = false;
        machine::signal(child, libc::SIGCONT)
    }

    /// Empties the disk of a node that does not run.
    pub(crate) fn wipe(&mut self) -> Result<(), String> {
        assert!(!self.is_running(), "a disk is taken out of a machine that is off");
        match fs::remove_dir_all(self.data_dir()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("{}: {error}", self.data_dir().display()))
            }
            _ => Ok(()),
        }
    }

    /// The power of the whole machine goes: what its disk had not flushed is lost, torn or kept, as it comes.
    pub(crate) fn cut_power(&mut self) -> Result<(), String> {
        let disk = self.disk.as_mut().ok_or("this node has no disk of its own")?;
        disk.cut_power()?;
        self.bad_disk = None;
        self.kill()
    }

    /// Its disk fails, is late, or answers nothing. One that has failed stays so until it is mended.
    pub(crate) fn spoil_disk(&mut self, condition: Condition) -> Result<(), String> {
        let disk = self.disk.as_mut().ok_or("this node has no disk of its own")?;
        if self.bad_disk.is_some_and(has_failed) {
            return Ok(());
        }
        self.bad_disk = Some(condition);
        disk.set_condition(condition)
    }

    /// A disk that was late is not any more. One that failed is looked at by a machine that starts anew.
    pub(crate) fn mend_disk(&mut self) -> Result<(), String> {
        let Some(condition) = self.bad_disk else { return Ok(()) };
        if has_failed(condition) {
            return self.cut_power();
        }
        self.bad_disk = None;
        if let Some(disk) = &mut self.disk {
            disk.set_condition(Condition::Good)?;
        }
        // The process may have had enough of it.
        if self.ended().is_some() { self.kill() } else { Ok(()) }
    }

    /// The machine has power again, if it had lost it.
    pub(crate) fn restore_power(&mut self) -> Result<(), String> {
        match &mut self.disk {
            Some(disk) if self.process.is_none() => disk.restart(),
            _ => Ok(()),
        }
    }

    /// What it has said, in all its lives.
    pub(crate) fn everything_said(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.output_path()).unwrap_or_default()).into_owned()
    }

    /// The end of what it has said, in all its lives.
    pub(crate) fn last_words(&self) -> String {
        let said = fs::read(self.output_path()).unwrap_or_default();
        String::from_utf8_lossy(&said[said.len().saturating_sub(3_000)..]).into_owned()
    }
}

fn has_failed(condition: Condition) -> bool {
    matches!(condition, Condition::FailingWrites | Condition::FailingFlushes)
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(reason) = self.kill() {
            eprintln!("node {} cannot be ended: {reason}", self.number);
        }
    }
}
