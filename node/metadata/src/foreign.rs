//! How requests and answers of the controller carry the types of other crates between nodes.

/// A topic's id as its bytes.
pub(crate) mod topic_id {
    use ringmain_storage::TopicId;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(topic_id: &TopicId, serializer: S) -> Result<S::Ok, S::Error> {
        topic_id.0.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TopicId, D::Error> {
        <[u8; 16]>::deserialize(deserializer).map(TopicId)
    }
}

/// The same, if there is one.
pub(crate) mod optional_topic_id {
    use ringmain_storage::TopicId;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        topic_id: &Option<TopicId>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        topic_id.map(|topic_id| topic_id.0).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<TopicId>, D::Error> {
        Ok(Option::<[u8; 16]>::deserialize(deserializer)?.map(TopicId))
    }
}

/// A leader epoch as its number; what cannot be one is refused.
pub(crate) mod leader_epoch {
    use ringmain_storage::LeaderEpoch;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(epoch: &LeaderEpoch, serializer: S) -> Result<S::Ok, S::Error> {
        epoch.value().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LeaderEpoch, D::Error> {
        let value = i32::deserialize(deserializer)?;
        LeaderEpoch::try_new(value).ok_or_else(|| D::Error::custom("a leader epoch below -1"))
    }
}

/// One of Kafka's error codes as its number.
pub(crate) mod error_code {
    use ringmain_protocol::ErrorCode;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(code: &ErrorCode, serializer: S) -> Result<S::Ok, S::Error> {
        code.0.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ErrorCode, D::Error> {
        i16::deserialize(deserializer).map(ErrorCode)
    }
}
