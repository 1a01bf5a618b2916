//! Who is who in a cluster: its own id, its nodes, its topics.

use std::fmt;
use std::io;

use ringmain_storage::TopicId;

/// A node's number in its cluster; on the wire it is the broker id. Never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub i32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts the changes of one partition's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PartitionEpoch(pub i32);

/// The cluster's id: 22 characters of URL-safe base64 over 16 random bytes, as Kafka's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterId(String);

/// Characters of a cluster id: 16 bytes in base64 without padding.
const CLUSTER_ID_LENGTH: usize = 22;

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl ClusterId {
    /// A new one. It never begins with a dash, so that it can be an argument of a command.
    pub fn random() -> io::Result<Self> {
        loop {
            let id = base64_url(&random_version_4_uuid()?);
            if !id.starts_with('-') {
                return Ok(Self(id));
            }
        }
    }

    /// Takes an id from outside; `None` when it is not of the form.
    pub fn parse(text: &str) -> Option<Self> {
        let well_formed = text.len() == CLUSTER_ID_LENGTH && text.bytes().all(|b| BASE64_URL.contains(&b));
        well_formed.then(|| Self(text.to_owned()))
    }

    /// The id as clients see it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A new topic id: a random version 4 UUID. Kafka keeps those that are zero but for their last bits for itself; a
/// version 4 UUID is none of them, since its version bits are set.
pub fn random_topic_id() -> io::Result<TopicId> {
    random_version_4_uuid().map(TopicId)
}

/// A random version 4 UUID as text, as member ids of groups end with.
pub fn random_uuid_text() -> io::Result<String> {
    let bytes = random_version_4_uuid()?;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for nibble in [byte >> 4, byte & 0x0f] {
            text.push(char::from_digit(nibble.into(), 16).expect("a nibble is a digit"));
        }
    }
    Ok(text)
}

fn random_version_4_uuid() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    // Never waits once the system has started, and 16 bytes are never given in part.
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(bytes)
}

/// Base64 with Kafka's alphabet and no padding.
fn base64_url(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for position in 0..=chunk.len() {
            let sextet = group >> (18 - 6 * position) & 0x3f;
            text.push(char::from(BASE64_URL[sextet as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_kafkas() {
        assert_eq!(base64_url(&[0; 16]), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(base64_url(&[0xff; 16]), "_____________________w");
        assert_eq!(base64_url(b"Man"), "TWFu");
        assert_eq!(base64_url(b"Ma"), "TWE");
        assert_eq!(base64_url(b"\xfb\xef"), "--8");
    }

    #[test]
    fn ids_are_random_version_4_uuids() {
        let (one, other) = (random_topic_id().expect("random"), random_topic_id().expect("random"));
        assert_ne!(one, other);
        assert_eq!((one.0[6] >> 4, one.0[8] >> 6), (4, 2));
        let cluster = ClusterId::random().expect("random");
        assert_eq!(ClusterId::parse(cluster.as_str()), Some(cluster));
        let text = random_uuid_text().expect("random");
        assert_eq!((text.len(), text.matches('-').count(), &text[14..15]), (36, 4, "4"));
        assert_eq!(ClusterId::parse("short"), None);
        assert_eq!(ClusterId::parse("AAAAAAAAAAAAAAAAAAAAA="), None);
    }
}
