//! Which real clients have run: notes that tests leave, and the table that is made of them.
//!
//! A test that has finished with a client calls [`note`]. `tests/tested_clients.rs` compares the notes with the table in
//! `docs/protocol.md`, so that the page cannot name a client that did not run. Notes of an older build of the server, and
//! notes about another broker (`KAFKA_TEST_TARGET`), prove nothing about this one and do not count.

use super::tools;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Ends the version of a client that the machine brings along: another machine has another one.
const OF_THE_SYSTEM: &str = "(system)";

/// Which release of a client it was.
pub(crate) enum Release<'a> {
    /// The one that the tests ask a registry for.
    Pinned(&'a str),
    /// Whatever the machine has.
    OfTheSystem(&'a str),
}

/// A row of the table: who ran, and what it did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) client: String,
    pub(crate) version: String,
    pub(crate) did: String,
}

impl Row {
    /// Whether it is the same row, or would be on a machine with the same system.
    pub(crate) fn says_the_same_as(&self, other: &Self) -> bool {
        let free = |row: &Self| row.version.ends_with(OF_THE_SYSTEM);
        self.client == other.client
            && self.did == other.did
            && (self.version == other.version || free(self) && free(other))
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients-that-ran")
}

/// Notes that a client has just done something with our server: `did` is a few words, equal words are noted once.
pub(crate) fn note(client: &str, release: Release<'_>, did: &str) {
    if std::env::var_os("KAFKA_TEST_TARGET").is_some() {
        return;
    }
    let version = match release {
        Release::Pinned(version) => version.to_owned(),
        Release::OfTheSystem(version) => format!("{version} {OF_THE_SYSTEM}"),
    };
    let row = format!("{client}|{version}|{did}\n");
    assert!(row.matches(['|', '\n']).count() == 3, "{row:?} would break the table");
    let folder = folder();
    fs::create_dir_all(&folder).expect("the folder of notes can be made");
    // One file a note: tests of several processes write at once.
    let name = format!("{:08x}", tools::checksum(&row));
    fs::write(folder.join(name), row).expect("a note can be written");
}

/// The rows of all notes about this build, sorted; what one client did in several tests stands in one row.
pub(crate) fn rows() -> Vec<Row> {
    let built = written(Path::new(env!("CARGO_BIN_EXE_ringmain")));
    let Ok(entries) = fs::read_dir(folder()) else { return Vec::new() };
    let notes = entries.filter_map(|entry| {
        let path = entry.expect("the folder of notes can be listed").path();
        (written(&path) >= built).then(|| fs::read_to_string(&path).expect("a note can be read"))
    });
    gather(notes)
}

fn written(path: &Path) -> SystemTime {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.unwrap_or_else(|error| panic!("no time of {}: {error}", path.display()))
}

fn gather(notes: impl Iterator<Item = String>) -> Vec<Row> {
    let mut of_client: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for note in notes {
        let [client, version, did] =
            cells(&note).unwrap_or_else(|| panic!("{note:?} is not a note of this program"));
        of_client.entry((client, version)).or_default().push(did);
    }
    of_client
        .into_iter()
        .map(|((client, version), mut did)| {
            did.sort();
            Row { client, version, did: did.join("; ") }
        })
        .collect()
}

/// The three cells of a line, with or without bars at its ends.
fn cells(line: &str) -> Option<[String; 3]> {
    let line = line.trim();
    let line = line.strip_prefix('|').unwrap_or(line);
    let line = line.strip_suffix('|').unwrap_or(line);
    let cells: Vec<String> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
    cells.try_into().ok()
}

/// The head of the table and its rows, as they stand in the page.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut table = String::from("| client | version | what ran |\n|---|---|---|\n");
    for Row { client, version, did } in rows {
        table += &format!("| {client} | {version} | {did} |\n");
    }
    table
}

/// The rows of a written table.
pub(crate) fn parse(table: &str) -> Vec<Row> {
    let lines = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    lines
        .map(|line| {
            let [client, version, did] = cells(line).unwrap_or_else(|| panic!("{line:?} is no row"));
            Row { client, version, did }
        })
        .collect()
}
