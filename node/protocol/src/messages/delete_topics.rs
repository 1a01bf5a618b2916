//! DeleteTopics: deletes topics with all their records.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::{Text, Uuid};

message! {
    /// Asks for topics to be deleted: by name up to version 5, by name or id from version 6.
    struct DeleteTopicsRequest<'a>, request of DeleteTopics {
        topics:      Vec<DeleteTopicState<'a>> [6..];
        topic_names: Vec<&'a str>              [..=5];
        timeout_ms:  i32                       [0..];
    }
}

message! {
    /// A topic to delete: its name, or its id with a null name.
    struct DeleteTopicState<'a> {
        name:     Option<&'a str> [6..];
        topic_id: Uuid            [6..];
    }
}

message! {
    /// What became of each topic.
    struct DeleteTopicsResponse<'a>, response of DeleteTopics {
        throttle_time_ms: i32                           [1..] ignorable;
        responses:        Vec<DeletableTopicResult<'a>> [0..];
    }
}

message! {
    /// What became of one topic.
    struct DeletableTopicResult<'a> {
        name:          Option<Text<'a>> [0..] nullable(6..) default(Some(Text::Borrowed("")));
        topic_id:      Uuid             [6..] ignorable;
        error_code:    ErrorCode        [0..];
        error_message: Option<Text<'a>> [5..] ignorable;
    }
}
