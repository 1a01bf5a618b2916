//! SaslAuthenticate: carries the words of a SASL mechanism.

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// The client's words.
    struct SaslAuthenticateRequest<'a>, request of SaslAuthenticate {
        auth_bytes: &'a [u8] [0..];
    }
}

message! {
    /// The broker's words.
    struct SaslAuthenticateResponse<'a>, response of SaslAuthenticate {
        error_code:          ErrorCode        [0..];
        error_message:       Option<Text<'a>> [0..] default(Some(Text::Borrowed("")));
        auth_bytes:          &'a [u8]         [0..];
        /// After so long the client must authenticate itself again; 0 means never.
        session_lifetime_ms: i64              [1..] ignorable;
    }
}
