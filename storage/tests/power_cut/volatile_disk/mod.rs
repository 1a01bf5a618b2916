//! A block device that forgets: a file under FUSE, to be used through a loop device.
//!
//! Writes stay in its cache until the file is flushed, as in a disk, and a power cut decides what becomes of them
//! ([`cells`]). While the power is on the device can also fail, be slow, or hang.
//!
//! A [process](process) of its own answers the kernel, so that the device outlives whatever is killed in front of it, and dies
//! without leaving anybody waiting.

mod cells;
mod process;
mod served;

use std::{
    fmt,
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    str::FromStr,
    time::Duration,
};

use ringmain_storage::disk::simulated::Random;

pub(crate) use process::{note_mounts_of_the_machine, serve_if_asked};

const DEVICE_NAME: &str = "device";

/// The device, as long as this lives.
pub(crate) struct VolatileDisk {
    mount_point: PathBuf,
    process: Child,
    orders: BufReader<UnixStream>,
}

/// How a disk is while its power is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "not every test has a use for each")]
pub(crate) enum Condition {
    Good,
    /// An error for each write and each flush.
    FailingWrites,
    /// An error for each flush; what was written is seen, and forgotten when the power goes.
    FailingFlushes,
    /// Every access takes so much longer.
    Slow(Duration),
    /// No access ends.
    Hanging,
}

/// What became of the cache at a power cut.
pub(crate) struct CutReport {
    cached: usize,
    kept: usize,
    torn: usize,
}

/// What the process of a disk is told; it answers each with a line.
enum Order {
    CutPower { seed: u64 },
    RestorePower,
    Become(Condition),
}

impl VolatileDisk {
    /// A device of zeros, as a file in the folder `mount_point`. It ends with the thread that starts it.
    pub(crate) fn start(mount_point: &Path, size_bytes: usize) -> io::Result<VolatileDisk> {
        let (process, orders) = process::start(mount_point, size_bytes)?;
        Ok(VolatileDisk { mount_point: mount_point.to_owned(), process, orders: BufReader::new(orders) })
    }

    /// The file to put a loop device on.
    pub(crate) fn path(&self) -> PathBuf {
        self.mount_point.join(DEVICE_NAME)
    }

    /// The power goes.
    pub(crate) fn cut_power(&mut self, random: &mut Random) -> io::Result<CutReport> {
        let answer = self.order(&Order::CutPower { seed: random.next_u64() })?;
        answer.parse().map_err(io::Error::other)
    }

    /// The power comes back, and the disk is a good one.
    pub(crate) fn restore_power(&mut self) -> io::Result<()> {
        self.order(&Order::RestorePower).map(drop)
    }

    /// From now on it is like this.
    #[allow(dead_code, reason = "not every test has a use for it")]
    pub(crate) fn set_condition(&mut self, condition: Condition) -> io::Result<()> {
        self.order(&Order::Become(condition)).map(drop)
    }

    /// The process that answers the kernel.
    #[allow(dead_code, reason = "not every test has a use for it")]
    pub(crate) fn process(&self) -> u32 {
        self.process.id()
    }

    fn order(&mut self, order: &Order) -> io::Result<String> {
        writeln!(self.orders.get_mut(), "{order}")?;
        let mut answer = String::new();
        match self.orders.read_line(&mut answer)? {
            0 => Err(io::Error::other("the process of the disk has ended")),
            _ => Ok(answer.trim_end().to_owned()),
        }
    }
}

impl Drop for VolatileDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.mount_point).stdin(Stdio::null()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.mount_point.display());
        }
        // The connection ends with the process, whoever still waits for the device.
        let ended = self.process.kill().and_then(|()| self.process.wait());
        if let Err(error) = ended {
            eprintln!("the process of a disk does not end: {error}");
        }
    }
}

impl fmt::Display for CutReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} writes in the cache, {} kept, {} torn", self.cached, self.kept, self.torn)
    }
}

impl FromStr for CutReport {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers: Vec<usize> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
        match numbers[..] {
            [cached, kept, torn] => Ok(CutReport { cached, kept, torn }),
            _ => Err(format!("no report of a power cut: {text:?}")),
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Order::CutPower { seed } => write!(f, "cut {seed}"),
            Order::RestorePower => f.write_str("restore"),
            Order::Become(Condition::Good) => f.write_str("good"),
            Order::Become(Condition::FailingWrites) => f.write_str("fail-writes"),
            Order::Become(Condition::FailingFlushes) => f.write_str("fail-flushes"),
            Order::Become(Condition::Slow(delay)) => write!(f, "slow {}", delay.as_millis()),
            Order::Become(Condition::Hanging) => f.write_str("hang"),
        }
    }
}

impl FromStr for Order {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (word, number) = text.split_once(' ').unwrap_or((text, ""));
        let number = number.parse();
        Ok(match (word, number) {
            ("cut", Ok(seed)) => Order::CutPower { seed },
            ("slow", Ok(delay_ms)) => Order::Become(Condition::Slow(Duration::from_millis(delay_ms))),
            ("restore", _) => Order::RestorePower,
            ("good", _) => Order::Become(Condition::Good),
            ("fail-writes", _) => Order::Become(Condition::FailingWrites),
            ("fail-flushes", _) => Order::Become(Condition::FailingFlushes),
            ("hang", _) => Order::Become(Condition::Hanging),
            _ => return Err(format!("no order for a disk: {text:?}")),
        })
    }
}
