//! What the tests of behaviour share: the server as a process, real clients, and Kafka as the oracle.
//!
//! Nothing here knows the inside of the server. Every test also runs against any other broker: with
//! `KAFKA_TEST_TARGET=HOST:PORT` in the environment no server is started and that broker is asked instead,
//! which is how the tests themselves are tested.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test file is a program of its own and uses its own part of this module"
)]

pub(crate) mod bounds;
pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod feeder;
pub(crate) mod frames;
pub(crate) mod groups;
pub(crate) mod languages;
pub(crate) mod lines;
pub(crate) mod local_cluster;
pub(crate) mod members;
pub(crate) mod openmetrics;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod ran;
pub(crate) mod reference;
pub(crate) mod server;
pub(crate) mod tools;
pub(crate) mod transcript;
pub(crate) mod witness;

use std::io::Write;

/// Says on the real standard error, past the capture of the test runner, that a test could not run here.
///
/// A missing tool is no failure on a developer's machine; in CI it is one, because a test that never runs proves nothing.
pub(crate) fn skip(reason: &str) {
    let line = format!("SKIPPED: {reason}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("standard error takes a line");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI nothing may be skipped: {reason}");
}

/// Unwraps what a tool's preparation gave, or skips the test and returns from it.
#[macro_export]
macro_rules! or_skip {
    ($prepared:expr) => {
        match $prepared {
            Ok(ready) => ready,
            Err(reason) => {
                $crate::support::skip(&reason);
                return;
            }
        }
    };
}

/// Serialises the tests of one program that each want the whole machine.
pub(crate) fn whole_machine() -> std::sync::MutexGuard<'static, ()> {
    static MACHINE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    MACHINE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
