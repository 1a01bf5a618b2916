//! The types that a field of a message can have, and their form in each version.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

use super::{DecodeError, EncodeError, Reader, Version, Writer};

/// A value that can be read from a frame whose bytes live for `'wire`.
pub trait Decode<'wire>: Sized {
    /// Reads the value in the form that `version` prescribes.
    fn decode(reader: &mut Reader<'wire>, version: Version) -> Result<Self, DecodeError>;
}

/// A value that can be written to a frame.
pub trait Encode {
    /// Writes the value in the form that `version` prescribes.
    fn encode(&self, writer: &mut Writer, version: Version) -> Result<(), EncodeError>;
}

/// Text of a response: borrowed from the frame when decoded, often made on the fly when encoded.
pub type Text<'a> = Cow<'a, str>;

/// The 16-byte name of a topic; all zeros means "none".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// No name.
    pub const NIL: Self = Self([0; 16]);

    /// Whether this is no name.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        *self == Self::NIL
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

macro_rules! integer {
    ($($name:ident)*) => {$(
        impl Decode<'_> for $name {
            fn decode(reader: &mut Reader<'_>, _: Version) -> Result<Self, DecodeError> {
                reader.$name()
            }
        }

        impl Encode for $name {
            fn encode(&self, writer: &mut Writer, _: Version) -> Result<(), EncodeError> {
                writer.$name(*self);
                Ok(())
            }
        }
    )*};
}

integer!(bool i8 i16 u16 i32 i64);

impl Decode<'_> for Uuid {
    fn decode(reader: &mut Reader<'_>, _: Version) -> Result<Self, DecodeError> {
        reader.uuid().map(Self)
    }
}

impl Encode for Uuid {
    fn encode(&self, writer: &mut Writer, _: Version) -> Result<(), EncodeError> {
        writer.raw(&self.0);
        Ok(())
    }
}

impl<'wire: 'a, 'a> Decode<'wire> for &'a str {
    fn decode(reader: &mut Reader<'wire>, version: Version) -> Result<Self, DecodeError> {
        reader.nullable_str(version)?.ok_or(DecodeError::UnexpectedNull)
    }
}

impl Encode for &str {
    fn encode(&self, writer: &mut Writer, version: Version) -> Result<(), EncodeError> {
        writer.nullable_str(Some(self), version)
    }
}

impl<'wire: 'a, 'a> Decode<'wire> for Option<&'a str> {
    fn decode(reader: &mut Reader<'wire>, version: Version) -> Result<Self, DecodeError> {
        reader.nullable_str(version)
    }
}

impl Encode for Option<&str> {
    fn encode(&self, writer: &mut Writer, version: Version) -> Result<(), EncodeError> {
        writer.nullable_str(*self, version)
    }
}

impl<'wire: 'a, 'a> Decode<'wire> for Text<'a> {
    fn decode(reader: &mut Reader<'wire>, version: Version) -> Result<Self, DecodeError> {
        <&str>::decode(reader, version).map(Cow::Borrowed)
    }
}

impl Encode for Text<'_> {
    fn encode(&self, writer: &mut Writer, version: Version) -> Result<(), EncodeError> {
        writer.nullable_str(Some(self), version)
    }
}

impl<'wire: 'a, 'a> Decode<'wire> for Option<Text<'a>> {
    fn decode(reader: &mut Reader<'wire>, version: Version) -> Result<Self, DecodeError> {
        Ok(reader.nullable_str(version)?.map(Cow::Borrowed))
    }
}

impl Encode for Option<Text<'_>> {
    fn encode(&self, writer: &mut Writer, version: Version) -> Result<(), EncodeError> {
        writer.nullable_str(self.as_deref(), version)
    }
}

impl<'wire: 'a, 'a> Decode<'wire> for &'a [u8] {
    fn decode(reader: &mut Reader<'wire>, version: Version) -> Result<Self, DecodeError> {
        reader.nullable_bytes(version)?.ok_or(DecodeError::UnexpectedNull)
    }
}

impl Encode for &[u8] {
    fn encode(&self, writer: &mut Writer, version: Version) -> Result<(), EncodeError> {
        writer.nullable_bytes(Some(self), version)
    }
}

impl<'wire: 'a, 'a> Decode<'wire> for Option<&'a [u8]> {
    fn decode(reader: &mut Reader<'wire>, version: Version) -> Result<Self, DecodeError> {
        reader.nullable_bytes(version)
    }
}

impl Encode for Option<&[u8]> {
    fn encode(&self, writer: &mut Writer, version: Version) -> Result<(), EncodeError> {
        writer.nullable_bytes(*self, version)
    }
}

impl<'wire, T: Decode<'wire>> Decode<'wire> for Vec<T> {
    fn decode(reader: &mut Reader<'wire>, version: Version) -> Result<Self, DecodeError> {
        reader.nullable_array(version)?.ok_or(DecodeError::UnexpectedNull)
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, writer: &mut Writer, version: Version) -> Result<(), EncodeError> {
        writer.nullable_length(Some(self.len()), version)?;
        self.iter().try_for_each(|element| element.encode(writer, version))
    }
}

impl<'wire, T: Decode<'wire>> Decode<'wire> for Option<Vec<T>> {
    fn decode(reader: &mut Reader<'wire>, version: Version) -> Result<Self, DecodeError> {
        reader.nullable_array(version)
    }
}

impl<T: Encode> Encode for Option<Vec<T>> {
    fn encode(&self, writer: &mut Writer, version: Version) -> Result<(), EncodeError> {
        match self {
            Some(elements) => elements.encode(writer, version),
            None => writer.nullable_length(None, version),
        }
    }
}
