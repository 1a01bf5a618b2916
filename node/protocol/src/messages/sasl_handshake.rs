//! SaslHandshake: chooses the mechanism by which a client will authenticate itself.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// Names the mechanism that the client has chosen.
    struct SaslHandshakeRequest<'a>, request of SaslHandshake {
        mechanism: &'a str [0..];
    }
}

message! {
    /// Whether it may be used, and which may.
    struct SaslHandshakeResponse<'a>, response of SaslHandshake {
        error_code: ErrorCode     [0..];
        mechanisms: Vec<Text<'a>> [0..];
    }
}
