//! Makes up messages for tests: any value that the version can carry.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::ErrorCode;
use crate::codec::{Text, Uuid, Version};

/// Bytes that decide each choice; once they are used up every choice is the simplest one, so that
/// shrinking the bytes shrinks the message.
#[derive(Debug)]
pub(crate) struct Source<'e> {
    entropy: &'e [u8],
    /// One long collection a message is enough, and keeps it from exploding.
    long_collection_used: bool,
}

impl<'e> Source<'e> {
    pub(crate) const fn new(entropy: &'e [u8]) -> Self {
        Self { entropy, long_collection_used: false }
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.entropy.split_first() else { return 0 };
        self.entropy = rest;
        byte
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        core::array::from_fn(|_| self.byte())
    }

    fn element_count(&mut self) -> usize {
        match self.byte() {
            // A compact length of two bytes.
            255 if !self.long_collection_used => {
                self.long_collection_used = true;
                130
            }
            byte => usize::from(byte % 4),
        }
    }

    fn is_null(&mut self) -> bool {
        self.byte().is_multiple_of(4)
    }

    fn text(&mut self) -> &'static str {
        TEXTS[usize::from(self.byte()) % TEXTS.len()]
    }
}

/// Without punctuation, so that the oracle can take debug output apart. The longest have compact
/// lengths of two bytes.
const TEXTS: &[&str] = &[
    "",
    "a",
    "topic",
    "orders.v2",
    "dc1_rack7",
    "größe",
    "語",
    "127.0.0.1",
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456",
    "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567",
];

/// A value that can be made up.
pub(crate) trait Generate {
    fn generate(source: &mut Source<'_>, version: Version) -> Self;
}

impl Generate for u16 {
    fn generate(source: &mut Source<'_>, _: Version) -> Self {
        Self::from_be_bytes(source.bytes())
    }
}

macro_rules! integer {
    ($($name:ident)*) => {$(
        impl Generate for $name {
            fn generate(source: &mut Source<'_>, _: Version) -> Self {
                match source.byte() {
                    0..64 => 0,
                    64..80 => -1,
                    80..90 => Self::MAX,
                    90..100 => Self::MIN,
                    _ => Self::from_be_bytes(source.bytes()),
                }
            }
        }
    )*};
}

integer!(i8 i16 i32 i64);

impl Generate for bool {
    fn generate(source: &mut Source<'_>, _: Version) -> Self {
        source.byte() % 2 == 1
    }
}

impl Generate for Uuid {
    fn generate(source: &mut Source<'_>, _: Version) -> Self {
        Self(source.bytes())
    }
}

impl Generate for ErrorCode {
    fn generate(source: &mut Source<'_>, _: Version) -> Self {
        Self::ALL[(usize::from(source.byte()) + 1) % Self::ALL.len()]
    }
}

impl Generate for &str {
    fn generate(source: &mut Source<'_>, _: Version) -> Self {
        source.text()
    }
}

impl Generate for Text<'_> {
    fn generate(source: &mut Source<'_>, _: Version) -> Self {
        Cow::Borrowed(source.text())
    }
}

impl Generate for &'static [u8] {
    fn generate(source: &mut Source<'_>, _: Version) -> Self {
        source.text().as_bytes()
    }
}

impl<T: Generate> Generate for Option<T> {
    fn generate(source: &mut Source<'_>, version: Version) -> Self {
        (!source.is_null()).then(|| T::generate(source, version))
    }
}

impl<T: Generate> Generate for Vec<T> {
    fn generate(source: &mut Source<'_>, version: Version) -> Self {
        (0..source.element_count()).map(|_| T::generate(source, version)).collect()
    }
}
