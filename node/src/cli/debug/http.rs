//! One request to the admin endpoint of a node, and its answer.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::config::HostPort;

/// The longest answer that is read; the metrics of a large node are some megabytes.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// An answer: its status, and its body as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Asks, and waits no longer than `timeout` for each part of the answer; the error is a sentence.
pub(super) fn ask(
    address: &HostPort,
    method: &str,
    path: &str,
    body: &str,
    timeout: Duration,
) -> Result<Answer, String> {
    let failed = |error: std::io::Error| format!("{address}: {error}");
    let mut addresses = (address.host.as_str(), address.port).to_socket_addrs().map_err(failed)?;
    let first = addresses.next().ok_or_else(|| format!("{address} is no address"))?;
    let mut stream = TcpStream::connect_timeout(&first, timeout).map_err(failed)?;
    stream.set_read_timeout(Some(timeout)).map_err(failed)?;
    stream.set_write_timeout(Some(timeout)).map_err(failed)?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: text/plain\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).map_err(failed)?;
    parse(&String::from_utf8_lossy(&answer))
        .ok_or_else(|| format!("{address} does not answer as an admin endpoint does"))
}

/// The endpoint closes behind its answer, so the body is the rest.
fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart() {
        let answer =
            parse("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nno\n").expect("an answer");
        assert_eq!(answer, Answer { status: 503, body: "no\n".to_owned() });
        assert_eq!(parse("\0\0\0\x10"), None);
    }
}
