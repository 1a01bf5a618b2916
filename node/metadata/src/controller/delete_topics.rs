//! DeleteTopics: by name or by id.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ringmain_protocol::ErrorCode;
use ringmain_storage::TopicId;
use serde::{Deserialize, Serialize};

use super::{Controller, Decision, Refusal};
use crate::record::MetadataRecord;

/// A topic to delete: one of the two is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteTopic {
    /// Its name.
    pub name: Option<String>,
    /// Its id; Kafka's zero id is "not given".
    #[serde(with = "crate::foreign::optional_topic_id")]
    pub topic_id: Option<TopicId>,
}

/// A topic that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedTopic {
    /// Its name.
    pub name: String,
    /// Its id.
    #[serde(with = "crate::foreign::topic_id")]
    pub topic_id: TopicId,
}

impl Controller<'_> {
    /// Deletes topics. The answers are in the order of the request; items that mean the same topic are all refused, since
    /// the client cannot have meant both.
    pub fn delete_topics(&self, topics: &[DeleteTopic]) -> Decision<Vec<Result<DeletedTopic, Refusal>>> {
        let mut seen = BTreeSet::new();
        let found = topics.iter().filter_map(|item| self.find(item).ok());
        let twice: BTreeSet<TopicId> =
            found.map(|topic| topic.topic_id).filter(|topic_id| !seen.insert(*topic_id)).collect();
        let mut records = Vec::new();
        let mut answer = Vec::with_capacity(topics.len());
        for item in topics {
            let result = self.find(item).and_then(|topic| {
                if !twice.contains(&topic.topic_id) {
                    Ok(topic)
                } else {
                    let what = if item.name.is_some() { "name" } else { "id" };
                    Err(Refusal::new(ErrorCode::INVALID_REQUEST, format!("Duplicate topic {what}.")))
                }
            });
            if let Ok(topic) = &result {
                records.push(MetadataRecord::TopicDeleted { topic_id: topic.topic_id });
            }
            answer.push(result);
        }
        Decision { records, answer }
    }

    fn find(&self, item: &DeleteTopic) -> Result<DeletedTopic, Refusal> {
        let invalid = |message: &str| Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
        let topic = match (&item.name, item.topic_id) {
            (Some(_), Some(_)) => return invalid("You may not specify both topic name and topic id."),
            (None, None) => return invalid("Neither topic name nor id were specified."),
            (Some(name), None) => {
                self.image.topic(name).ok_or(Refusal::of(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?
            }
            (None, Some(topic_id)) => {
                self.image.topic_by_id(topic_id).ok_or(Refusal::of(ErrorCode::UNKNOWN_TOPIC_ID))?
            }
        };
        Ok(DeletedTopic { name: topic.name.to_string(), topic_id: topic.id })
    }
}
