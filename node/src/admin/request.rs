//! A request as the routes see it: small, whole, and checked against its bounds.

use std::net::SocketAddr;

use bytes::Bytes;
use hyper::Method;

/// A request that was read to its end.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Without the query.
    pub(crate) path: String,
    /// Without the question mark; empty where there is none.
    pub(crate) query: String,
    pub(crate) body: Bytes,
    pub(crate) peer: SocketAddr,
    /// What the client thinks whom it asks; empty where it does not say.
    pub(crate) host: String,
    /// What kinds of answer it takes; empty where it does not say.
    #[allow(dead_code, reason = "of routes that know more than one kind")]
    pub(crate) accept: String,
    /// The page from which a browser asks, where it tells.
    pub(crate) origin: Option<String>,
}

impl Request {
    /// A parameter of the query, decoded. The first one of several.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// A parameter that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<String, String> {
        self.parameter(name).ok_or_else(|| format!("the parameter '{name}' is missing"))
    }

    /// A number, if it is there.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        let Some(text) = self.parameter(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| format!("the parameter '{name}' is not a number in its range"))
    }

    /// Whether a parameter is set to something that means yes.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.parameter(name).is_some_and(|text| matches!(text.as_str(), "1" | "true" | "yes"))
    }

    /// Whether it comes from this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.peer.ip().to_canonical().is_loopback()
    }
}

#[cfg(test)]
pub(super) fn request(method: Method, target: &str) -> Request {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Request {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        body: Bytes::new(),
        peer: SocketAddr::from(([127, 0, 0, 1], 50_000)),
        host: "127.0.0.1:9644".to_owned(),
        accept: String::new(),
        origin: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_checked() {
        let asked =
            request(Method::GET, "/x?name=gr%C3%BCppe%2F1&count=10&offset=-1&all=1&name=other&empty=");
        assert_eq!(asked.parameter("name").as_deref(), Some("gr\u{fc}ppe/1"));
        assert_eq!(asked.number::<usize>("count"), Ok(Some(10)));
        assert_eq!(asked.number::<usize>("empty"), Ok(None));
        assert_eq!(asked.number::<usize>("missing"), Ok(None));
        assert!(asked.number::<usize>("offset").is_err());
        assert!(asked.required("missing").is_err());
        assert!(asked.flag("all") && !asked.flag("count"));
        assert!(asked.is_local());
        let mapped = Request { peer: "[::ffff:127.0.0.1]:1".parse().expect("an address"), ..asked.clone() };
        assert!(mapped.is_local());
        let remote = Request { peer: "192.0.2.1:1".parse().expect("an address"), ..asked };
        assert!(!remote.is_local());
    }
}
