//! CRC-32C (Castagnoli), the checksum of record batches.
//!
//! With `std` it is `crc-fast`, which finds out at run time what the processor can do. Without
//! `std` that crate does not build for x86, and a table of 256 entries takes its place.

/// The CRC-32C of `bytes`.
#[must_use]
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    #[cfg(feature = "std")]
    {
        // The register has 32 bits; the crate returns all its sums in 64.
        crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
    }
    #[cfg(not(feature = "std"))]
    {
        crc32c_by_table(bytes)
    }
}

#[cfg(any(test, not(feature = "std")))]
fn crc32c_by_table(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    !bytes.iter().fold(u32::MAX, |register, &byte| {
        let [low, ..] = register.to_le_bytes();
        (register >> 8) ^ TABLE[usize::from(low ^ byte)]
    })
}

#[cfg(any(test, not(feature = "std")))]
const fn table() -> [u32; 256] {
    /// The generator polynomial, bits reversed.
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut table = [0; 256];
    let mut index = 0;
    while index < table.len() {
        let mut register = index as u32;
        let mut bit = 0;
        while bit < 8 {
            register = (register >> 1) ^ (POLYNOMIAL & (register & 1).wrapping_neg());
            bit += 1;
        }
        table[index] = register;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn known_sums() {
        // From RFC 3720, appendix B.4.
        let ascending: Vec<u8> = (0..32).collect();
        for (bytes, expected) in [
            (&[0; 32][..], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&ascending, 0x46dd_794e),
            (b"123456789", 0xe306_9283),
            (b"", 0),
        ] {
            assert_eq!(crc32c(bytes), expected);
            assert_eq!(crc32c_by_table(bytes), expected);
        }
    }

    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    #[test]
    fn the_processors_instructions_are_used() {
        if std::is_x86_feature_detected!("sse4.2") && std::is_x86_feature_detected!("pclmulqdq") {
            let target = crc_fast::get_calculator_target(crc_fast::CrcAlgorithm::Crc32Iscsi);
            assert!(target.starts_with("x86_64-"), "not {target}");
        }
    }

    #[test]
    fn every_length_agrees_with_the_table() {
        let bytes: Vec<u8> = (0..2000_u32).map(|index| ((index * 31) >> 3) as u8).collect();
        for start in 0..17 {
            for end in (start..600).chain([1024, 1999, 2000]) {
                let part = &bytes[start..end];
                assert_eq!(crc32c(part), crc32c_by_table(part), "{start}..{end}");
            }
        }
    }
}
