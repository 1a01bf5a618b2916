//! Variable-length integers: seven bits a byte, the high bit says that another byte follows;
//! signed ones are zigzag-encoded, so that small negative numbers stay short.

use alloc::vec::Vec;

/// Longest form of a 32-bit varint: five groups of seven bits hold 35.
pub(super) const VARINT_BYTES_MAX: usize = 5;
/// Longest form of a 64-bit varint: ten groups of seven bits hold 70.
pub(super) const VARLONG_BYTES_MAX: usize = 10;

/// Appends a signed 32-bit integer.
pub fn write_varint(into: &mut Vec<u8>, value: i32) {
    write_unsigned(into, u64::from(zigzag_32(value)));
}

/// Appends a signed 64-bit integer.
pub fn write_varlong(into: &mut Vec<u8>, value: i64) {
    write_unsigned(into, zigzag_64(value));
}

/// Bytes that [`write_varint`] appends.
#[must_use]
pub const fn varint_size(value: i32) -> usize {
    unsigned_size(zigzag_32(value) as u64)
}

/// Bytes that [`write_varlong`] appends.
#[must_use]
pub const fn varlong_size(value: i64) -> usize {
    unsigned_size(zigzag_64(value))
}

pub(super) fn write_unsigned(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

const fn unsigned_size(value: u64) -> usize {
    let significant_bits = 64 - (value | 1).leading_zeros() as usize;
    significant_bits.div_ceil(7)
}

const fn zigzag_32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

const fn zigzag_64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(super) const fn unzigzag_32(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

pub(super) const fn unzigzag_64(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{DecodeError, Reader};

    #[test]
    fn round_trips_at_the_borders_of_each_length() {
        for bit in 0..64 {
            for value in [1_i64 << bit, (1_i64 << bit).wrapping_sub(1), -1_i64 << bit] {
                let mut bytes = Vec::new();
                write_varlong(&mut bytes, value);
                assert_eq!(bytes.len(), varlong_size(value), "{value}");
                assert_eq!(Reader::new(&bytes).varlong(), Ok(value));
                let narrow = value as i32;
                bytes.clear();
                write_varint(&mut bytes, narrow);
                assert_eq!(bytes.len(), varint_size(narrow), "{narrow}");
                assert_eq!(Reader::new(&bytes).varint(), Ok(narrow));
            }
        }
    }

    #[test]
    fn known_forms() {
        for (value, expected) in [
            (0, &[0][..]),
            (-1, &[1]),
            (1, &[2]),
            (63, &[126]),
            (-64, &[127]),
            (64, &[0x80, 1]),
            (i32::MAX, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ] {
            let mut bytes = Vec::new();
            write_varint(&mut bytes, value);
            assert_eq!(bytes, expected, "{value}");
        }
    }

    #[test]
    fn refuses_what_does_not_end_or_does_not_fit() {
        let endless = [0xff; 12];
        assert_eq!(Reader::new(&endless).varint(), Err(DecodeError::VarintTooLong));
        assert_eq!(Reader::new(&endless).varlong(), Err(DecodeError::VarintTooLong));
        // The fifth byte may carry four bits only.
        let wide = [0xff, 0xff, 0xff, 0xff, 0x1f];
        assert_eq!(Reader::new(&wide).unsigned_varint(), Err(DecodeError::VarintTooLong));
        assert!(matches!(Reader::new(&[0x80]).varint(), Err(DecodeError::UnexpectedEnd { .. })));
    }
}
