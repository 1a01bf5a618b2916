//! SaslHandshake: no listener has SASL, so there is nothing to choose. Kafka's plaintext listener answers the same: the
//! state is wrong, and the connection goes on.

use ringmain_protocol::{
    ErrorCode,
    messages::{SaslHandshakeRequest, SaslHandshakeResponse},
};

pub(super) fn answer(_: &SaslHandshakeRequest<'_>) -> SaslHandshakeResponse<'static> {
    SaslHandshakeResponse { error_code: ErrorCode::ILLEGAL_SASL_STATE, ..Default::default() }
}
