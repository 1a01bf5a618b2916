//! Structures that stand for themselves, with their version in the two bytes before them: what
//! Kafka writes into its internal topics, and what consumers tell each other through the broker.
//!
//! Bytes that follow a structure are ignored, as Kafka ignores them.

use alloc::vec::Vec;

use crate::VersionRange;
use crate::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Version, Writer};

/// A structure that is written with its version before it.
pub trait Versioned<'wire>: Decode<'wire> + Encode {
    /// The versions that are known.
    const VERSIONS: VersionRange;

    /// The first flexible version, if there is one.
    const FLEXIBLE_FROM: Option<i16>;

    /// Whether versions above the known ones begin with the fields of the last known one.
    const NEWER_IS_READ: bool;

    /// The version and the structure.
    fn read(bytes: &'wire [u8]) -> Result<(i16, Self), DecodeError> {
        let mut reader = Reader::new(bytes);
        let number = reader.i16()?;
        let form = if Self::NEWER_IS_READ { number.min(Self::VERSIONS.max) } else { number };
        let version = version::<Self>(form).ok_or(DecodeError::UnknownFormatVersion(number))?;
        Ok((number, Self::decode(&mut reader, version)?))
    }

    /// The structure's bytes.
    fn write(&self, number: i16) -> Result<Vec<u8>, EncodeError> {
        let version = version::<Self>(number).ok_or(EncodeError::UnknownFormatVersion(number))?;
        let mut writer = Writer::new();
        writer.i16(number);
        self.encode(&mut writer, version)?;
        Ok(writer.into_parts().0)
    }
}

fn version<'wire, T: Versioned<'wire>>(number: i16) -> Option<Version> {
    let flexible = T::FLEXIBLE_FROM.is_some_and(|from| number >= from);
    T::VERSIONS.contains(number).then(|| Version::new(number, flexible))
}

/// Says of which versions a structure is [`Versioned`].
macro_rules! versioned {
    ($name:ident $min:literal..=$max:literal, flexible from $flexible:expr, newer is read: $newer:literal) => {
        impl<'wire> $crate::Versioned<'wire> for $name<'wire> {
            const VERSIONS: $crate::VersionRange = $crate::VersionRange { min: $min, max: $max };
            const FLEXIBLE_FROM: Option<i16> = $flexible;
            const NEWER_IS_READ: bool = $newer;
        }
    };
}

pub(crate) use versioned;

#[cfg(test)]
pub(crate) mod tests {
    use core::fmt::Debug;

    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};

    use super::*;
    use crate::counting_allocator::counted;
    use crate::messages::generate::{Generate, Source};

    /// What Kafka wrote: type, version, bytes.
    const RECORDED: &str = include_str!("../tests/fixtures/kafka-group-coordinator-4.2.0/records.txt");

    /// What decoding may allocate for each byte; see the messages' `hostile.rs`.
    const ALLOCATED_PER_BYTE_MAX: usize = 128;
    const ALLOCATED_BASE_BYTES: usize = 1024;

    /// The bytes that Kafka wrote for `name` in `version`.
    pub(crate) fn recorded(name: &str, version: i16) -> Vec<u8> {
        let mut rows = RECORDED.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let row = rows.find(|row| row[0] == name && row[1].parse() == Ok(version));
        let hex = row.unwrap_or_else(|| panic!("{name} {version} was recorded"))[2];
        let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
        (0..hex.len()).step_by(2).map(digits).collect()
    }

    /// We read Kafka's bytes as `value`, and write `value` as Kafka's bytes.
    pub(crate) fn assert_is_kafkas<T>(name: &str, number: i16, value: &T)
    where
        T: Versioned<'static> + PartialEq + Debug,
    {
        let bytes: &'static [u8] = recorded(name, number).leak();
        let (read_number, read) = T::read(bytes).expect("we read what Kafka writes");
        assert_eq!((read_number, &read), (number, value), "{name} {number}");
        assert_eq!(value.write(number).as_deref(), Ok(bytes), "{name} {number}");
    }

    /// Any value comes back; cut off or changed bytes neither panic nor allocate ahead of the bytes.
    pub(crate) fn assert_robust<T>()
    where
        T: Versioned<'static> + Generate + PartialEq + Debug,
    {
        for number in T::VERSIONS.iter() {
            let form = version::<T>(number).expect("is known");
            let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
            let inputs = (proptest::collection::vec(any::<u8>(), 0..200), any::<u8>(), any::<usize>());
            let check = |(entropy, byte, at): (Vec<u8>, u8, usize)| {
                let value = T::generate(&mut Source::new(&entropy), form);
                let mut bytes = value.write(number).expect("writes");
                assert_eq!(T::read(bytes.clone().leak()), Ok((number, value)));
                let at = at % bytes.len();
                assert_bounded::<T>(bytes[..at].to_vec());
                bytes[at] = byte;
                assert_bounded::<T>(bytes.clone());
                for lie in [[0x7f, 0xff, 0xff, 0xff, 0x0f], [0xff, 0xff, 0xff, 0xff, 0x0f]] {
                    bytes.truncate(at);
                    bytes.extend(lie);
                    assert_bounded::<T>(bytes.clone());
                }
                Ok(())
            };
            TestRunner::new(config)
                .run(&inputs, check)
                .unwrap_or_else(|error| panic!("version {number}: {error}"));
        }
        for number in [-1, T::VERSIONS.max + 1, i16::MAX] {
            let unknown = Err(EncodeError::UnknownFormatVersion(number));
            assert_eq!(T::generate(&mut Source::new(&[]), Version::new(0, false)).write(number), unknown);
        }
    }

    fn assert_bounded<T: Versioned<'static> + Debug>(bytes: Vec<u8>) {
        let bytes: &'static [u8] = bytes.leak();
        let (result, allocated) = counted(|| T::read(bytes));
        let limit = ALLOCATED_BASE_BYTES + ALLOCATED_PER_BYTE_MAX * bytes.len();
        assert!(allocated <= limit, "{allocated} bytes for {result:?}");
    }
}
