//! Every file of `tests/scenarios` is a story: what happens, and below each line what the coordinator does.
//!
//! Lines that begin with two spaces are the expected trace; it is compared exactly. `UPDATE_SCENARIOS=1` writes it
//! anew, to be read in the diff. `SCENARIO=name` runs one file.

use std::fs;
use std::path::PathBuf;

use super::script::Script;
use crate::planted;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// The story as it happens: its lines with the true trace below them.
fn run(story: &str) -> String {
    let mut script = Script::new();
    let mut lived = String::new();
    for line in story.lines().filter(|line| !line.starts_with("  ")) {
        lived.push_str(line);
        lived.push('\n');
        if !line.trim().is_empty() && !line.starts_with('#') {
            for happened in script.execute(line) {
                lived.push_str("  ");
                lived.push_str(&happened);
                lived.push('\n');
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
        let story = fs::read_to_string(&path).expect("a story is text");
        let lived = run(&story);
        if std::env::var_os("UPDATE_SCENARIOS").is_some() {
            fs::write(&path, lived).expect("the story can be written");
        } else if lived != story {
            differing.push(format!("{name}: {}", first_difference(&story, &lived)));
        }
    }
    assert!(count > 0, "no story is told");
    assert!(differing.is_empty(), "{} stories differ:\n{}", differing.len(), differing.join("\n"));
}

fn first_difference(story: &str, lived: &str) -> String {
    let lines = story.lines().map(Some).chain([None]).zip(lived.lines().map(Some).chain([None]));
    let difference = lines.enumerate().find(|(_, (told, happened))| told != happened);
    match difference {
        Some((index, (told, happened))) => {
            format!("line {}: told {told:?}, happened {happened:?}", index + 1)
        }
        None => "the ends differ".to_owned(),
    }
}

#[test]
fn an_assignment_that_is_told_before_it_is_written_is_noticed() {
    let story = "hold\njoin a\nwait 3000\nsync b member=c-1 generation=1 assign=c-1:orders-0\n";
    let told = |story: &str| run(story).contains("b: sync");
    assert!(!told(story), "nothing was written yet");
    assert!(told(&format!("{story}written 1\n")));
    assert!(planted::with("stable-before-written", || told(story)));
}

#[test]
fn a_story_that_lies_is_noticed() {
    let story = "heartbeat h member=x\n  h: heartbeat NONE\n";
    assert_eq!(run(story), "heartbeat h member=x\n  h: heartbeat UNKNOWN_MEMBER_ID\n");
}
