//! Diagnostics in systemd's journal, by its native protocol: each value is a field of its own that `journalctl` finds.
//!
//! `MESSAGE` is the line that a person reads, with its values; besides there are `PRIORITY`, `NODE_ID`, `TARGET` (the module),
//! `CODE_FILE`, `CODE_LINE` and one field for each value, by its name in capitals (`TOPIC`, `PARTITION`, `ERROR`).
//!
//! What must hold: writing never waits. A journal that does not take a datagram at once loses it, and is told how many it
//! lost; the shards that write here must not stop because the journal does.
//! A crate for this exists (`tracing-journald`); it waits for the journal, and its messages are without their values.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::line::{Line, plain};

/// Where the journal takes datagrams.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// The longest value. Everything has to fit into one datagram, of which the kernel takes about 200 KiB.
const VALUE_BYTES_MAX: usize = 16 << 10;

/// Names that are taken; the journal itself sets those that begin with an underscore.
const RESERVED: [&str; 7] =
    ["MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "NODE_ID", "TARGET", "CODE_FILE", "CODE_LINE"];

/// Writes to the journal.
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    node_id: String,
    lost: AtomicU64,
}

impl Journal {
    /// The journal that listens at `path`.
    pub(super) fn open(path: &Path, node_id: i32) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let journal =
            Self { socket, path: path.to_owned(), node_id: node_id.to_string(), lost: AtomicU64::new(0) };
        // An empty datagram is passed over by the journal, and tells whether there is one.
        journal.socket.send_to(&[], path)?;
        Ok(journal)
    }

    fn send(&self, line: &Line) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let text = format!("{lost} lines before this one were lost: the journal did not take them");
            if !self.send_datagram(&self.datagram(Level::WARN, &[("MESSAGE", text)])) {
                self.lost.fetch_add(lost, Ordering::Relaxed);
            }
        }
        if !self.send_datagram(&self.datagram(line.level, &fields(line))) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether it was taken, or written where it can still be read.
    fn send_datagram(&self, datagram: &[u8]) -> bool {
        match self.socket.send_to(datagram, &self.path) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) => {
                // The journal is gone, or the line too long for it. What cannot be written here either is lost like a
                // line on any standard error that nobody reads.
                eprintln!("ringmain: write to the journal: {error}: {}", String::from_utf8_lossy(datagram));
                true
            }
        }
    }

    fn datagram(&self, level: Level, fields: &[(&str, String)]) -> Vec<u8> {
        let mut datagram = Vec::with_capacity(512);
        append(&mut datagram, "PRIORITY", priority(level));
        append(&mut datagram, "SYSLOG_IDENTIFIER", "ringmain");
        append(&mut datagram, "NODE_ID", &self.node_id);
        for (name, value) in fields {
            append(&mut datagram, name, value);
        }
        datagram
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        self.send(&Line::of(event));
    }
}

/// As syslog counts: 3 is an error, 7 is for debugging.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    }
}

/// The fields of an entry beside those that every entry has.
fn fields(line: &Line) -> Vec<(&str, String)> {
    let mut fields = vec![("MESSAGE", line.with_values()), ("TARGET", line.target.to_owned())];
    fields.extend(line.file.map(|file| ("CODE_FILE", file.to_owned())));
    fields.extend(line.line.map(|line| ("CODE_LINE", line.to_string())));
    fields.extend(line.values.iter().map(|(name, value)| (*name, plain(value))));
    fields
}

/// Adds a field: `NAME=value`, or, where the value has line ends, the name, its length and the bytes.
fn append(datagram: &mut Vec<u8>, name: &str, value: &str) {
    let value = &value[..value.floor_char_boundary(VALUE_BYTES_MAX)];
    datagram.extend(journal_name(name).bytes());
    if value.contains('\n') {
        datagram.push(b'\n');
        datagram.extend((value.len() as u64).to_le_bytes());
    } else {
        datagram.push(b'=');
    }
    datagram.extend(value.bytes());
    datagram.push(b'\n');
}

/// A name that the journal takes: capitals, digits and underscores, not beginning with the last two.
fn journal_name(name: &str) -> String {
    if RESERVED.contains(&name) {
        return name.to_owned();
    }
    let allowed = |character: char| {
        if character.is_ascii_alphanumeric() { character.to_ascii_uppercase() } else { '_' }
    };
    let plain: String = name.chars().map(allowed).collect();
    let is_taken =
        RESERVED.contains(&plain.as_str()) || !plain.starts_with(|first: char| first.is_ascii_uppercase());
    if is_taken { format!("VALUE_{plain}") } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_fields_and_part_of_the_message() {
        let line = Line {
            level: Level::WARN,
            target: "ringmain::shard",
            file: Some("shard.rs"),
            line: Some(7),
            message: "cannot write".to_owned(),
            values: vec![("topic", "orders".into()), ("error", "a\nb".into())],
        };
        let mut datagram = Vec::new();
        for (name, value) in fields(&line) {
            append(&mut datagram, name, &value);
        }
        let message = b"cannot write topic=orders error=a\nb";
        let mut expected = b"MESSAGE\n".to_vec();
        expected.extend((message.len() as u64).to_le_bytes());
        expected.extend(message);
        expected.extend(b"\nTARGET=ringmain::shard\nCODE_FILE=shard.rs\nCODE_LINE=7\nTOPIC=orders\nERROR\n");
        expected.extend(3_u64.to_le_bytes());
        expected.extend(b"a\nb\n");
        assert_eq!(datagram, expected);
    }

    #[test]
    fn names_are_what_the_journal_takes() {
        for (name, written) in [
            ("topic", "TOPIC"),
            ("api.key", "API_KEY"),
            ("priority", "VALUE_PRIORITY"),
            ("_pid", "VALUE__PID"),
            ("2nd", "VALUE_2ND"),
            ("MESSAGE", "MESSAGE"),
        ] {
            assert_eq!(journal_name(name), written);
        }
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let mut datagram = Vec::new();
        append(&mut datagram, "error", &"\u{e9}".repeat(VALUE_BYTES_MAX));
        assert_eq!(datagram.len(), "ERROR=\n".len() + VALUE_BYTES_MAX);
        assert!(String::from_utf8(datagram).is_ok());
    }
}
