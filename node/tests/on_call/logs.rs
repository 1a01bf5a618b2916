//! The diagnostics of a node: as text, as JSON, in a journal; and other levels while it runs.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::frames::Connection;
use super::support::server::{Options, Server};
use super::{ringmain, text};
use crate::or_skip;

/// How long a line may take that has to come.
const LINE_MAX: Duration = Duration::from_secs(10);

fn start(name: &str, format: &str) -> Server {
    let environment = vec![("RINGMAIN_LOG_FORMAT".to_owned(), format.to_owned())];
    Server::start_with(name, Options { environment, ..Options::default() })
}

#[test]
fn lines_are_for_people_or_for_machines() {
    let mut server = start("text", "auto");
    if !server.is_ours() {
        return;
    }
    assert!(server.terminate().0.success());
    let output = server.output();
    let line =
        output.lines().find(|line| line.contains(" stop signal=")).unwrap_or_else(|| panic!("{output}"));
    let words: Vec<&str> = line.split_whitespace().collect();
    assert!(words[0].ends_with('Z') && words[0].contains('T'), "the time comes first: {line}");
    assert_eq!(words[1..], ["INFO", "stop", "signal=\"SIGTERM\""], "{line}");

    let mut server = start("json", "json");
    assert!(server.terminate().0.success());
    let output = server.output();
    let objects = output.lines().filter(|line| line.starts_with('{'));
    let parsed: Vec<Value> = objects.map(|line| serde_json::from_str(line).expect(line)).collect();
    let stop = parsed.iter().find(|line| line["message"] == "stop").unwrap_or_else(|| panic!("{output}"));
    assert_eq!((stop["level"].as_str(), stop["signal"].as_str()), (Some("INFO"), Some("SIGTERM")));
    assert_eq!(stop["node_id"], 1);
    assert!(
        stop["timestamp"].is_string()
            && stop["target"].as_str().is_some_and(|it| it.starts_with("ringmain::"))
    );
}

#[test]
fn levels_change_while_a_node_runs() {
    let server = start("levels", "text");
    if !server.is_ours() {
        return;
    }
    let admin = server.admin_address().to_string();
    let level = |more: &[&str]| ringmain(&[&["debug", "log-level", "--admin", &admin], more].concat());
    assert_eq!(text(&level(&[]).stdout), "info\n");
    disturb(server.address());
    std::thread::sleep(Duration::from_millis(200));
    assert!(!server.output().contains("DEBUG"), "{}", server.output());

    let changed = level(&["info,ringmain::server=debug"]);
    assert_eq!(text(&changed.stdout), "info,ringmain::server=debug\n", "{}", text(&changed.stderr));
    assert_eq!(text(&level(&[]).stdout), "info,ringmain::server=debug\n");
    let begin = Instant::now();
    while !server.output().contains("DEBUG") {
        assert!(begin.elapsed() < LINE_MAX, "no line of the new level:\n{}", server.output());
        disturb(server.address());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(server.output().contains("the level of the diagnostics was changed"), "{}", server.output());

    let wrong = level(&["loud"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).contains("'loud' is no level"), "{}", text(&wrong.stderr));
    let nobody = ringmain(&["debug", "log-level", "--admin", "127.0.0.1:1"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(text(&nobody.stderr).contains("127.0.0.1:1"), "{}", text(&nobody.stderr));
}

/// A frame that is refused, which is told at the level of debugging.
fn disturb(address: SocketAddr) {
    let mut connection = Connection::open(address).expect("the server accepts");
    // Longer than any frame may be. The server may have hung up while it is sent.
    let _ = connection.send(&[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
}

/// A socket that takes what a journal takes.
struct Journal {
    socket: UnixDatagram,
    folder: PathBuf,
}

impl Journal {
    fn new() -> Self {
        // The name of a socket has a hundred characters at most: the target's folder may be deeper.
        let folder = std::env::temp_dir().join(format!("ringmain-journal-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("the folder can be made");
        let socket = UnixDatagram::bind(folder.join("socket")).expect("a socket can be bound");
        socket.set_read_timeout(Some(LINE_MAX)).expect("a timeout can be set");
        Self { socket, folder }
    }

    /// Fields of the first entry that has this in its message.
    fn entry(&self, part: &str) -> BTreeMap<String, String> {
        let mut datagram = vec![0; 1 << 18];
        loop {
            let length = self.socket.recv(&mut datagram).expect("an entry comes");
            let fields = parse(&datagram[..length]);
            if fields.get("MESSAGE").is_some_and(|message| message.contains(part)) {
                return fields;
            }
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // What stays behind is an empty folder.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// `NAME=value`, or the name, eight bytes of length, and the value; each with a line end.
fn parse(mut rest: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'=' | b'\n')) {
        let (name, separator) = (text(&rest[..end]), rest[end]);
        rest = &rest[end + 1..];
        let length = if separator == b'=' {
            rest.iter().position(|byte| *byte == b'\n').expect("a line ends")
        } else {
            let (length, value) = rest.split_first_chunk().expect("eight bytes");
            rest = value;
            usize::try_from(u64::from_le_bytes(*length)).expect("a length")
        };
        fields.insert(name, text(&rest[..length]));
        rest = &rest[length + 1..];
    }
    fields
}

/// A program that runs another with `journal` in place of the system's, its standard error read by it, as systemd says.
fn wrapper(journal: &Journal) -> Result<Vec<String>, String> {
    let folder = journal.folder.display();
    let script = format!(
        "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind {folder} /run/systemd/journal && \
         JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec \"$0\" \"$@\""
    );
    let words = ["unshare", "--mount", "sh", "-c", &script].map(str::to_owned).to_vec();
    let tried = Command::new(&words[0]).args(&words[1..]).arg("true").output();
    match tried {
        Ok(output) if output.status.success() => Ok(words),
        Ok(output) => Err(format!("no mount namespace for a journal: {}", text(&output.stderr))),
        Err(error) => Err(format!("unshare: {error}")),
    }
}

#[test]
fn a_journal_gets_fields() {
    let journal = Journal::new();
    let wrapper = or_skip!(wrapper(&journal));
    let mut server = Server::start_with("journal", Options { wrapper, ..Options::default() });
    if !server.is_ours() {
        return;
    }
    let level = ringmain(&["debug", "log-level", "warn", "--admin", &server.admin_address().to_string()]);
    assert!(level.status.success(), "{}", text(&level.stderr));
    let changed = journal.entry("level of the diagnostics");
    assert_eq!(changed["MESSAGE"], "the level of the diagnostics was changed before=info now=warn");
    let fields = ["PRIORITY", "SYSLOG_IDENTIFIER", "NODE_ID", "TARGET", "BEFORE", "NOW"]
        .map(|name| changed[name].as_str());
    assert_eq!(fields, ["4", "ringmain", "1", "ringmain::observability::logging", "info", "warn"]);
    assert!(changed["CODE_LINE"].parse::<u32>().is_ok(), "{changed:?}");

    let level = ringmain(&["debug", "log-level", "info", "--admin", &server.admin_address().to_string()]);
    assert!(level.status.success(), "{}", text(&level.stderr));
    assert!(server.terminate().0.success());
    let stop = journal.entry("stop signal");
    assert_eq!((stop["PRIORITY"].as_str(), stop["SIGNAL"].as_str()), ("6", "SIGTERM"));
    assert!(
        !server.output().contains("stop signal"),
        "and nothing of it on standard error: {}",
        server.output()
    );
}
