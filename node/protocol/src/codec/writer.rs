//! Writes primitives to one growing buffer. Record payloads are not copied into it: their length
//! is written and their place is kept, so that they can be sent from where they are.

use alloc::vec::Vec;

use super::varint::write_unsigned;
use super::{EncodeError, ErrorTally, Version};
use crate::ErrorCode;

/// Bytes of records that a message carries by reference: memory, or a range of a file.
/// Encoding needs to know only how many there are.
pub trait Payload {
    /// Length in bytes.
    fn size_bytes(&self) -> usize;
}

impl Payload for &[u8] {
    fn size_bytes(&self) -> usize {
        self.len()
    }
}

impl Payload for bytes::Bytes {
    fn size_bytes(&self) -> usize {
        self.len()
    }
}

/// Where a payload belongs in the encoded bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadSlot {
    /// The payload comes before the byte at this position of the writer's buffer.
    pub position: usize,
    /// Length of the payload in bytes.
    pub size_bytes: usize,
}

/// A message being encoded.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    slots: Vec<PayloadSlot>,
    errors: ErrorTally,
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), slots: Vec::new(), errors: ErrorTally::new() }
    }

    /// An empty writer with room for `bytes`.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::new() }
    }

    /// What was written, without the payloads.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Length of what was written, payloads included.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.bytes.len() + self.slots.iter().map(|slot| slot.size_bytes).sum::<usize>()
    }

    /// What was written, and where payloads belong in it, in order.
    #[must_use]
    pub fn into_parts(self) -> (Vec<u8>, Vec<PayloadSlot>) {
        (self.bytes, self.slots)
    }

    /// The error codes that were written so far.
    #[must_use]
    pub fn take_errors(&mut self) -> ErrorTally {
        core::mem::take(&mut self.errors)
    }

    /// An error code; those that say that something failed are counted.
    pub(crate) fn error_code(&mut self, code: ErrorCode) {
        self.i16(code.0);
        if code.is_error() {
            self.errors.add(code);
        }
    }

    /// Overwrites the four bytes at `position` with the length of all that follows them.
    pub(crate) fn patch_length(&mut self, position: usize) -> Result<(), EncodeError> {
        let size = self.size_bytes() - position - size_of::<i32>();
        let length = i32::try_from(size).map_err(|_| EncodeError::LengthTooLarge(size))?;
        self.bytes[position..position + size_of::<i32>()].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A boolean.
    pub fn bool(&mut self, value: bool) {
        self.bytes.push(value.into());
    }

    /// An 8-bit integer.
    pub fn i8(&mut self, value: i8) {
        self.raw(&value.to_be_bytes());
    }

    /// A 16-bit integer.
    pub fn i16(&mut self, value: i16) {
        self.raw(&value.to_be_bytes());
    }

    /// A 16-bit integer without a sign.
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    /// A 32-bit integer.
    pub fn i32(&mut self, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    /// A 64-bit integer.
    pub fn i64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }

    /// An unsigned integer of variable length.
    pub fn unsigned_varint(&mut self, value: u32) {
        write_unsigned(&mut self.bytes, value.into());
    }

    /// A string, or null.
    pub fn nullable_str(&mut self, value: Option<&str>, version: Version) -> Result<(), EncodeError> {
        let size = value.map(str::len);
        if version.is_flexible() {
            self.compact_length(size)?;
        } else {
            let length = size
                .map_or(Ok(-1), |size| i16::try_from(size).map_err(|_| EncodeError::LengthTooLarge(size)))?;
            self.i16(length);
        }
        self.raw(value.unwrap_or_default().as_bytes());
        Ok(())
    }

    /// Bytes, or null.
    pub fn nullable_bytes(&mut self, value: Option<&[u8]>, version: Version) -> Result<(), EncodeError> {
        self.nullable_length(value.map(<[u8]>::len), version)?;
        self.raw(value.unwrap_or_default());
        Ok(())
    }

    /// The length of a payload, or null; keeps the payload's place.
    pub fn payload<P: Payload>(&mut self, payload: Option<&P>, version: Version) -> Result<(), EncodeError> {
        let size = payload.map(Payload::size_bytes);
        self.nullable_length(size, version)?;
        if let Some(size_bytes) = size {
            self.slots.push(PayloadSlot { position: self.bytes.len(), size_bytes });
        }
        Ok(())
    }

    /// The number of elements or bytes that follow, or null.
    pub fn nullable_length(&mut self, length: Option<usize>, version: Version) -> Result<(), EncodeError> {
        if version.is_flexible() {
            return self.compact_length(length);
        }
        let length = length.map_or(Ok(-1), |length| {
            i32::try_from(length).map_err(|_| EncodeError::LengthTooLarge(length))
        })?;
        self.i32(length);
        Ok(())
    }

    fn compact_length(&mut self, length: Option<usize>) -> Result<(), EncodeError> {
        let length = length.map_or(Ok(0), |length| match i32::try_from(length) {
            Ok(length) => Ok(length.unsigned_abs() + 1),
            Err(_) => Err(EncodeError::LengthTooLarge(length)),
        })?;
        self.unsigned_varint(length);
        Ok(())
    }

    /// A tagged field: `value` writes it, then its length is set before it.
    pub fn tagged_field(
        &mut self,
        tag: u32,
        value: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.unsigned_varint(tag);
        let start = self.bytes.len();
        let slots = self.slots.len();
        value(self)?;
        assert_eq!(self.slots.len(), slots, "no version has records in a tagged field");
        let size = self.bytes.len() - start;
        let length = u32::try_from(size).map_err(|_| EncodeError::LengthTooLarge(size))?;
        // The field is short and its length's form known only now: write the length behind it and
        // turn the two round.
        self.unsigned_varint(length);
        let length_size = self.bytes.len() - start - size;
        self.bytes[start..].rotate_right(length_size);
        Ok(())
    }
}
