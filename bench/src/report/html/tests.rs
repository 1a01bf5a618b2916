//! The page of a made-up report: well formed, self-contained, and nothing from outside is markup.

use super::quoted;
use crate::report::sample::{self, HOSTILE};

/// Elements that have no end tag.
const VOID: [&str; 3] = ["meta", "br", "wbr"];

fn pages() -> [String; 2] {
    [sample::comparison(), sample::run()].map(|report| report.to_html().expect("JSON can be written"))
}

/// The tags of a page in their order, without comments and declarations.
fn tags(page: &str) -> Vec<&str> {
    let inside = page.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(tag, _)| tag);
    inside.filter(|tag| !tag.starts_with('!')).collect()
}

#[test]
fn every_element_is_closed_where_it_was_opened() {
    for page in pages() {
        let mut open: Vec<&str> = Vec::new();
        for tag in tags(&page) {
            let name = tag.split([' ', '/']).find(|word| !word.is_empty()).expect("a tag has a name");
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name), "after {:?}", open);
            } else if !tag.ends_with('/') && !VOID.contains(&name) {
                open.push(name);
            }
        }
        assert_eq!(open, Vec::<&str>::new());
    }
}

#[test]
fn attributes_are_quoted() {
    for page in pages() {
        for tag in tags(&page) {
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            let outside: String = tag.split('"').step_by(2).collect();
            assert!(!outside.contains('\''), "{tag}");
        }
    }
}

#[test]
fn nothing_is_loaded_and_nothing_runs() {
    for page in pages() {
        assert!(page.contains("default-src 'none'"));
        for tag in tags(&page) {
            let name = tag.split(' ').next().unwrap_or_default();
            assert!(!["script", "link", "img", "iframe", "object", "use", "image"].contains(&name), "{tag}");
            assert!(
                !tag.contains(" src=") && !tag.contains(" onload=") && !tag.contains(" onclick="),
                "{tag}"
            );
            if let Some(target) = tag.split("href=\"").nth(1) {
                assert!(target.starts_with("data:application/json;base64,"), "{tag:.80}");
            }
        }
        let style =
            page.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next()).expect("a style");
        assert!(!style.contains("url(") && !style.contains("@import"));
    }
}

#[test]
fn what_came_from_outside_is_text() {
    for page in pages() {
        assert!(!page.contains(HOSTILE) && !page.contains("<script"));
        assert!(
            page.contains(
                "&lt;/script&gt;&lt;/pre&gt;&lt;script src=&quot;http://example.org/x.js&quot;&gt;"
            )
        );
    }
}

#[test]
fn doubts_stand_before_the_result() {
    let [comparison, run] = pages();
    let at = |page: &str, text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}"));
    assert!(at(&run, "What speaks against this result") < at(&run, "<h2>Result</h2>"));
    assert!(at(&comparison, "No doubts that the harness looks for") < at(&comparison, "<h2>Result</h2>"));
    assert!(!run.contains("Paired ratios"));
}

#[test]
fn a_comparison_shows_ratios_durability_and_settings() {
    let [page, _] = pages();
    for piece in [
        "an acknowledgement may not be worth the same: kafka: kafka acknowledges as it likes; ringmain: ringmain",
        "<b>2.50</b><small>2.00 to 3.00</small><span class=\"verdict better\">better</span>",
        "<title>round 3: 3.00</title>",
        "control: kafka again",
        "<tr class=\"differs\"><th scope=\"row\">flush.<wbr>messages</th><td>9223372036854775807 = never (default)</td><td>1 (default)</td></tr>",
        "<tr><th scope=\"row\">Mount options</th><td>rw,noatime</td><td>rw,noatime</td></tr>",
        "0123456789ab</code>",
    ] {
        assert!(page.contains(piece), "missing: {piece}");
    }
    for figure in [
        "Broker CPU for a gigabyte",
        "Throughput over time",
        "99th percentile over time",
        "Broker&#39;s memory over time",
        "Latency: acknowledgement",
    ] {
        assert!(page.contains(&format!("<figcaption>{figure}<small>")), "missing: {figure}");
    }
}

#[test]
fn words_of_a_command_are_quoted_for_a_shell() {
    assert_eq!(quoted("--rate=1000"), "--rate=1000");
    assert_eq!(quoted("a b"), "'a b'");
    assert_eq!(quoted("it's"), "'it'\\''s'");
    assert_eq!(quoted(""), "''");
}
