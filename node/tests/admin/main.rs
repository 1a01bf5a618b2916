//! What operators reach: the endpoint over HTTP, its API, and the console in a real browser.

mod browser;
mod console;
mod endpoint;
#[path = "../support/mod.rs"]
mod support;
