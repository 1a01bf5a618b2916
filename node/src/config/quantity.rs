//! Quantities as people write them: `64 MiB`, `10m`, `127.0.0.1:9092`.
//!
//! Owns the units of the node's own options. Kafka's configurations have none: they are plain numbers of the unit that
//! their name ends in.

use std::fmt;

/// Suffixes of byte counts; a bare number is bytes.
const BYTE_UNITS: [(&str, u64); 5] =
    [("b", 1), ("kib", 1 << 10), ("mib", 1 << 20), ("gib", 1 << 30), ("tib", 1 << 40)];

/// Suffixes of times; a bare number is milliseconds.
const TIME_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Parses a byte count: `1048576`, `1MiB`, `64 MiB`.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    parse_with_unit(text, &BYTE_UNITS)
        .ok_or_else(|| format!("'{text}' is not a size; write bytes, or a number with KiB, MiB, GiB or TiB"))
}

/// Parses a time in milliseconds: `500`, `500ms`, `10s`, `5m`, `2h`, `7d`.
pub fn parse_milliseconds(text: &str) -> Result<u64, String> {
    parse_with_unit(text, &TIME_UNITS).ok_or_else(|| {
        format!("'{text}' is not a time; write milliseconds, or a number with ms, s, m, h or d")
    })
}

fn parse_with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits_end);
    let unit = unit.trim().to_ascii_lowercase();
    let factor = match unit.as_str() {
        "" => 1,
        unit => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Writes a byte count with the largest unit that divides it.
pub fn format_bytes(bytes: u64) -> String {
    for (unit, name) in [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1_u64 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{} {name}", bytes / unit);
        }
    }
    format!("{bytes} B")
}

/// A host, by name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// A name, an IPv4 address, or an IPv6 address without its brackets.
    pub host: String,
    /// The port; 0 asks the system for a free one.
    pub port: u16,
}

impl HostPort {
    /// Parses `host:port` or `[address]:port`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let malformed = || format!("'{text}' is not an address; write HOST:PORT, for example 127.0.0.1:9092");
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(malformed)?;
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = match bracketed {
            Some(address) => address,
            // A colon outside brackets is an IPv6 address whose last group would be taken for the port.
            None if host.contains(':') => {
                return Err(format!("'{text}': write an IPv6 address in brackets, for example [::1]:9092"));
            }
            None => host,
        };
        if host.is_empty() {
            return Err(malformed());
        }
        let port = port.parse().map_err(|_| format!("'{text}': the port must be a number up to 65535"))?;
        Ok(Self { host: host.to_owned(), port })
    }

    /// Whether it means "every address of this machine", which a client cannot connect to.
    pub fn is_wildcard(&self) -> bool {
        matches!(self.host.as_str(), "0.0.0.0" | "::" | "*")
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        for (text, bytes) in [("0", 0), ("17", 17), ("1KiB", 1024), ("64 MiB", 64 << 20), ("2gib", 2 << 30)] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for (text, time) in [("250", 250), ("250ms", 250), ("10s", 10_000), ("7d", 604_800_000)] {
            assert_eq!(parse_milliseconds(text), Ok(time), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5 MiB", "1 MB", "99999999999 TiB", "1 m"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_written_as_they_are_read() {
        for bytes in [0, 1, 1023, 1024, 64 << 20, (64 << 20) + 1, 3 << 30] {
            assert_eq!(parse_bytes(&format_bytes(bytes)), Ok(bytes));
        }
    }

    #[test]
    fn addresses() {
        for text in ["127.0.0.1:9092", "localhost:0", "[::1]:9092"] {
            assert_eq!(HostPort::parse(text).expect(text).to_string(), text);
        }
        for text in ["", "localhost", ":9092", "::1:9092", "host:port", "host:70000", "host:-1"] {
            assert!(HostPort::parse(text).is_err(), "{text}");
        }
        assert!(HostPort::parse("0.0.0.0:9092").expect("valid").is_wildcard());
    }
}
