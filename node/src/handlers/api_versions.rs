//! ApiVersions: what is served. Answered in any version that a client may send (KIP-511).

use ringmain_protocol::{
    ErrorCode,
    messages::{ApiVersionsRequest, ApiVersionsResponse},
};

use super::{RequestError, RequestInfo, decode};
use crate::server::Response;

/// The version whose form every client reads.
const FALLBACK_VERSION: i16 = 0;
/// The first version in which the client names its software.
const NAMED_FROM_VERSION: i16 = 3;

/// A version that is not served is answered in version 0, with the versions of this API, so that the client tries again.
pub(super) fn answer(info: RequestInfo, body: &[u8]) -> Result<Response, RequestError> {
    if !info.api_key.versions().contains(info.version) {
        return info.answer_in(FALLBACK_VERSION, &ApiVersionsResponse::unsupported_version());
    }
    let request: ApiVersionsRequest<'_> = decode(info, body)?;
    let named = info.version >= NAMED_FROM_VERSION;
    let words = [request.client_software_name, request.client_software_version];
    let mut response = ApiVersionsResponse::served();
    if named && !words.into_iter().all(is_software_word) {
        response = ApiVersionsResponse { error_code: ErrorCode::INVALID_REQUEST, ..Default::default() };
    }
    info.answer(&response)
}

/// KIP-511: letters and digits, and between them also `.` and `-`.
fn is_software_word(word: &str) -> bool {
    let edge = |byte: &u8| byte.is_ascii_alphanumeric();
    let middle = |byte: &u8| edge(byte) || matches!(byte, b'.' | b'-');
    let bytes = word.as_bytes();
    bytes.first().is_some_and(edge) && bytes.last().is_some_and(edge) && bytes.iter().all(middle)
}

#[cfg(test)]
mod tests {
    use super::is_software_word;

    #[test]
    fn software_words_are_those_of_kip_511() {
        for word in ["librdkafka", "apache-kafka-java", "2.8.0", "v1.2-rc3", "a"] {
            assert!(is_software_word(word), "{word}");
        }
        for word in ["", "-a", "a-", "a b", "a/b", "ä", ".1"] {
            assert!(!is_software_word(word), "{word}");
        }
    }
}
