//! Who is who in a cluster: its own id, its nodes, its topics.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

/// A node's number in its cluster; on the wire it is the broker id. Never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub i32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts the changes of one partition's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct PartitionEpoch(pub i32);

/// Drawn at random by each start of a node's process: two starts of one node are told apart by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct IncarnationId(pub [u8; 16]);

/// The cluster's id: 22 characters of URL-safe base64 over 16 random bytes, as Kafka's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterId(String);

/// Characters of a cluster id: 16 bytes in base64 without padding.
const CLUSTER_ID_LENGTH: usize = 22;

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl ClusterId {
    /// The id over 16 random bytes; `None` when it would begin with a dash, and so could not be an argument of a command.
    pub fn from_bytes(bytes: &[u8; 16]) -> Option<Self> {
        let id = base64_url(bytes);
        (!id.starts_with('-')).then_some(Self(id))
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
    fn cluster_ids_are_checked() {
        let cluster = ClusterId::from_bytes(&[7; 16]).expect("begins with no dash");
        assert_eq!(ClusterId::parse(cluster.as_str()), Some(cluster));
        assert_eq!(ClusterId::from_bytes(&[0xfb; 16]), None);
        assert_eq!(ClusterId::parse("short"), None);
        assert_eq!(ClusterId::parse("AAAAAAAAAAAAAAAAAAAAA="), None);
    }
}
