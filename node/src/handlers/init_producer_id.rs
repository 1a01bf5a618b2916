//! InitProducerId: an id that no producer ever had, or the next epoch of the one that the client has (KIP-360).

use std::rc::Rc;

use ringmain_protocol::{
    ErrorCode,
    messages::{InitProducerIdRequest, InitProducerIdResponse},
};

use crate::shard::Shard;

/// In place of a producer id.
const NO_PRODUCER: i64 = -1;
/// In place of a producer epoch.
const NO_EPOCH: i16 = -1;

pub(super) async fn answer(shard: &Rc<Shard>, request: &InitProducerIdRequest<'_>) -> InitProducerIdResponse {
    let refused = |error_code| InitProducerIdResponse {
        error_code,
        producer_id: NO_PRODUCER,
        producer_epoch: NO_EPOCH,
        ..Default::default()
    };
    let half_given = (request.producer_id == NO_PRODUCER) != (request.producer_epoch == NO_EPOCH);
    if half_given || request.transactional_id == Some("") {
        return refused(ErrorCode::INVALID_REQUEST);
    }
    if request.transactional_id.is_some() {
        // There is no transaction coordinator to be found.
        return refused(ErrorCode::NOT_COORDINATOR);
    }
    match shard.next_producer_id().await {
        Ok(producer_id) => InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() },
        Err(error) => {
            tracing::warn!(code = %error, "allocate a producer id");
            // As Kafka, whatever keeps the controller from it: older clients take any other error for good.
            refused(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)
        }
    }
}
