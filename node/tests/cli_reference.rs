//! The reference in `docs/operating.md` against the tables of the code.
//!
//! After a change of a table: `UPDATE_REFERENCE=1 cargo test --test cli_reference` writes it anew.

use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- reference: begin -->\n";
const END: &str = "<!-- reference: end -->\n";

#[test]
fn the_reference_is_what_the_code_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating.md");
    let text = fs::read_to_string(&path).expect("the page is there");
    let (before, rest) = text.split_once(BEGIN).expect("the reference begins at its mark");
    let (written, after) = rest.split_once(END).expect("the reference ends at its mark");
    let expected = ringmain::config::reference::reference();
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).expect("the page can be written");
        return;
    }
    let differing = written.lines().zip(expected.lines()).find(|(written, expected)| written != expected);
    assert!(written == expected, "the reference differs, first at {differing:?}; see the head of this test");
}
