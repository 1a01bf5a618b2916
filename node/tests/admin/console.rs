//! The console in a real browser: a node on its own, and a cluster of which a node dies.
//!
//! Pictures of the page are kept below the tests' folder, for people to look at.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::browser::Browser;
use crate::or_skip;
use crate::support::frames::{self, Connection};
use crate::support::groups;
use crate::support::local_cluster::{LocalCluster, ports_in_a_row, runs, scratch, send, until};
use crate::support::server::{Options, Server};

/// What a page must not make of somebody's bytes.
const HOSTILE: &[u8] = b"<script>alert(1)</script><img src=x onerror=alert(2)>";

/// A dead node must be seen so soon; the page asks every two seconds.
const SEEN_DEAD: Duration = Duration::from_secs(5);

/// Everything fits into the width of the window, and everything that can be pressed has a name.
fn assert_fits(browser: &mut Browser, view: &str) {
    let wide = browser.value("document.documentElement.scrollWidth > document.documentElement.clientWidth");
    assert_eq!(wide, false, "{view} is wider than its window");
    let nameless = "[...document.querySelectorAll('a, button, input, select')].filter((it) => \
                    !(it.innerText?.trim() || it.ariaLabel || it.labels?.length)).map((it) => it.outerHTML)";
    assert_eq!(browser.value(nameless), json!([]), "{view} has something without a name");
}

fn assert_clean(browser: &Browser, own: &str) {
    assert_eq!(browser.complaints, [""; 0], "the page complained");
    let foreign: Vec<_> = browser.requested.iter().filter(|url| !url.starts_with(own)).collect();
    assert!(foreign.is_empty(), "asked others: {foreign:?}");
}

#[test]
fn a_node_on_its_own_is_shown_and_its_records_are_browsed() {
    let mut server = Server::start_with("console", Options { shards: "1".into(), ..Options::default() });
    if !server.is_ours() {
        return;
    }
    let mut browser = or_skip!(Browser::start("alone"));
    let own = format!("http://{}/", server.admin_address());
    for number in 0..3 {
        frames::create_topic(server.address(), &format!("orders-{number}"), 2, &[]);
    }
    let many: Vec<String> = (0..120).map(|number| format!("many-{number:03}")).collect();
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    connection.ask(&frames::create_topics(&many, 1, &[]));
    let batch = frames::batch(&[b"{\"customer\":7,\"items\":[1,2]}", HOSTILE, b"\xff\xfe\x00"]);
    for number in 0..40 {
        let answer = connection.ask(&frames::produce(number, "orders-1", 0, -1, &batch));
        assert_eq!(frames::produced(&answer).0, 0);
    }
    groups::await_coordinator(server.address());
    connection.ask(&groups::commit("<b>readers</b> & more", "orders-1", &[(0, 100)], ""));

    browser.look_like(1280, 900, false);
    browser.go(&own);
    browser.until_text(".state", "Healthy");
    browser.until_text("main", "<b>readers</b> & more");
    browser.until_text("main", "orders-1");
    assert_fits(&mut browser, "the overview");
    browser.picture("overview-light");

    // By keyboard alone, from the top: past the link to the content and the name, to the topics.
    browser.press("Tab");
    assert_eq!(browser.value("document.activeElement.className"), "skip");
    for _ in 0..3 {
        browser.press("Tab");
    }
    assert_eq!(browser.value("document.activeElement.textContent"), "Topics");
    let outline = "getComputedStyle(document.activeElement).outlineStyle";
    assert_eq!(browser.value(outline), "solid", "the focus is seen");
    browser.press("Enter");
    browser.until_text("h1", "Topics");
    assert_eq!(browser.value("document.activeElement.id"), "content");
    browser.until_text(".pager", "of 123 topics");
    assert_eq!(browser.value("document.querySelectorAll('tbody tr').length"), 100, "a page of many topics");
    browser.press("Tab");
    browser.write("ORDERS-1");
    browser.until("the search narrows", "document.querySelectorAll('tbody tr').length === 1");
    assert_eq!(browser.value("location.hash"), "#/topics?search=ORDERS-1");
    assert_eq!(browser.value("document.activeElement.type"), "search", "the field keeps its focus");
    browser.picture("topics-light");

    browser.go(&format!("{own}#/topic/orders-1"));
    browser.until("its partitions are listed", "document.querySelectorAll('tbody tr').length === 2");
    browser.until_text("tbody tr", "120");
    assert_fits(&mut browser, "a topic");

    browser.go(&format!("{own}#/records/orders-1/0?at=offset&offset=60&count=20"));
    browser.until("records are listed", "document.querySelectorAll('button.record').length === 20");
    assert!(browser.text("tbody").contains("<script>alert(1)</script><img src=x onerror=alert(2)>"));
    assert_eq!(
        browser.value("document.querySelectorAll('main img, main script').length"),
        0,
        "bytes are text"
    );
    browser.value("document.querySelector('button.record').focus()");
    browser.press("Enter");
    browser.until_text(".whole pre", "\"customer\": 7");
    browser.picture("records-light");
    browser
        .value("[...document.querySelectorAll('button')].find((it) => it.textContent === 'Newer').click()");
    browser.until_text(".pager", "Offsets 80\u{2013}99");
    browser.go(&format!("{own}#/records/orders-1/0?contains=customer"));
    browser.until("only those with the text", "document.querySelectorAll('button.record').length === 40");
    browser.go(&format!("{own}#/group/{}", "%3Cb%3Ereaders%3C%2Fb%3E%20%26%20more"));
    browser.until_text("h1", "<b>readers</b> & more");
    browser.until_text("tbody", "100");

    browser.look_like(360, 740, true);
    for view in ["", "topics", "partitions", "groups", "topic/orders-1", "records/orders-1/0"] {
        browser.go(&format!("{own}#/{view}"));
        browser.until("there are lines", "document.querySelectorAll('tbody tr').length > 0");
        browser.value("document.querySelector('button.record')?.click()");
        assert_fits(&mut browser, view);
        browser.picture(&format!("phone-dark-{}", view.replace('/', "-")));
    }

    // Without the node the page stays, says since when, and comes back by itself.
    browser.go(&format!("{own}#/"));
    browser.until_text(".fresh", "live");
    assert_clean(&browser, &own);
    server.kill();
    browser.until_text("#stale-note", "has not answered since");
    assert!(browser.text("main").contains("orders-1"), "what was known stays");
    browser.picture("phone-dark-stale");
    server.restart();
    browser.until_text(".fresh", "live");
    assert_eq!(browser.value("document.querySelector('#stale-note').hidden"), true);
}

#[test]
fn a_cluster_shows_the_node_that_dies() {
    let mut browser = or_skip!(Browser::start("cluster"));
    let data_dir = scratch("console");
    let (first_port, admin_port) = (ports_in_a_row(3), ports_in_a_row(3));
    let admin = format!("127.0.0.1:{admin_port}");
    let mut cluster = LocalCluster::start_with_admin(&data_dir, 3, first_port, &admin);
    let pids = cluster.pids();
    cluster.printed(&["topic", "create", "orders", "--partitions", "6", "--replication-factor", "3"]);
    let lines = data_dir.join("lines");
    fs::write(&lines, "an order\n".repeat(5000)).expect("written");
    cluster.printed(&["topic", "produce", "orders", lines.to_str().expect("text"), "--quiet"]);

    let own = format!("http://{admin}/");
    browser.look_like(1280, 1000, true);
    browser.go(&own);
    browser.until_text(".state", "Healthy");
    browser.until("the nodes answer", "document.querySelectorAll('tbody .pill.good').length >= 3");
    browser.until_text("main", "5,000");
    assert_fits(&mut browser, "the overview");
    browser.picture("cluster-dark");
    assert_clean(&browser, &own);

    send("KILL", &pids[2]);
    let seen = browser
        .until("the node is shown as dead", "document.querySelectorAll('tbody .pill.bad').length === 1");
    let degraded = browser.until_text(".state", "Node 3");
    println!("a dead node was seen after {seen:?}, and named after {:?}", seen + degraded);
    assert!(seen < SEEN_DEAD, "{seen:?}");
    browser.until_text(".state", "not in sync");
    assert!(browser.text("main").contains("5,000"), "what the others lead is known");
    browser.picture("cluster-dark-down");
    browser.go(&format!("{own}#/partitions?search=orders"));
    browser.until(
        "each partition lacks a replica",
        "document.querySelectorAll('tbody .replica.out').length === 6",
    );
    browser.until("and somebody leads it", "document.querySelectorAll('tbody .replica.leader').length === 6");
    assert_fits(&mut browser, "the partitions");
    browser.picture("cluster-dark-partitions");
    assert_clean(&browser, &own);
    drop(cluster);
    until("the nodes end with the command", || pids.iter().all(|pid| !runs(pid)));
    fs::remove_dir_all(&data_dir).expect("the data can be removed");
}
