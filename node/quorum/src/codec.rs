//! How the parts of a message and of a stored value are written: big-endian, fixed width, lengths before contents.
//!
//! The formats are this crate's own, so that an update of openraft cannot change what is on disk or between two versions
//! of a node. A presence or kind byte is never zero: a hole of zeros is not a value. Nothing here allocates for a length
//! before the bytes are there, and decoding never panics, whatever the bytes.

mod raft;

use bytes::{Buf, BufMut, Bytes};

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    /// They end too early.
    #[error("{what} ends too early")]
    Short {
        /// What was being read.
        what: &'static str,
    },
    /// A value that no writer writes.
    #[error("{what} has the impossible value {value}")]
    Impossible {
        /// What was being read.
        what: &'static str,
        /// What stood there.
        value: u64,
    },
    /// Bytes are left over.
    #[error("{count} bytes too many")]
    TooLong {
        /// How many.
        count: usize,
    },
    /// A checksum is not that of the bytes.
    #[error("the checksum is {found:#010x}, the bytes give {expected:#010x}")]
    Checksum {
        /// Computed.
        expected: u32,
        /// Stored.
        found: u32,
    },
}

/// Something that is written and read.
pub(crate) trait Coded: Sized {
    fn encode(&self, into: &mut Vec<u8>);
    fn decode(reader: &mut Reader) -> Result<Self, DecodeError>;

    /// The bytes alone.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        bytes
    }

    /// All of `bytes`, no more and no less.
    fn from_bytes(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// Bytes that are read from the front. Slices of it share its memory.
#[derive(Debug)]
pub(crate) struct Reader(Bytes);

impl Reader {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(crate) fn remaining(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::TooLong { count: self.0.len() }) }
    }

    pub(crate) fn bytes(&mut self, count: usize, what: &'static str) -> Result<Bytes, DecodeError> {
        if self.0.len() < count { Err(DecodeError::Short { what }) } else { Ok(self.0.split_to(count)) }
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        self.0.try_get_u8().map_err(|_| DecodeError::Short { what })
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        self.0.try_get_u16().map_err(|_| DecodeError::Short { what })
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        self.0.try_get_u32().map_err(|_| DecodeError::Short { what })
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        self.0.try_get_u64().map_err(|_| DecodeError::Short { what })
    }

    pub(crate) fn u128(&mut self, what: &'static str) -> Result<u128, DecodeError> {
        self.0.try_get_u128().map_err(|_| DecodeError::Short { what })
    }

    pub(crate) fn i32(&mut self, what: &'static str) -> Result<i32, DecodeError> {
        self.0.try_get_i32().map_err(|_| DecodeError::Short { what })
    }

    /// A number of things to come, each of at least `size_min` bytes: no more than can be there.
    pub(crate) fn count(&mut self, size_min: usize, what: &'static str) -> Result<usize, DecodeError> {
        let count = self.u32(what)?;
        let possible = self.remaining() / size_min;
        match usize::try_from(count) {
            Ok(count) if count <= possible => Ok(count),
            _ => Err(DecodeError::Impossible { what, value: u64::from(count) }),
        }
    }

    pub(crate) fn boolean(&mut self, what: &'static str) -> Result<bool, DecodeError> {
        match self.u8(what)? {
            1 => Ok(false),
            2 => Ok(true),
            value => Err(DecodeError::Impossible { what, value: u64::from(value) }),
        }
    }

    pub(crate) fn text(&mut self, what: &'static str) -> Result<String, DecodeError> {
        let length = self.u16(what)?;
        let bytes = self.bytes(usize::from(length), what)?;
        String::from_utf8(bytes.into())
            .map_err(|_| DecodeError::Impossible { what, value: u64::from(length) })
    }
}

pub(crate) fn put_boolean(into: &mut Vec<u8>, value: bool) {
    into.put_u8(if value { 2 } else { 1 });
}

/// # Panics
/// If there are more than 2^32 - 1 of them, which no limit of this crate allows.
pub(crate) fn put_count(into: &mut Vec<u8>, count: usize) {
    into.put_u32(u32::try_from(count).expect("counts are bounded far below 2^32"));
}

/// Texts are host names and cluster ids; what exceeds the field is cut, and will be refused by whoever compares it.
pub(crate) fn put_text(into: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    into.put_u16(length);
    into.put_slice(&text.as_bytes()[..usize::from(length)]);
}

impl<T: Coded> Coded for Option<T> {
    fn encode(&self, into: &mut Vec<u8>) {
        put_boolean(into, self.is_some());
        if let Some(value) = self {
            value.encode(into);
        }
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        if reader.boolean("a presence byte")? { T::decode(reader).map(Some) } else { Ok(None) }
    }
}

/// The bytes with a checksum before them, as values are stored.
pub(crate) fn seal(bytes: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(4 + bytes.len());
    sealed.put_u32(crc32fast::hash(bytes));
    sealed.put_slice(bytes);
    sealed
}

/// The bytes of a stored value, checked.
pub(crate) fn unseal(sealed: &[u8]) -> Result<Bytes, DecodeError> {
    let mut reader = Reader::new(Bytes::copy_from_slice(sealed));
    let found = reader.u32("a checksum")?;
    let bytes = reader.bytes(reader.remaining(), "a value")?;
    let expected = crc32fast::hash(&bytes);
    if found == expected { Ok(bytes) } else { Err(DecodeError::Checksum { expected, found }) }
}

#[cfg(test)]
mod tests;
