//! The API: what the console shows, as JSON, for programs too.
//!
//! Versioned by its path: fields are added within a version, and never change their meaning or go. Numbers that nobody
//! knows at present are `null`, and never a guess. It is described in docs/console.md.

mod cluster;
mod groups;
mod partitions;
mod plots;
mod records;
mod topics;

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hyper::StatusCode;
use serde::Serialize;

pub(super) use cluster::cluster;
pub(super) use groups::{group, groups};
pub(super) use partitions::partitions;
pub(super) use plots::plots;
pub(super) use records::records;
pub(super) use topics::{topic, topics};

use super::{Request, Response};

/// Lines of a list in one answer, unless asked for fewer, and at most.
const LINES: usize = 100;
const LINES_MAX: usize = 500;

/// Why a request is not answered.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    reason: String,
}

impl Problem {
    fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }

    fn unknown(what: &str, name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what} '{name}'"))
    }
}

/// What is wrong with a parameter.
impl From<String> for Problem {
    fn from(reason: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }
}

fn respond<T: Serialize>(answer: Result<T, Problem>) -> Response {
    match answer {
        Ok(value) => Response::json(&value),
        Err(problem) => Response::refusal(problem.status, &problem.reason),
    }
}

/// Which lines of a list are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    from: usize,
    count: usize,
}

impl Window {
    fn of(request: &Request) -> Result<Self, Problem> {
        let count = request.number("count")?.unwrap_or(LINES).min(LINES_MAX);
        Ok(Self { from: request.number("from")?.unwrap_or(0), count })
    }

    fn lines<T>(self, all: Vec<T>) -> Page<T> {
        let matching = all.len();
        Page { from: self.from, matching, lines: all.into_iter().skip(self.from).take(self.count).collect() }
    }
}

/// A part of a list.
#[derive(Debug, Serialize)]
struct Page<T> {
    /// The position of the first line.
    from: usize,
    /// How many lines there are in all.
    matching: usize,
    lines: Vec<T>,
}

/// Whether a name has what was searched for in it, in whichever case.
struct Search(Option<String>);

impl Search {
    fn of(request: &Request) -> Self {
        Self(
            request
                .parameter("search")
                .map(|text| text.trim().to_lowercase())
                .filter(|text| !text.is_empty()),
        )
    }

    fn finds(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|text| name.to_lowercase().contains(text))
    }
}

pub(super) fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

fn ms_since(at: Instant) -> u64 {
    u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::super::request::request;
    use super::*;

    #[test]
    fn a_list_is_told_in_parts() {
        let window = |query: &str| Window::of(&request(Method::GET, &format!("/x?{query}")));
        let page = window("from=2&count=3").expect("fine").lines((0..10).collect());
        assert_eq!((page.from, page.matching, page.lines), (2, 10, vec![2, 3, 4]));
        let page = window("from=20").expect("fine").lines((0..10).collect());
        assert_eq!((page.matching, page.lines), (10, vec![]));
        assert_eq!(window("count=100000").expect("fine").count, LINES_MAX);
        assert_eq!(window("from=x").expect_err("no number").status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn names_are_found_in_any_case() {
        let search = |text: &str| Search::of(&request(Method::GET, &format!("/x?search={text}")));
        assert!(search("ORD").finds("orders-eu") && search("").finds("x") && search("%20").finds("x"));
        assert!(!search("ord").finds("returns"));
    }
}
