//! SaslAuthenticate: no listener has SASL, so whoever is connected needs no authentication. In Kafka's words a plaintext
//! connection is authenticated already.

use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{SaslAuthenticateRequest, SaslAuthenticateResponse},
};

pub(super) fn answer(_: &SaslAuthenticateRequest<'_>) -> SaslAuthenticateResponse<'static> {
    SaslAuthenticateResponse {
        error_code: ErrorCode::ILLEGAL_SASL_STATE,
        error_message: Some(Text::Borrowed(
            "SaslAuthenticate request received after successful authentication",
        )),
        ..Default::default()
    }
}
