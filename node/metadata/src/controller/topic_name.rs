//! Which topic names there may be: Kafka's rules, and its words for breaking them.
//!
//! A name is also the name of a folder (`<topic>-<partition>`), so these rules keep names inside the data directory.

use alloc::borrow::ToOwned;
use alloc::format;

use ringmain_protocol::ErrorCode;

use super::Refusal;

/// Longest name, so that a folder of any partition is still a legal file name.
const LENGTH_MAX: usize = 249;

/// Checks a topic's name.
pub fn check_topic_name(name: &str) -> Result<(), Refusal> {
    let problem = if name.is_empty() {
        "the empty string is not allowed".to_owned()
    } else if name == "." || name == ".." {
        format!("'{name}' is not allowed")
    } else if name.len() > LENGTH_MAX {
        format!("the length of '{name}' is longer than the max allowed length {LENGTH_MAX}")
    } else if !name.bytes().all(is_allowed) {
        format!("'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
    } else {
        return Ok(());
    };
    Err(Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, format!("Topic name is invalid: {problem}")))
}

/// Whether two names become one where tools write dots as underscores (metrics).
pub(super) fn collide(one: &str, other: &str) -> bool {
    let unified = |byte: u8| if byte == b'.' { b'_' } else { byte };
    one.len() == other.len() && one.bytes().map(unified).eq(other.bytes().map(unified))
}

/// Whether a name can collide with another one at all.
pub(super) fn can_collide(name: &str) -> bool {
    name.contains(['.', '_'])
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_as_kafka_does() {
        for name in ["a", "orders.eu-west_1", "...", "-", &"x".repeat(249)] {
            assert_eq!(check_topic_name(name), Ok(()), "{name}");
        }
        let message = |name: &str| check_topic_name(name).expect_err("refused").message.unwrap_or_default();
        assert_eq!(message(""), "Topic name is invalid: the empty string is not allowed");
        assert_eq!(message(".."), "Topic name is invalid: '..' is not allowed");
        assert!(message(&"x".repeat(250)).ends_with("is longer than the max allowed length 249"));
        for name in ["a b", "a/b", "ä", "a\0", "a\n"] {
            assert!(message(name).ends_with("other than ASCII alphanumerics, '.', '_' and '-'"), "{name}");
        }
    }

    #[test]
    fn dots_and_underscores_collide() {
        assert!(collide("a.b", "a_b"));
        assert!(collide("a.b_c", "a_b.c"));
        assert!(!collide("a.b", "a-b"));
        assert!(!collide("a.b", "a_bc"));
        assert!(can_collide("a.b") && can_collide("a_b") && !can_collide("a-b"));
    }
}
