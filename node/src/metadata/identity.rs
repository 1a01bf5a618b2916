//! New ids: of a cluster, a topic, a member. The only place of the metadata that draws random numbers.

use std::io;

use ringmain_metadata::{ClusterId, IncarnationId, TopicId};

/// A new cluster id. It never begins with a dash, so that it can be an argument of a command.
pub fn random_cluster_id() -> io::Result<ClusterId> {
    loop {
        if let Some(id) = ClusterId::from_bytes(&random_version_4_uuid()?) {
            return Ok(id);
        }
    }
}

/// A new topic id: a random version 4 UUID. Kafka keeps those that are zero but for their last bits for itself; a
/// version 4 UUID is none of them, since its version bits are set.
pub fn random_topic_id() -> io::Result<TopicId> {
    random_version_4_uuid().map(TopicId)
}

/// What tells a start of a node from all its others.
pub(super) fn random_incarnation_id() -> io::Result<IncarnationId> {
    random_version_4_uuid().map(IncarnationId)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_random_version_4_uuids() {
        let (one, other) = (random_topic_id().expect("random"), random_topic_id().expect("random"));
        assert_ne!(one, other);
        assert_eq!((one.0[6] >> 4, one.0[8] >> 6), (4, 2));
        let cluster = random_cluster_id().expect("random");
        assert_eq!(ClusterId::parse(cluster.as_str()), Some(cluster));
        let text = random_uuid_text().expect("random");
        assert_eq!((text.len(), text.matches('-').count(), &text[14..15]), (36, 4, "4"));
    }
}
