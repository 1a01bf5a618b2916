//! What tests with hostile input hold a server to: others are not disturbed, memory stays bounded.

use super::process::Observed;
use super::server::Server;
use super::witness::Seen;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How soon a hostile frame must have its answer, or its connection its end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// The machine is shared with the test itself; what is longer is a stall, not noise.
const WITNESS_WORST: Duration = Duration::from_secs(2);

/// Prints what a witness saw, and fails if it had to wait for too long.
pub(crate) fn undisturbed(seen: &Seen) {
    println!("the witness: {seen:?}");
    assert!(seen.worst < WITNESS_WORST, "others were disturbed: {seen:?}");
}

/// Memory of the server, if it is ours to look at.
pub(crate) fn resident(server: &Server) -> u64 {
    if server.is_ours() { Observed::new(server.pid()).resident_bytes() } else { 0 }
}

/// Fails if the server's memory has grown by more since it was measured.
pub(crate) fn assert_growth_below(server: &Server, before: u64, mebibytes: u64) {
    let growth = resident(server).saturating_sub(before);
    println!("memory grew by {} KiB", growth >> 10);
    assert!(growth < mebibytes << 20, "memory grew by {} MiB", growth >> 20);
}

/// All that the server shows to its operators, as OpenMetrics.
pub(crate) fn metrics_text(server: &Server) -> String {
    let (head, body) = get(server.admin_address(), "/metrics", "application/openmetrics-text;version=1.0.0");
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    body
}

/// What an HTTP server answers: the head, and the body, which must be text.
pub(crate) fn get(address: SocketAddr, path: &str, accept: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("the port accepts");
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("the answer is text");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    (head.to_owned(), body.to_owned())
}

/// The sum over all shards of a metric that the server shows to its operators; 0 for a broker that is not ours.
pub(crate) fn metric(server: &Server, name: &str) -> u64 {
    if !server.is_ours() {
        return 0;
    }
    let text = metrics_text(server);
    let values: Vec<u64> = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once(' ')?.1.parse().ok())
        .collect();
    assert!(!values.is_empty(), "no metric is called {name}");
    values.iter().sum()
}
