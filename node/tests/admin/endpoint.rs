//! The endpoint as programs use it: health, bounds, who is let in, and the API.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::support::frames::{self, Connection};
use crate::support::groups;
use crate::support::server::{Options, Server};
use serde_json::Value;

/// Sends text and reads until the other side closes; status, headers in lower case, body.
fn exchange(address: SocketAddr, request: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).expect("the operators' port accepts");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer in text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    (status.unwrap_or_else(|| panic!("no status: {head}")), head.to_lowercase(), body.to_owned())
}

fn ask(address: SocketAddr, method: &str, target: &str, headers: &str) -> (u16, String, String) {
    let host = if headers.contains("Host:") { "" } else { "Host: localhost\r\n" };
    exchange(address, &format!("{method} {target} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n"))
}

fn get(address: SocketAddr, target: &str) -> Value {
    let (status, _, body) = ask(address, "GET", target, "");
    assert_eq!(status, 200, "{target}: {body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{target}: {error}: {body}"))
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(15), "not so: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn strangers_and_mistakes_are_turned_away() {
    let server = Server::start("admin-doors");
    if !server.is_ours() {
        return;
    }
    let admin = server.admin_address();
    for path in ["/", "/healthz", "/readyz", "/metrics", "/api/v1/cluster"] {
        let (status, head, body) = ask(admin, "GET", path, "");
        assert_eq!(status, 200, "{path}: {body}");
        for header in [
            "content-security-policy: default-src 'none'",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "cache-control: no-store",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(head.contains(header), "{path} has no {header}: {head}");
        }
        let (status, head, nothing) = ask(admin, "HEAD", path, "");
        assert_eq!((status, nothing.as_str()), (200, ""), "{path}");
        assert!(head.contains("content-length: "), "{path}: {head}");
        let (status, head, _) = ask(admin, "POST", path, "Content-Length: 0\r\n");
        assert_eq!(status, 405, "{path}");
        assert!(head.contains("allow: get, head"), "{path}: {head}");
    }
    let (_, page, _) = ask(admin, "GET", "/", "");
    assert!(page.contains("script-src 'sha256-") && !page.contains("unsafe"), "{page}");
    for path in ["/nothing", "/api/v1", "/metrics/", "//", "/..", "/%2e%2e/etc"] {
        assert_eq!(ask(admin, "GET", path, "").0, 404, "{path}");
    }
    assert_eq!(get_status(admin, "Host: evil.example\r\n"), 421, "the name of another host");
    assert_eq!(get_status(admin, "Host: 127.0.0.1:1\r\n"), 200, "the end of a tunnel");
    assert_eq!(get_status(admin, "Origin: http://evil.example\r\n"), 403, "a page of another origin");
    let long = format!("X: {}\r\n", "x".repeat(40_000));
    assert_eq!(get_status(admin, &long), 431, "a head without end");
    let (status, ..) =
        ask(admin, "POST", "/healthz", &format!("Content-Length: 100000\r\n\r\n{}", "x".repeat(20_000)));
    assert_eq!(status, 413, "a body without end");
    let (status, ..) = exchange(admin, "nonsense\r\n\r\n");
    assert_eq!(status, 400);
}

fn get_status(address: SocketAddr, headers: &str) -> u16 {
    ask(address, "GET", "/api/v1/cluster", headers).0
}

#[test]
fn ready_means_that_clients_are_served() {
    let mut server = Server::start("admin-ready");
    if !server.is_ours() {
        return;
    }
    let admin = server.admin_address();
    let topics: Vec<String> = (0..200).map(|number| format!("topic-{number}")).collect();
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    connection.ask(&frames::create_topics(&topics, 1, &[]));
    drop(connection);
    server.kill();
    server.spawn();
    let mut reasons = Vec::new();
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(30), "not ready: {reasons:?}");
        if TcpStream::connect(admin).is_err() {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        assert_eq!(ask(admin, "GET", "/healthz", "").0, 200, "it is alive while it recovers");
        let (status, _, reason) = ask(admin, "GET", "/readyz", "");
        if status == 200 {
            break;
        }
        assert_eq!(status, 503, "{reason}");
        reasons.push(reason);
    }
    assert!(!reasons.is_empty() && reasons.iter().all(|it| it.trim().len() > 10), "it said why: {reasons:?}");
    let mut connection = Connection::open(server.address()).expect("a server that is ready accepts");
    connection.ask(&frames::api_versions(1));
}

#[test]
fn slow_clients_hold_up_nobody() {
    let server = Server::start("admin-slow");
    if !server.is_ours() {
        return;
    }
    let admin = server.admin_address();
    // Fewer than there are places: some send half a request, some nothing, some never read.
    let mut held = Vec::new();
    for text in
        ["GET /metrics HTTP/1.1\r\nHost: local", "", "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"]
            .repeat(13)
    {
        let mut stream = TcpStream::connect(admin).expect("the operators' port accepts");
        stream.write_all(text.as_bytes()).expect("sent");
        held.push(stream);
    }
    let begun = Instant::now();
    for _ in 0..5 {
        assert_eq!(ask(admin, "GET", "/healthz", "").0, 200);
        assert_eq!(ask(admin, "GET", "/metrics", "").0, 200);
    }
    let elapsed = begun.elapsed();
    assert!(elapsed < Duration::from_secs(3), "{elapsed:?} for five scrapes");
    // All places and more: those who came first lose them after a while, and nobody is shut out for good.
    for _ in 0..60 {
        held.push(TcpStream::connect(admin).expect("the operators' port accepts"));
    }
}

#[test]
fn programs_see_what_the_console_shows() {
    let server = Server::start_with("admin-api", Options { shards: "2".into(), ..Options::default() });
    if !server.is_ours() {
        return;
    }
    let admin = server.admin_address();
    frames::create_topic(server.address(), "orders", 3, &[("retention.ms", "86400000")]);
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    let batch = frames::batch(&[b"{\"id\":1}", b"two", b"\xff\x00"]);
    for number in 0..4 {
        let answer = connection.ask(&frames::produce(number, "orders", 1, -1, &batch));
        assert_eq!(frames::produced(&answer).0, 0);
    }
    groups::await_coordinator(server.address());
    let answer = connection.ask(&groups::commit("gr\u{fc}ppe/1 <b>", "orders", &[(1, 5)], ""));
    assert_eq!(groups::committed(&answer), [(1, 0)]);

    let cluster = get(admin, "/api/v1/cluster");
    assert_eq!((&cluster["health"], &cluster["is_alone"]), (&"healthy".into(), &true.into()));
    assert_eq!(cluster["nodes"][0]["answers"], true);
    assert_eq!(cluster["findings"], serde_json::json!([]));
    until("the size is told", || {
        get(admin, "/api/v1/topics?search=ORD")["lines"][0]["bytes"].as_i64() > Some(0)
    });
    let topics = get(admin, "/api/v1/topics?search=ORD&sort=-records");
    let topic = &topics["lines"][0];
    assert_eq!(
        (&topics["matching"], &topic["name"], &topic["records"]),
        (&1.into(), &"orders".into(), &12.into())
    );
    assert_eq!(get(admin, "/api/v1/topics")["matching"], 1, "internal topics are not asked for");
    assert_eq!(get(admin, "/api/v1/topics?internal=1")["matching"], 2);
    assert_eq!(get(admin, "/api/v1/topic?name=orders")["configs"][0][0], "retention.ms");
    let partitions = get(admin, "/api/v1/partitions?topic=orders&from=1&count=1");
    assert_eq!((&partitions["matching"], &partitions["from"]), (&3.into(), &1.into()));
    let line = &partitions["lines"][0];
    assert_eq!(
        (&line["partition"], &line["start"], &line["high_watermark"], &line["end"]),
        (&1.into(), &0.into(), &12.into(), &12.into())
    );
    assert_eq!((&line["standing"], &line["replicas"][0]["lag"]), (&"fine".into(), &0.into()));
    until("the group is told", || get(admin, "/api/v1/groups?search=gr")["matching"] == 1);
    let group = get(admin, "/api/v1/group?name=gr%C3%BCppe%2F1%20%3Cb%3E");
    assert_eq!((&group["lag"], &group["state"], &group["members"]), (&7.into(), &"Empty".into(), &0.into()));
    assert_eq!(group["partitions"]["lines"][0]["committed"], 5);

    let records = get(admin, "/api/v1/records?topic=orders&partition=1&offset=7&count=3");
    let texts: Vec<&Value> =
        records["records"].as_array().expect("a list").iter().map(|it| &it["value"]["text"]).collect();
    assert_eq!(texts, [&Value::from("two"), &Value::Null, &Value::from("{\"id\":1}")]);
    assert_eq!(records["records"][1]["value"]["hex"], "ff00");
    assert_eq!(
        (&records["from"], &records["next"], &records["high_watermark"]),
        (&7.into(), &10.into(), &12.into())
    );
    let last = get(admin, "/api/v1/records?topic=orders&partition=1&count=2");
    assert_eq!((&last["from"], &last["records"][0]["offset"]), (&10.into(), &10.into()));
    let found = get(admin, "/api/v1/records?topic=orders&partition=1&offset=0&contains=tw");
    assert_eq!((found["records"].as_array().map(Vec::len), &found["scanned"]), (Some(4), &12.into()));
    let by_time = get(admin, "/api/v1/records?topic=orders&partition=1&time=99999999999999");
    assert_eq!((by_time["records"].as_array().map(Vec::len), &by_time["from"]), (Some(0), &12.into()));
    for (target, status) in [
        ("/api/v1/records?topic=absent", 404),
        ("/api/v1/records?topic=orders&partition=9", 404),
        ("/api/v1/records?topic=orders&offset=x", 400),
        ("/api/v1/records", 400),
        ("/api/v1/topic?name=absent", 404),
        ("/api/v1/group?name=absent", 404),
        ("/api/v1/topics?sort=colour", 400),
    ] {
        let (told, _, body) = ask(admin, "GET", target, "");
        assert_eq!(told, status, "{target}: {body}");
        assert!(body.starts_with("{\"error\":\""), "{target}: {body}");
    }
    until("there are points to plot", || {
        get(admin, "/api/v1/plots")["times"].as_array().is_some_and(|it| it.len() >= 2)
    });
    let plots = get(admin, "/api/v1/plots");
    assert_eq!(plots["rates"]["requests"].as_array().map(Vec::len), plots["times"].as_array().map(Vec::len));
}
