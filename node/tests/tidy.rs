//! House rules that a program can check, over every file of the repository.
//!
//! Each rule is a function from a file to its violations, and is itself tested on a text that breaks it.

use std::fs;
use std::path::{Path, PathBuf};

/// Files above this have a second noun in them; the usual is 80 to 400.
const LINES_MAX: usize = 700;
/// Words that say nothing about what a file or a type is.
const EMPTY_WORDS: [&str; 14] = [
    "manager",
    "helper",
    "helpers",
    "util",
    "utils",
    "common",
    "misc",
    "core",
    "engine",
    "service",
    "processor",
    "impl",
    "inner",
    "types",
];
/// Where the runtime may be named: the seam around it, and the disk that uses its ring.
const GLOMMIO_PLACES: [&str; 1] = ["node/src/runtime"];
/// Where code may step outside the rules of the language: memory and descriptors shared with the kernel.
const UNSAFE_PLACES: [&str; 14] = [
    "node/src/cli/check/clock.rs",
    "node/src/runtime",
    "node/src/server/cores.rs",
    "node/src/server/limits.rs",
    "node/src/server/signals.rs",
    "storage/src/disk/direct",
    "storage/src/disk/buffer.rs",
    "storage/src/disk/memory.rs",
    // Counts what is allocated for hostile lengths.
    "node/protocol/src/counting_allocator.rs",
    // Mount name spaces, and processes that end with their parent.
    "node/tests/cluster/machine.rs",
    "node/tests/power_cut/server.rs",
    "storage/tests/power_cut/machine.rs",
    "storage/tests/power_cut/volatile_disk/process.rs",
    "bench/src/",
];

/// A file of the repository: its path from the root, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.split('.').next().unwrap_or(name)
    }

    /// Numbered lines without comments and without what stands between quotation marks.
    fn code(&self) -> impl Iterator<Item = (usize, String)> + '_ {
        self.text.lines().enumerate().map(|(index, line)| {
            let mut code = String::new();
            let mut quoted = false;
            let mut previous = ' ';
            for (position, character) in line.char_indices() {
                if !quoted && line[position..].starts_with("//") {
                    break;
                }
                if character == '"' && previous != '\\' {
                    quoted = !quoted;
                } else if !quoted {
                    code.push(character);
                }
                previous = character;
            }
            (index + 1, code)
        })
    }
}

type Rule = fn(&Source) -> Vec<String>;

const RUST_RULES: [(&str, Rule); 7] = [
    ("a file opens with what it owns (//!)", opens_with_header),
    ("a file has one noun", is_short),
    ("a name says what a thing is", is_named_well),
    ("the runtime is named only at its seam", names_runtime_at_seam),
    ("unsafe stands only in the named places", is_safe),
    ("nothing is left to do", is_finished),
    ("words are for one reader anywhere", names_no_machine),
];

fn opens_with_header(source: &Source) -> Vec<String> {
    if source.path.contains("/fuzz_targets/") {
        return vec![]; // Three lines each; the checks that they call have the header.
    }
    let mut lines = source.text.lines().skip_while(|line| line.is_empty() || line.starts_with("#!["));
    let first = lines.next().unwrap_or_default();
    if first.starts_with("//! ") { vec![] } else { vec![format!("begins with {first:?}")] }
}

fn is_short(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    if lines > LINES_MAX { vec![format!("{lines} lines, {LINES_MAX} at most")] } else { vec![] }
}

fn is_named_well(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let stem = source.stem();
    if stem.split('_').any(|word| EMPTY_WORDS.contains(&word)) || stem.ends_with('2') {
        found.push(format!("the file's name {stem} says nothing"));
    }
    for (number, line) in source.code() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let item = words.windows(2).find(|pair| ["struct", "enum", "trait", "mod"].contains(&pair[0]));
        if let Some(pair) = item
            && words[0].starts_with("pub")
        {
            let name: String = pair[1].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if words_of(&name).iter().any(|word| EMPTY_WORDS.contains(&word.as_str())) {
                found.push(format!("line {number}: the name {name} says nothing"));
            }
        }
    }
    found
}

/// The words of a name in CamelCase or snake_case, in lower case.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for character in name.chars() {
        if character == '_' || character.is_uppercase() {
            words.push(String::new());
        }
        if character != '_' {
            words.last_mut().expect("there is a word").extend(character.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn names_runtime_at_seam(source: &Source) -> Vec<String> {
    if GLOMMIO_PLACES.iter().any(|place| source.path.starts_with(place)) {
        return vec![];
    }
    let lines = source.code().filter(|(_, line)| line.contains("glommio"));
    lines.map(|(number, _)| format!("line {number} names glommio")).collect()
}

fn is_safe(source: &Source) -> Vec<String> {
    if UNSAFE_PLACES.iter().any(|place| source.path.starts_with(place)) {
        return vec![];
    }
    let uses =
        |line: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe");
    source
        .code()
        .filter(|(_, line)| uses(line))
        .map(|(number, _)| format!("line {number} is unsafe"))
        .collect()
}

fn is_finished(source: &Source) -> Vec<String> {
    let marks = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["todo", "!("].concat(),
        ["unimplemented", "!("].concat(),
    ];
    let unfinished = |line: &str| marks.iter().any(|mark| line.contains(mark));
    let lines = source.text.lines().enumerate().filter(|(_, line)| unfinished(line));
    lines.map(|(index, line)| format!("line {}: {}", index + 1, line.trim())).collect()
}

/// Paths of a developer's machine mean nothing to anybody else.
fn names_no_machine(source: &Source) -> Vec<String> {
    let places = [["/wo", "rk/"].concat(), ["/ro", "ot/"].concat(), ["/ho", "me/"].concat()];
    let lines = source.text.lines().enumerate();
    lines
        .filter(|(_, line)| places.iter().any(|place| line.contains(place)))
        .map(|(index, _)| format!("line {} names a place on one machine", index + 1))
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository").to_path_buf()
}

/// Every file below a folder with one of the endings, without what is built or fetched.
fn files(folder: &Path, endings: &[&str], found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", ".git", "corpus", "artifacts"].contains(&name.as_str()) {
                files(&path, endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            let path = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
            found.push(Source { path, text });
        }
    }
}

fn all(endings: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    files(&root(), endings, &mut found);
    found
}

#[test]
fn rust_files_keep_the_rules() {
    let mut violations = Vec::new();
    for source in all(&[".rs"]) {
        for (name, rule) in RUST_RULES {
            violations
                .extend(rule(&source).into_iter().map(|found| format!("{}: {name}: {found}", source.path)));
        }
    }
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}

#[test]
fn other_files_name_no_machine() {
    let mut violations = Vec::new();
    for source in all(&[".md", ".toml", ".sh", ".py", ".java", ".xml", ".service", ".yml"]) {
        let found = names_no_machine(&source);
        violations.extend(found.into_iter().map(|found| format!("{}: {found}", source.path)));
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for source in all(&[".md"]) {
        let folder = root().join(&source.path).parent().expect("a folder").to_path_buf();
        for link in source.text.split("](").skip(1) {
            let link = link.split([')', '#', ' ']).next().unwrap_or_default();
            if !link.is_empty() && !link.contains("://") && !folder.join(link).exists() {
                broken.push(format!("{}: {link}", source.path));
            }
        }
    }
    assert!(broken.is_empty(), "links to nothing:\n{}", broken.join("\n"));
}

#[test]
fn decisions_are_numbered_and_listed() {
    let folder = root().join("docs/decisions");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .expect("there is a folder of decisions")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".md") && name != "README.md")
        .collect();
    names.sort();
    let list = fs::read_to_string(folder.join("README.md")).expect("decisions are listed in their README");
    for (index, name) in names.iter().enumerate() {
        assert!(name.starts_with(&format!("{:04}-", index + 1)), "{name} is not number {}", index + 1);
        assert!(list.contains(name.as_str()), "docs/decisions/README.md does not list {name}");
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for source in all(&["Cargo.toml"]) {
        if source.text.contains("[workspace]") || source.path.contains("/fuzz/") {
            continue;
        }
        let text = source.text.replace(char::is_whitespace, "");
        assert!(text.contains("[lints]workspace=true"), "{} has lints of its own", source.path);
    }
}

#[test]
fn each_rule_notices_what_breaks_it() {
    let header = "//! Owns a thing and says what must hold.\n";
    let broken = [
        ("node/src/thing.rs", "fn main() {}\n".to_owned()),
        ("node/src/thing.rs", header.repeat(LINES_MAX + 1)),
        ("node/src/log_manager.rs", header.to_owned()),
        ("node/src/thing.rs", format!("{header}use glommio::Task;\n")),
        ("node/src/thing.rs", format!("{header}fn f() {{ unsafe {{ g() }} }}\n")),
        ("node/src/thing.rs", format!("{header}// {}{}: later\n", "TO", "DO")),
        ("node/src/thing.rs", format!("{header}const P: &str = \"/ro{}\";\n", "ot/x")),
    ];
    for ((path, text), (name, rule)) in broken.iter().zip(RUST_RULES) {
        assert!(!rule(&Source::new(path, text)).is_empty(), "{name} does not notice {path}: {text:.80}");
    }
    let fine = format!(
        "{header}// glommio is unsafe, in words\nconst S: &str = \"glommio unsafe\";\npub struct LogIdentity;\n"
    );
    for (name, rule) in RUST_RULES {
        assert_eq!(rule(&Source::new("node/src/thing.rs", &fine)), Vec::<String>::new(), "{name}");
    }
    assert!(!is_named_well(&Source::new("node/src/thing.rs", "pub struct TopicManager;")).is_empty());
    assert!(!is_named_well(&Source::new("node/src/thing.rs", "pub(crate) trait LogService {")).is_empty());
}
