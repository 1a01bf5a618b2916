//! An answer, with the headers that every answer has.
//!
//! What must hold: no answer may be framed, guessed to be another kind of content, kept by a cache, or read by a page of
//! another origin; only the console's page may run anything, and only what it brings itself.

use std::borrow::Cow;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use serde::Serialize;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// What anything but a page may load.
const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// On every answer.
const HEADERS: [(&str, &str); 6] = [
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
];

/// What a route answers.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) kind: &'static str,
    pub(crate) body: Bytes,
    /// What a page may load and run.
    policy: Cow<'static, str>,
    /// Methods that would have been right.
    allow: Option<String>,
}

impl Response {
    fn new(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, kind, body: body.into(), policy: Cow::Borrowed(NOTHING), allow: None }
    }

    /// Lines for people and scripts; ends with a newline.
    pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Self::new(status, TEXT, text)
    }

    /// A text of a kind of its own.
    pub(crate) fn of_kind(kind: &'static str, text: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, kind, text)
    }

    /// A value of the API.
    pub(crate) fn json(value: &impl Serialize) -> Self {
        Self::json_with(StatusCode::OK, value)
    }

    /// A page, which may run what the policy lists.
    pub(crate) fn page(html: impl Into<Bytes>, policy: String) -> Self {
        Self { policy: Cow::Owned(policy), ..Self::new(StatusCode::OK, HTML, html) }
    }

    /// Why a request of the API was not answered, as data.
    pub(crate) fn refusal(status: StatusCode, reason: &str) -> Self {
        Self::json_with(status, &serde_json::json!({ "error": reason }))
    }

    /// The method is wrong for this path.
    pub(crate) fn wrong_method(allowed: String) -> Self {
        let text = format!("this path takes {allowed}");
        Self { allow: Some(allowed), ..Self::text(StatusCode::METHOD_NOT_ALLOWED, text) }
    }

    fn json_with(status: StatusCode, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => Self::new(status, JSON, bytes),
            Err(error) => {
                tracing::error!(%error, "write an answer as JSON");
                Self::text(StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be written as JSON")
            }
        }
    }

    /// As it goes out.
    pub(super) fn into_http(self) -> hyper::Response<Full<Bytes>> {
        let length = self.body.len();
        let mut response = hyper::Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        for (name, value) in HEADERS {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(header::CONTENT_SECURITY_POLICY, text_value(&self.policy));
        if let Some(allow) = &self.allow {
            headers.insert(header::ALLOW, text_value(allow));
        }
        response
    }
}

/// A header's value made of our own words.
fn text_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("policies and methods are visible ASCII")
}
