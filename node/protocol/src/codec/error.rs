//! Why bytes could not be decoded, or a message not be encoded.

use thiserror::Error;

/// The bytes are not a message of the version asked for. The connection that sent them is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end inside a value.
    #[error("{needed} bytes needed where {remaining} remain")]
    UnexpectedEnd {
        /// Bytes that the value needs.
        needed: usize,
        /// Bytes that are left.
        remaining: usize,
    },
    /// A collection claims more elements than bytes remain.
    #[error("a collection of {count} elements where {remaining} bytes remain")]
    CollectionTooLong {
        /// Elements claimed.
        count: usize,
        /// Bytes that are left.
        remaining: usize,
    },
    /// A length below zero that does not mean null.
    #[error("the negative length {0}")]
    NegativeLength(i64),
    /// Null where the version does not allow it.
    #[error("null where a value is required")]
    UnexpectedNull,
    /// A string that is not UTF-8.
    #[error("a string that is not UTF-8")]
    InvalidUtf8,
    /// A variable-length integer longer than its type allows.
    #[error("a variable-length integer that does not end")]
    VarintTooLong,
    /// The elements of all collections would take more memory than one message may.
    #[error("the decoded message would take more than {limit} bytes")]
    MessageTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// Bytes follow the message.
    #[error("{0} bytes follow the message")]
    TrailingBytes(usize),
    /// The API key is none that we know.
    #[error("unknown API key {0}")]
    UnknownApiKey(i16),
    /// The version is none that we serve.
    #[error("version {version} of API {api_key} is not served")]
    UnsupportedVersion {
        /// The API's number.
        api_key: i16,
        /// The version asked for.
        version: i16,
    },
    /// A structure that is written with its version before it, in a version that is not known.
    #[error("unknown version {0} of a format")]
    UnknownFormatVersion(i16),
}

/// The message cannot be written in the version asked for. The code that built it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A field that is set does not exist in the version, and must not be dropped silently.
    #[error("field {field} does not exist in version {version}")]
    FieldNotInVersion {
        /// Name of the field.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// Null in a version that does not allow it.
    #[error("field {field} must not be null in version {version}")]
    NullNotAllowed {
        /// Name of the field.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A length does not fit its form on the wire.
    #[error("a length of {0} does not fit the wire")]
    LengthTooLarge(usize),
    /// The version is none that we serve.
    #[error("version {version} of API {api_key} is not served")]
    UnsupportedVersion {
        /// The API's number.
        api_key: i16,
        /// The version asked for.
        version: i16,
    },
    /// A structure that is written with its version before it, in a version that is not known.
    #[error("unknown version {0} of a format")]
    UnknownFormatVersion(i16),
}
