//! The table of tested clients in `docs/protocol.md` against the clients that ran.
//!
//! Cargo runs the test programs in the order of their names: those whose clients leave notes stand before this one. After a
//! new client, or a new release of one: `UPDATE_CLIENTS=1 cargo test` writes the table anew.

mod support;

use std::fs;
use std::path::Path;
use support::ran::{self, Row};

const BEGIN: &str = "<!-- clients: begin -->\n";
const END: &str = "<!-- clients: end -->\n";

/// Rows on the left that nothing on the right says.
fn missing(from: &[Row], among: &[Row]) -> Vec<String> {
    let missing = from.iter().filter(|row| !among.iter().any(|other| row.says_the_same_as(other)));
    missing.map(|row| format!("{} {}: {}", row.client, row.version, row.did)).collect()
}

#[test]
fn the_page_lists_the_clients_that_ran() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    let page = fs::read_to_string(&path).expect("the page is there");
    let (before, rest) = page.split_once(BEGIN).expect("the table begins at its mark");
    let (written, after) = rest.split_once(END).expect("the table ends at its mark");
    let ran = ran::rows();
    if std::env::var_os("UPDATE_CLIENTS").is_some() {
        assert!(!ran.is_empty(), "no client ran: the tests of the clients come first");
        let table = ran::table(&ran);
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).expect("the page can be written");
        return;
    }
    let listed = ran::parse(written);
    let idle = missing(&listed, &ran);
    if !idle.is_empty() {
        // A part of the tests was run, or a tool is missing, which those tests have said.
        support::skip(&format!(
            "the page lists clients that did not run with this build:\n{}",
            idle.join("\n")
        ));
        return;
    }
    let unlisted = missing(&ran, &listed);
    assert!(unlisted.is_empty(), "clients ran that the page does not list:\n{}", unlisted.join("\n"));
}

#[test]
fn a_table_that_differs_is_noticed() {
    let row = |client: &str, version: &str, did: &str| Row {
        client: client.into(),
        version: version.into(),
        did: did.into(),
    };
    let ran = [row("cat", "1.7 (system)", "meows"), row("dog", "2.0", "barks; runs")];
    let listed = ran::parse(&ran::table(&ran));
    assert_eq!(listed, ran);
    assert!(missing(&[row("cat", "1.8 (system)", "meows")], &listed).is_empty());
    assert_eq!(missing(&[row("dog", "2.1", "barks; runs")], &listed), ["dog 2.1: barks; runs"]);
    assert_eq!(missing(&[row("dog", "2.0", "barks")], &listed), ["dog 2.0: barks"]);
    assert_eq!(missing(&listed, &[]).len(), 2);
}
