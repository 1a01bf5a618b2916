//! Every file of `tests/scenarios` is a story: what happens, and below each line what the replicas do.
//!
//! Lines that begin with two spaces are the expected trace; it is compared exactly. `UPDATE_SCENARIOS=1` writes it
//! anew, to be read in the diff. `SCENARIO=name` runs one file.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use super::simulation::Story;
use crate::planted;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// The story as it happens: its lines with the true trace below them.
fn run(text: &str) -> String {
    let mut story = Story::new();
    let mut lived = String::new();
    for line in text.lines().filter(|line| !line.starts_with("  ")) {
        lived.push_str(line);
        lived.push('\n');
        if !line.trim().is_empty() && !line.starts_with('#') {
            for happened in story.execute(line) {
                lived.push_str(&format!("  {happened}\n"));
            }
        }
    }
    lived
}

#[test]
fn stories_happen_as_they_are_told() {
    let only = std::env::var("SCENARIO").ok();
    let mut differing = Vec::new();
    let mut count = 0;
    let entries = fs::read_dir(folder()).expect("there is a folder of stories");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        count += 1;
        let told = fs::read_to_string(&path).expect("a story is text");
        let lived = run(&told);
        if std::env::var_os("UPDATE_SCENARIOS").is_some() {
            fs::write(&path, lived).expect("the story can be written");
        } else if lived != told {
            let line = told.lines().zip(lived.lines()).position(|(told, lived)| told != lived);
            let line = line.unwrap_or(told.lines().count().min(lived.lines().count()));
            let (told, lived) = (told.lines().nth(line), lived.lines().nth(line));
            differing.push(format!("{name}: line {}: told {told:?}, happened {lived:?}", line + 1));
        }
    }
    assert!(count > 0, "no story is told");
    assert!(differing.is_empty(), "{} stories differ:\n{}", differing.len(), differing.join("\n"));
}

#[test]
fn a_story_that_lies_is_noticed() {
    let story = "cluster 3\nproduce n2 a\n  n2: acknowledges\n";
    assert_eq!(
        run(story),
        "cluster 3\nproduce n2 a\n  n2: refuses: it does not lead\n  client hears: a is refused\n"
    );
}

#[test]
fn an_acknowledgement_that_comes_too_early_is_noticed() {
    let story = "cluster 3\nproduce n1 a\n";
    assert!(!run(story).contains("acknowledges"), "nobody has it yet");
    let told = catch_unwind(AssertUnwindSafe(|| planted::with("acknowledged-on-append", || run(story))));
    assert!(told.is_err(), "it is acknowledged without a copy");
}
