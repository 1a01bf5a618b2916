//! InitProducerId: gives a producer the id under which its batches are numbered.

use super::table::{message, row};
use crate::ErrorCode;

message! {
    /// Asks for a producer id, or for the next epoch of one.
    struct InitProducerIdRequest<'a>, request of InitProducerId {
        transactional_id:       Option<&'a str> [0..];
        transaction_timeout_ms: i32             [0..];
        producer_id:            i64             [3..] default(-1);
        producer_epoch:         i16             [3..] default(-1);
    }
}

message! {
    /// The producer id and its epoch.
    struct InitProducerIdResponse, response of InitProducerId {
        throttle_time_ms: i32       [0..] ignorable;
        error_code:       ErrorCode [0..];
        producer_id:      i64       [0..] default(-1);
        producer_epoch:   i16       [0..];
    }
}
