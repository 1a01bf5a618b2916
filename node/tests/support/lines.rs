//! Files of log lines to send through the server: lines as real programs write them, and the odd ones among them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A small generator with a seed: the same file every time, on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// xorshift64*
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[usize::try_from(self.below(words.len() as u64)).expect("an index of a slice")]
    }
}

const HOSTS: [&str; 4] = ["web-01", "web-02", "db-01", "edge-17"];
const PATHS: [&str; 5] = ["/", "/api/v2/orders", "/search?q=caf%C3%A9", "/static/app.3f9c.js", "/health"];
const UNITS: [&str; 4] = ["sshd", "systemd", "kernel", "cron"];
const LEVELS: [&str; 4] = ["INFO", "WARN", "ERROR", "DEBUG"];
const TEXTS: [&str; 5] = [
    "connection reset by peer",
    "Grüße aus Köln",
    "注文を受け付けました",
    "retrying in 200ms (attempt 3/5) 🚚",
    "\tat com.example.Orders.load(Orders.java:217)",
];

/// One line as a web server, the journal or an application writes it, without its end.
pub(crate) fn ordinary(random: &mut Random, number: u64) -> String {
    let mut line = String::new();
    let second = number / 50;
    let (hour, minute, second) = (second / 3_600 % 24, second / 60 % 60, second % 60);
    let (host, status) = (random.pick(&HOSTS), random.pick(&["200", "204", "301", "404", "500"]));
    let (size, port) = (random.below(90_000), random.below(60_000));
    match random.below(3) {
        0 => write!(
            line,
            "10.0.{}.{} - - [21/Nov/2025:{hour:02}:{minute:02}:{second:02} +0000] \"GET {} HTTP/1.1\" {status} {size}",
            random.below(256),
            random.below(256),
            random.pick(&PATHS)
        ),
        1 => write!(
            line,
            "Nov 21 {hour:02}:{minute:02}:{second:02} {host} {}[{port}]: {}",
            random.pick(&UNITS),
            random.pick(&TEXTS)
        ),
        _ => write!(
            line,
            "{{\"time\":\"2025-11-21T{hour:02}:{minute:02}:{second:02}.{:03}Z\",\"level\":\"{}\",\"host\":\"{host}\",\"span\":\"{:016x}\",\"message\":\"{}\"}}",
            number % 1_000,
            random.pick(&LEVELS),
            random.next(),
            random.pick(&TEXTS).trim()
        ),
    }
    .expect("a string takes text");
    line
}

/// The longest line: within the million bytes that clients send by default.
pub(crate) const LONG_LINE_BYTES: usize = 990_000;

/// Ordinary lines, and among them bytes that are no UTF-8, ends of line of another system, a line of almost a megabyte.
///
/// `empty_lines`: not every client sends a line without bytes.
pub(crate) fn bytes(count: u64, seed: u64, empty_lines: bool) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut text = Vec::new();
    for number in 0..count {
        match number % 1_000 {
            7 => text.extend_from_slice(b"a line of another system\r"),
            77 => text.extend_from_slice(b"\xff\xfe\x00 not UTF-8 \x80\xc3("),
            177 => text.extend_from_slice(b"   spaces at both ends   "),
            277 => text.extend_from_slice(b"\x1b[31mcolours\x1b[0m\x07\x00\x01\x02"),
            377 if empty_lines => {}
            477 => text.extend_from_slice("\u{feff}\u{202e}marks that change the direction".as_bytes()),
            577 if number < 1_000 => {
                let long = (0..LONG_LINE_BYTES).map(|index| b'a' + u8::try_from(index % 23).expect("small"));
                text.extend(long);
            }
            _ => text.extend_from_slice(ordinary(&mut random, number).as_bytes()),
        }
        text.push(b'\n');
    }
    text
}

/// Writes such a file into a folder of the tests.
pub(crate) fn file(name: &str, count: u64, seed: u64, empty_lines: bool) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, bytes(count, seed, empty_lines)).expect("a file of lines can be written");
    path
}
