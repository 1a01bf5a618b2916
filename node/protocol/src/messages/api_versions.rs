//! ApiVersions: what a client asks first, to learn which versions it may use.
//!
//! The response always has header version 0, since the client does not know yet what the broker
//! understands. A request in a version that is not served is answered in version 0 with
//! `UNSUPPORTED_VERSION` and the served range of ApiVersions itself (KIP-511).

use alloc::vec::Vec;

use super::table::{message, row};
use crate::codec::Text;
use crate::{ApiKey, ErrorCode};

message! {
    /// Asks which versions are served.
    struct ApiVersionsRequest<'a>, request of ApiVersions {
        client_software_name:    &'a str [3..] ignorable;
        client_software_version: &'a str [3..] ignorable;
    }
}

message! {
    /// The served versions of each API.
    struct ApiVersionsResponse<'a>, response of ApiVersions {
        error_code:               ErrorCode                 [0..];
        api_keys:                 Vec<ApiVersionRange>      [0..];
        throttle_time_ms:         i32                       [1..] ignorable;
        supported_features:       Vec<SupportedFeature<'a>> [3..] tag(0) ignorable;
        finalized_features_epoch: i64                       [3..] tag(1) default(-1) ignorable;
        finalized_features:       Vec<FinalizedFeature<'a>> [3..] tag(2) ignorable;
        zk_migration_ready:       bool                      [3..] tag(3) ignorable;
    }
}

message! {
    /// The served versions of one API.
    struct ApiVersionRange {
        /// A number, not an [`ApiKey`]: other brokers serve APIs that we do not know.
        api_key:     i16 [0..];
        min_version: i16 [0..];
        max_version: i16 [0..];
    }
}

message! {
    /// Levels of a feature that the broker supports. Version 3 cannot express `min_version` 0: leave
    /// such a feature out of that version's response, since old clients fail on it.
    struct SupportedFeature<'a> {
        name:        Text<'a> [3..];
        min_version: i16      [3..];
        max_version: i16      [3..];
    }
}

message! {
    /// The level of a feature that the cluster agreed on.
    struct FinalizedFeature<'a> {
        name:              Text<'a> [3..];
        max_version_level: i16      [3..];
        min_version_level: i16      [3..];
    }
}

impl ApiVersionsRequest<'_> {
    /// Whether the software's name and version are such that they can go into metrics and
    /// diagnostics: letters and digits, with dots and hyphens between them. A request that fails is
    /// answered with `INVALID_REQUEST`. Versions before 3 have no names.
    #[must_use]
    pub fn has_valid_names(&self, version: i16) -> bool {
        version < 3 || [self.client_software_name, self.client_software_version].into_iter().all(is_valid)
    }
}

fn is_valid(name: &str) -> bool {
    let (Some(first), Some(last)) = (name.bytes().next(), name.bytes().next_back()) else {
        return false;
    };
    first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

impl ApiVersionsResponse<'_> {
    /// All that is served.
    #[must_use]
    pub fn served() -> Self {
        let api_keys = ApiKey::ALL.iter().map(|&key| ApiVersionRange::served(key)).collect();
        Self { api_keys, ..Self::default() }
    }

    /// The answer to a version that is not served; to be encoded in version 0.
    #[must_use]
    pub fn unsupported_version() -> Self {
        Self {
            error_code: ErrorCode::UNSUPPORTED_VERSION,
            api_keys: [ApiVersionRange::served(ApiKey::ApiVersions)].into(),
            ..Self::default()
        }
    }
}

impl ApiVersionRange {
    fn served(key: ApiKey) -> Self {
        let versions = key.versions();
        Self { api_key: key.code(), min_version: versions.min, max_version: versions.max }
    }
}
