//! The headers that come before the bodies of requests and responses.
//!
//! Which form a header has follows from the API and its version, and in one place does not:
//! responses of ApiVersions never have tagged fields (see there).

use crate::ApiKey;
use crate::codec::{DecodeError, EncodeError, Reader, Version, Writer};

/// What a request says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    /// The API.
    pub api_key: ApiKey,
    /// The version of its messages. It may be one that is not served: an ApiVersions request in
    /// such a version has an answer, any other ends the connection.
    pub api_version: i16,
    /// Given back in the response.
    pub correlation_id: i32,
    /// The name that the client gave itself.
    pub client_id: Option<&'a str>,
}

impl<'a> RequestHeader<'a> {
    /// Reads the header, and leaves `reader` at the body.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let code = reader.i16()?;
        let api_key = ApiKey::from_code(code).ok_or(DecodeError::UnknownApiKey(code))?;
        let api_version = reader.i16()?;
        let correlation_id = reader.i32()?;
        let client_id = reader.nullable_str(CLIENT_ID_FORM)?;
        if api_key.is_flexible(api_version) {
            reader.tagged_fields(|_, _| Ok(()))?;
        }
        Ok(Self { api_key, api_version, correlation_id, client_id })
    }

    /// Writes the header.
    pub fn encode(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.i16(self.api_key.code());
        writer.i16(self.api_version);
        writer.i32(self.correlation_id);
        writer.nullable_str(self.client_id, CLIENT_ID_FORM)?;
        if self.api_key.is_flexible(self.api_version) {
            writer.unsigned_varint(0);
        }
        Ok(())
    }

    /// Whether the version is served.
    #[must_use]
    pub const fn is_version_served(&self) -> bool {
        self.api_key.versions().contains(self.api_version)
    }

    /// The header of the response, whose body will be in `body_version`.
    #[must_use]
    pub const fn response(&self, body_version: i16) -> ResponseHeader {
        ResponseHeader {
            api_key: self.api_key,
            api_version: body_version,
            correlation_id: self.correlation_id,
        }
    }
}

/// The client id never got a compact form, so that a broker can read it whatever the version.
const CLIENT_ID_FORM: Version = Version::new(1, false);

/// What a response says about itself: only the correlation id is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHeader {
    /// The API of the request.
    pub api_key: ApiKey,
    /// The version of the response's body.
    pub api_version: i16,
    /// Taken from the request.
    pub correlation_id: i32,
}

impl ResponseHeader {
    /// Reads the header of a response to a request of `api_key` in `api_version`.
    pub fn decode(reader: &mut Reader<'_>, api_key: ApiKey, api_version: i16) -> Result<Self, DecodeError> {
        let correlation_id = reader.i32()?;
        let header = Self { api_key, api_version, correlation_id };
        if header.has_tagged_fields() {
            reader.tagged_fields(|_, _| Ok(()))?;
        }
        Ok(header)
    }

    /// Writes the header.
    pub fn encode(&self, writer: &mut Writer) {
        writer.i32(self.correlation_id);
        if self.has_tagged_fields() {
            writer.unsigned_varint(0);
        }
    }

    const fn has_tagged_fields(&self) -> bool {
        !matches!(self.api_key, ApiKey::ApiVersions) && self.api_key.is_flexible(self.api_version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(api_key: ApiKey, api_version: i16) -> RequestHeader<'static> {
        RequestHeader { api_key, api_version, correlation_id: 7, client_id: Some("kcat") }
    }

    #[test]
    fn client_id_is_never_compact_and_tags_follow_it() {
        for (version, tail) in [(8, &b"\0\x04kcat"[..]), (9, b"\0\x04kcat\0")] {
            let mut writer = Writer::new();
            header(ApiKey::Produce, version).encode(&mut writer).expect("encodes");
            assert_eq!(&writer.bytes()[8..], tail);
            let mut reader = Reader::new(writer.bytes());
            let decoded = RequestHeader::decode(&mut reader).expect("decodes");
            assert_eq!(decoded, header(ApiKey::Produce, version));
            assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn response_of_api_versions_has_no_tags() {
        for (key, version, size) in
            [(ApiKey::ApiVersions, 4, 4), (ApiKey::Fetch, 11, 4), (ApiKey::Fetch, 12, 5)]
        {
            let mut writer = Writer::new();
            header(key, version).response(version).encode(&mut writer);
            assert_eq!(writer.bytes().len(), size, "{key} {version}");
        }
    }

    #[test]
    fn unknown_api_is_refused_and_unknown_version_is_not() {
        let unknown_key = [0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
        assert_eq!(
            RequestHeader::decode(&mut Reader::new(&unknown_key)),
            Err(DecodeError::UnknownApiKey(i16::MAX))
        );
        let future = [0, 18, 0, 99, 0, 0, 0, 1, 0xff, 0xff, 0];
        let header = RequestHeader::decode(&mut Reader::new(&future)).expect("decodes");
        assert!(!header.is_version_served());
    }
}
