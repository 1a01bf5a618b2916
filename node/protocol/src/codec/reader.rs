//! Reads primitives from a frame and lends out its bytes; every length is checked first.

use alloc::vec::Vec;
use core::mem::size_of;

use super::varint::{VARINT_BYTES_MAX, VARLONG_BYTES_MAX, unzigzag_32, unzigzag_64};
use super::{Decode, DecodeError, Version};

/// Memory that the collections of one decoded message may take. An element takes up to some fifty
/// times its bytes on the wire (an empty topic: 3 bytes there, 150 here), so a frame at the usual
/// limit of 100 MiB could ask for gigabytes. Half a million partitions in one request fit.
pub const DECODED_BYTES_MAX: usize = 64 << 20;

/// A position in a frame.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    /// What is left of [`DECODED_BYTES_MAX`]; nested readers hand it back.
    decoded_bytes_left: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from their beginning.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, decoded_bytes_left: DECODED_BYTES_MAX }
    }

    /// Bytes not read yet.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes not read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// Fails if bytes are left.
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            remaining => Err(DecodeError::TrailingBytes(remaining)),
        }
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.bytes.split_at_checked(length) else {
            return Err(self.unexpected_end(length));
        };
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((taken, rest)) = self.bytes.split_first_chunk::<N>() else {
            return Err(self.unexpected_end(N));
        };
        self.bytes = rest;
        Ok(*taken)
    }

    /// A boolean; any byte but zero is true.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.i8()? != 0)
    }

    /// An 8-bit integer.
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.array().map(i8::from_be_bytes)
    }

    /// A 16-bit integer.
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.array().map(i16::from_be_bytes)
    }

    /// A 16-bit integer without a sign.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// A 32-bit integer.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    /// A 64-bit integer.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_be_bytes)
    }

    /// Sixteen bytes that name something.
    pub fn uuid(&mut self) -> Result<[u8; 16], DecodeError> {
        self.array()
    }

    /// An unsigned 32-bit integer of variable length.
    pub fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let value = self.unsigned(VARINT_BYTES_MAX)?;
        u32::try_from(value).map_err(|_| DecodeError::VarintTooLong)
    }

    /// A signed 32-bit integer of variable length.
    pub fn varint(&mut self) -> Result<i32, DecodeError> {
        self.unsigned_varint().map(unzigzag_32)
    }

    /// A signed 64-bit integer of variable length.
    pub fn varlong(&mut self) -> Result<i64, DecodeError> {
        self.unsigned(VARLONG_BYTES_MAX).map(unzigzag_64)
    }

    fn unsigned(&mut self, bytes_max: usize) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for (index, byte) in self.bytes.iter().take(bytes_max).enumerate() {
            let group = u64::from(byte & 0x7f);
            let shift = 7 * index;
            if (group << shift) >> shift != group {
                return Err(DecodeError::VarintTooLong);
            }
            value |= group << shift;
            if byte & 0x80 == 0 {
                self.bytes = self.bytes.get(index + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        if self.remaining() < bytes_max {
            Err(self.unexpected_end(self.remaining() + 1))
        } else {
            Err(DecodeError::VarintTooLong)
        }
    }

    /// A string, or null.
    pub fn nullable_str(&mut self, version: Version) -> Result<Option<&'a str>, DecodeError> {
        let length =
            if version.is_flexible() { self.compact_length()? } else { nullable_length(self.i16()?.into())? };
        let Some(length) = length else {
            return Ok(None);
        };
        let bytes = self.take(length)?;
        core::str::from_utf8(bytes).map(Some).map_err(|_| DecodeError::InvalidUtf8)
    }

    /// Bytes, or null.
    pub fn nullable_bytes(&mut self, version: Version) -> Result<Option<&'a [u8]>, DecodeError> {
        match self.nullable_length(version)? {
            None => Ok(None),
            Some(length) => self.take(length).map(Some),
        }
    }

    /// The elements of an array, or null. An element takes a byte at least, so a count above the
    /// remaining bytes is a lie; what is reserved at first is bounded by them too.
    pub fn nullable_array<T: Decode<'a>>(&mut self, version: Version) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(count) = self.nullable_length(version)? else {
            return Ok(None);
        };
        if count > self.remaining() {
            return Err(DecodeError::CollectionTooLong { count, remaining: self.remaining() });
        }
        self.charge(count.saturating_mul(size_of::<T>()))?;
        let reserved = count.min(self.remaining() / size_of::<T>().max(1) + 1);
        let mut elements = Vec::with_capacity(reserved);
        for _ in 0..count {
            elements.push(T::decode(self, version)?);
        }
        Ok(Some(elements))
    }

    /// Tagged fields: calls `known` with each tag and its bytes; what `known` does not read is skipped.
    pub fn tagged_fields(
        &mut self,
        mut known: impl FnMut(u32, &mut Reader<'a>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        // A field takes two bytes at least, so the loop ends with the bytes whatever the count says.
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let length = self.unsigned_varint()? as usize;
            let bytes = self.take(length)?;
            let mut field = Reader { bytes, decoded_bytes_left: self.decoded_bytes_left };
            known(tag, &mut field)?;
            self.decoded_bytes_left = field.decoded_bytes_left;
        }
        Ok(())
    }

    fn nullable_length(&mut self, version: Version) -> Result<Option<usize>, DecodeError> {
        if version.is_flexible() { self.compact_length() } else { nullable_length(self.i32()?.into()) }
    }

    /// A length plus one, where zero means null.
    fn compact_length(&mut self) -> Result<Option<usize>, DecodeError> {
        Ok((self.unsigned_varint()? as usize).checked_sub(1))
    }

    fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.decoded_bytes_left = self
            .decoded_bytes_left
            .checked_sub(bytes)
            .ok_or(DecodeError::MessageTooLarge { limit: DECODED_BYTES_MAX })?;
        Ok(())
    }

    const fn unexpected_end(&self, needed: usize) -> DecodeError {
        DecodeError::UnexpectedEnd { needed, remaining: self.bytes.len() }
    }
}

fn nullable_length(length: i64) -> Result<Option<usize>, DecodeError> {
    match length {
        -1 => Ok(None),
        length => usize::try_from(length).map(Some).map_err(|_| DecodeError::NegativeLength(length)),
    }
}
