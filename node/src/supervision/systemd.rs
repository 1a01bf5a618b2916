//! systemd, told by its own protocol (sd_notify) how this process is.
//!
//! 1. While the node starts: the status line, and for as long as the start gets on, a request for more time.
//! 2. Once clients are accepted: ready. From then on the watchdog is fed, whenever every shard has gone on since the last
//!    time: its loop turns, and its disk answers. A shard that does not is named in the status line.
//! 3. A reload and a stop are told as they begin. The stop has a limit of its own (`TimeoutStopSec=`), so the watchdog is
//!    fed until the end.
//!
//! Failure: without `NOTIFY_SOCKET` nothing is told. systemd kills and restarts a process that does not feed its watchdog.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::notify_socket::NotifySocket;
use super::{Phase, Progress};
use crate::runtime;

/// How often it is looked how far the node is.
const LOOK: Duration = Duration::from_secs(1);
/// The time that a start asks for while it gets on; again after each look.
const MORE_TIME: Duration = Duration::from_secs(60);

/// Whoever supervises this process, if anybody does.
pub(crate) struct Supervisor {
    progress: Arc<Progress>,
    systemd: Option<Systemd>,
}

struct Systemd {
    socket: Arc<NotifySocket>,
    /// Dropped, it ends the thread.
    end: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Supervisor {
    /// Begins to tell systemd, if that started this process.
    pub(crate) fn start(progress: Arc<Progress>) -> Self {
        let systemd = std::env::var_os("NOTIFY_SOCKET").and_then(|name| {
            let started = Systemd::start(&name, progress.clone());
            started.inspect_err(|error| tracing::warn!(?name, %error, "cannot reach NOTIFY_SOCKET")).ok()
        });
        Self { progress, systemd }
    }

    /// What is passed on.
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// The node is so far.
    pub(crate) fn enter(&self, phase: Phase) {
        let state = match &phase {
            Phase::Serving(_) => "READY=1\n".to_owned(),
            // systemd compares it with when it asked.
            Phase::Reloading => format!("RELOADING=1\nMONOTONIC_USEC={}\n", runtime::monotonic_us()),
            Phase::HandingOver(_) | Phase::Draining => "STOPPING=1\n".to_owned(),
            _ => String::new(),
        };
        self.progress.enter(phase);
        if let Some(Systemd { socket, .. }) = &self.systemd {
            socket.send(&format!("{state}STATUS={}", one_line(&self.progress.to_string())));
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let Some(Systemd { end, thread, .. }) = self.systemd.take() else { return };
        drop(end);
        if thread.join().is_err() {
            tracing::error!("the thread that tells systemd panicked");
        }
    }
}

impl Systemd {
    fn start(name: &OsStr, progress: Arc<Progress>) -> std::io::Result<Self> {
        let socket = Arc::new(NotifySocket::open(name)?);
        let watchdog = watchdog_time(std::env::var_os("WATCHDOG_USEC"), std::env::var_os("WATCHDOG_PID"));
        // Half of the time, so that one that comes late does no harm.
        let look = watchdog.map_or(LOOK, |time| LOOK.min(time / 2));
        let mut teller = Teller { progress, feeds: watchdog.is_some(), work: 0, said: String::new() };
        let (end, ended) = mpsc::channel();
        let telling = socket.clone();
        let thread = thread::Builder::new().name("systemd".into()).spawn(move || {
            while ended.recv_timeout(look) == Err(RecvTimeoutError::Timeout) {
                let lines = teller.look();
                if !lines.is_empty() {
                    telling.send(&lines);
                }
            }
        })?;
        Ok(Self { socket, end, thread })
    }
}

/// What systemd is told at each look.
struct Teller {
    progress: Arc<Progress>,
    /// Whether there is a watchdog.
    feeds: bool,
    /// At the last look.
    work: u64,
    /// The status line at the last look.
    said: String,
}

/// A shard that was silent for so long at a look has not gone on since the one before: it says so ten times a second.
const SILENCE_MAX: Duration = Duration::from_millis(1_500);

impl Teller {
    fn look(&mut self) -> String {
        let mut lines = String::new();
        let mut status = self.progress.to_string();
        match self.progress.phase() {
            Phase::Checking | Phase::Replaying | Phase::Recovering => {
                let before = std::mem::replace(&mut self.work, self.progress.work());
                if self.work != before {
                    ask_for_time(&mut lines);
                }
            }
            // The others may come in an hour: that is theirs to say.
            Phase::Joining => ask_for_time(&mut lines),
            Phase::Serving(_) | Phase::Reloading => match self.progress.longest_silence() {
                (_, silence) if silence < SILENCE_MAX => self.feed(&mut lines),
                (shard, silence) => {
                    status = format!(
                        "shard {shard} has got nothing done for {} s: its disk does not answer, or its thread hangs",
                        silence.as_secs()
                    );
                }
            },
            Phase::HandingOver(_) | Phase::Draining | Phase::Failed(_) => self.feed(&mut lines),
        }
        if status != self.said {
            push(&mut lines, format_args!("STATUS={}", one_line(&status)));
            self.said = status;
        }
        lines
    }

    fn feed(&self, lines: &mut String) {
        if self.feeds {
            push(lines, format_args!("WATCHDOG=1"));
        }
    }
}

fn ask_for_time(lines: &mut String) {
    push(lines, format_args!("EXTEND_TIMEOUT_USEC={}", MORE_TIME.as_micros()));
}

fn push(lines: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(lines, "{line}")
        .unwrap_or_else(|std::fmt::Error| unreachable!("writing to a string does not fail"));
}

/// Lines are what the protocol tells apart.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How long systemd waits to be fed, if it waits for this process.
fn watchdog_time(time_us: Option<OsString>, process: Option<OsString>) -> Option<Duration> {
    let number = |text: OsString| text.to_str()?.parse::<u64>().ok();
    if let Some(process) = process
        && number(process) != Some(u64::from(std::process::id()))
    {
        return None;
    }
    time_us.and_then(number).filter(|time| *time > 0).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn teller(shards: usize) -> Teller {
        Teller { progress: Arc::new(Progress::new(shards)), feeds: true, work: 0, said: String::new() }
    }

    #[test]
    fn a_start_asks_for_time_only_while_it_gets_on() {
        let mut teller = teller(2);
        teller.progress.enter(Phase::Recovering);
        teller.progress.found_logs(1, 2);
        teller.progress.opened_log(1);
        let lines = teller.look();
        assert!(lines.contains("EXTEND_TIMEOUT_USEC=60000000\n"), "{lines}");
        assert!(lines.contains("STATUS=recovering 1 of 2 logs, 1 left on shard 1\n"), "{lines}");
        assert_eq!(teller.look(), "", "nothing has changed");
        teller.progress.enter(Phase::Joining);
        assert!(teller.look().contains("EXTEND_TIMEOUT_USEC"), "it waits for others");
    }

    #[test]
    fn the_watchdog_is_fed_only_while_every_shard_goes_on() {
        let mut teller = teller(2);
        teller.progress.enter(Phase::Serving("serving".into()));
        (0..2).for_each(|shard| teller.progress.went_on(shard, 0));
        assert_eq!(teller.look(), "WATCHDOG=1\nSTATUS=serving\n");
        thread::sleep(SILENCE_MAX);
        teller.progress.went_on(0, 0);
        let lines = teller.look();
        assert!(lines.starts_with("STATUS=shard 1 has got nothing done for 1 s"), "{lines}");
        teller.progress.went_on(1, 0);
        assert_eq!(teller.look(), "WATCHDOG=1\nSTATUS=serving\n");
        teller.progress.enter(Phase::Draining);
        assert!(teller.look().starts_with("WATCHDOG=1\n"), "the stop has a limit of its own");
    }

    #[test]
    fn only_this_process_feeds_its_own_watchdog() {
        let (own, text) = (std::process::id().to_string(), |text: &str| Some(OsString::from(text)));
        assert_eq!(watchdog_time(text("2000000"), text(&own)), Some(Duration::from_secs(2)));
        assert_eq!(watchdog_time(text("2000000"), None), Some(Duration::from_secs(2)));
        assert_eq!(watchdog_time(text("2000000"), text("1")), None);
        assert_eq!(watchdog_time(text("0"), None), None);
        assert_eq!(watchdog_time(None, None), None);
    }
}
