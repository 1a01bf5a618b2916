//! ApiVersions: what is served. Answered in any version that a client may send (KIP-511).

use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{ApiVersionsRequest, ApiVersionsResponse, FinalizedFeature, SupportedFeature},
};

use super::{RequestError, RequestInfo, decode};
use crate::{
    metadata::controller::{METADATA_FEATURE, METADATA_LEVELS},
    server::Response,
    shard::Shard,
};

/// The version whose form every client reads.
const FALLBACK_VERSION: i16 = 0;
/// The first version in which the client names its software.
const NAMED_FROM_VERSION: i16 = 3;
/// The first version that can tell of a feature that may be off.
const LEVEL_ZERO_FROM_VERSION: i16 = 4;

/// A version that is not served is answered in version 0, with the versions of this API, so that the client tries again.
pub(super) fn answer(shard: &Shard, info: RequestInfo, body: &[u8]) -> Result<Response, RequestError> {
    if !info.api_key.versions().contains(info.version) {
        return info.answer_in(FALLBACK_VERSION, &ApiVersionsResponse::unsupported_version());
    }
    let request: ApiVersionsRequest<'_> = decode(info, body)?;
    let named = info.version >= NAMED_FROM_VERSION;
    let words = [request.client_software_name, request.client_software_version];
    let mut response = with_features(shard, info.version);
    if named && !words.into_iter().all(is_software_word) {
        response = ApiVersionsResponse { error_code: ErrorCode::INVALID_REQUEST, ..Default::default() };
    }
    info.answer(&response)
}

/// All that is served, and what the cluster has agreed on.
fn with_features(shard: &Shard, version: i16) -> ApiVersionsResponse<'static> {
    let image = shard.image();
    let finalized = image.feature_levels().iter().filter(|(_, level)| **level > 0);
    let metadata = SupportedFeature {
        name: Text::Borrowed(METADATA_FEATURE),
        min_version: METADATA_LEVELS.least,
        max_version: METADATA_LEVELS.most,
    };
    // Clients of the third version fail on a feature whose lowest level is 0.
    let is_tellable = metadata.min_version > 0 || version >= LEVEL_ZERO_FROM_VERSION;
    ApiVersionsResponse {
        supported_features: is_tellable.then_some(metadata).into_iter().collect(),
        finalized_features_epoch: i64::try_from(image.version()).unwrap_or(i64::MAX),
        finalized_features: finalized
            .map(|(name, level)| FinalizedFeature {
                name: Text::Owned(name.clone()),
                max_version_level: *level,
                min_version_level: *level,
            })
            .collect(),
        ..ApiVersionsResponse::served()
    }
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
