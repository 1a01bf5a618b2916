//! How fetches end: what lies ready is answered without waiting for more.

mod support;

use std::time::Duration;

use support::frames::{self, Connection, Frame};
use support::server::Server;

/// Fetch version 4 of one partition that is to wait for `min_bytes`, for ten minutes.
fn patient_fetch(topic: &str, offset: i64, min_bytes: i32, max_bytes: i32) -> Vec<u8> {
    Frame::request(frames::FETCH, 4, 1)
        .i32(-1)
        .i32(i32::try_from(Duration::from_secs(600).as_millis()).expect("it fits"))
        .i32(min_bytes)
        .i32(max_bytes)
        .i8(0)
        .i32(1)
        .string(topic)
        .i32(1)
        .i32(0)
        .i64(offset)
        .i32(max_bytes)
        .finish()
}

#[test]
fn a_fetch_does_not_wait_for_bytes_that_its_own_limit_keeps_away() {
    let server = Server::start("reading");
    frames::create_topic(server.address(), "log", 1, &[]);
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    let value = vec![b'x'; 400_000];
    for correlation_id in 0..3 {
        let batch = frames::batch(&[&value]);
        let (error, _) =
            frames::produced(&connection.ask(&frames::produce(correlation_id, "log", 0, -1, &batch)));
        assert_eq!(error, 0);
    }
    // Two of three batches fit, and they are less than what is asked for: waiting would not bring the third.
    let answer = frames::fetched(&connection.ask(&patient_fetch("log", 0, 1_000_000, 1_000_000)));
    assert_eq!(answer.error, 0);
    let offsets: Vec<i64> = frames::batches(&answer.records).iter().map(|(base, _)| *base).collect();
    assert_eq!(offsets, [0, 1]);
}
