//! InitProducerId: an id that no producer ever had, or the next epoch of the one that the client has (KIP-360).

use std::rc::Rc;

use ringmain_protocol::{
    ErrorCode,
    messages::{InitProducerIdRequest, InitProducerIdResponse},
};

use crate::shard::Shard;

pub(super) async fn answer(shard: &Rc<Shard>, request: &InitProducerIdRequest<'_>) -> InitProducerIdResponse {
    let refused = |error_code| InitProducerIdResponse {
        error_code,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    if request.transactional_id.is_some() {
        // There is no transaction coordinator to be found.
        return refused(ErrorCode::NOT_COORDINATOR);
    }
    match shard.next_producer_id().await {
        Ok(producer_id) => InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() },
        Err(error) => {
            tracing::error!(code = %error, "allocate a producer id");
            refused(error)
        }
    }
}
