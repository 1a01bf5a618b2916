//! What the pages under `docs/` say that the code can confirm: the table of APIs is the one that is served.

use std::fs;
use std::path::Path;

use ringmain_protocol::ApiKey;

/// A row of the table, as the code has it: key, name, versions, first flexible version.
fn served(key: ApiKey) -> [String; 4] {
    let versions = key.versions();
    let flexible = (0..=versions.max).find(|&version| key.is_flexible(version));
    [
        key.code().to_string(),
        key.to_string(),
        format!("{}-{}", versions.min, versions.max),
        flexible.map_or_else(|| "none".to_owned(), |version| version.to_string()),
    ]
}

/// The rows of the table below a heading, without its head; the first four cells of each.
fn rows(page: &str, heading: &str) -> Vec<[String; 4]> {
    let (_, section) = page.split_once(heading).expect("the page has the section");
    let table = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let table = table.take_while(|line| line.starts_with('|'));
    let cells = table.map(|line| {
        let mut cells = line.split('|').skip(1).map(|cell| cell.trim().to_owned());
        std::array::from_fn(|_| cells.next().expect("a row has at least four cells"))
    });
    cells.collect()
}

#[test]
fn the_page_lists_the_apis_that_are_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    let page = fs::read_to_string(path).expect("the page is there");
    let listed = rows(&page, "## What is served");
    let served: Vec<_> = ApiKey::ALL.iter().map(|&key| served(key)).collect();
    assert_eq!(listed, served, "docs/protocol.md (left) and node/protocol/src/api_key.rs (right) differ");
}

#[test]
fn a_table_that_differs_is_noticed() {
    let page = "## What is served\n\n| key | API | versions | flexible from |\n|---|---|---|---|\n| 0 | Produce | 0-9 | 9 |\n\n| 1 |";
    let listed = rows(page, "## What is served");
    assert_eq!(listed.len(), 1);
    assert_ne!(listed[0], served(ApiKey::Produce));
    assert_eq!(listed[0][..2], served(ApiKey::Produce)[..2]);
}

/// What the page on clusters shows for host 1 says what the example file says.
#[test]
fn the_page_shows_the_example_of_three_hosts() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = fs::read_to_string(docs.join("cluster.md")).expect("the page is there");
    let (_, shown) = page.split_once("```toml\n").expect("the page shows a file");
    let (shown, _) = shown.split_once("```").expect("the file ends");
    let example = fs::read_to_string(docs.join("examples/three-hosts/node-1.toml")).expect("it is there");
    let settings = |text: &str| {
        let lines = text.lines().map(|line| line.split_once('#').map_or(line, |(setting, _)| setting).trim());
        lines.filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(settings(shown), settings(&example));
    assert!(settings(shown).len() > 10);
}
