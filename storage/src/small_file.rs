//! The frame of the small files: magic, version, length, checksum, then the body.
//!
//! ```text
//! 0        8         12        16          20
//! | magic  | version | length  | checksum  | body ... |
//! ```
//! `length` is the body's, `checksum` the CRC-32 of bytes 0..16 and the body. Zero bytes are never valid.
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::codec::{Put, Take};
use crate::error::Corruption;

/// Bytes before the body.
const HEADER_BYTES: usize = 20;

/// A kind of small file.
pub(crate) struct Kind {
    /// First 8 bytes.
    pub(crate) magic: [u8; 8],
    /// The version that is written, and the newest that is read.
    pub(crate) version: u32,
}

/// Puts a body into its frame.
pub(crate) fn seal(kind: &Kind, body: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(HEADER_BYTES + body.len());
    file.put(&kind.magic);
    file.put_u32(kind.version);
    file.put_u32(u32::try_from(body.len()).expect("a small file is far below 4 GiB"));
    let checksum = checksum_of(&file, body);
    file.put_u32(checksum);
    file.put(body);
    file
}

/// Takes the body out of its frame, or says what is wrong with the file.
pub(crate) fn open<'a>(kind: &Kind, path: &str, file: &'a [u8]) -> Result<&'a [u8], Corruption> {
    open_versioned(kind, path, file).map(|(_, body)| body)
}

/// The same, with the version that the file was written in.
pub(crate) fn open_versioned<'a>(
    kind: &Kind,
    path: &str,
    file: &'a [u8],
) -> Result<(u32, &'a [u8]), Corruption> {
    let damaged = |position: u64, expected: String, got: String| Corruption {
        file: path.to_string(),
        position,
        expected,
        got,
    };
    let short = || damaged(0, format!("at least {HEADER_BYTES} bytes"), format!("{}", file.len()));
    let (header, body) = file.split_at_checked(HEADER_BYTES).ok_or_else(short)?;
    let mut fields = Take(header);
    let magic = fields.bytes(8).ok_or_else(short)?;
    let version = fields.u32().ok_or_else(short)?;
    let length = fields.u32().ok_or_else(short)?;
    let checksum = fields.u32().ok_or_else(short)?;
    if magic != kind.magic {
        return Err(damaged(0, format!("magic {:02x?}", kind.magic), format!("{magic:02x?}")));
    }
    if version == 0 || version > kind.version {
        return Err(damaged(8, format!("version 1 to {}", kind.version), format!("{version}")));
    }
    if u32::try_from(body.len()) != Ok(length) {
        return Err(damaged(12, format!("{length} bytes of content"), format!("{}", body.len())));
    }
    let found = checksum_of(&header[..16], body);
    if found != checksum {
        return Err(damaged(16, format!("checksum {checksum:08x}"), format!("{found:08x}")));
    }
    Ok((version, body))
}

fn checksum_of(head: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind { magic: *b"RMtest\0\x01", version: 1 };

    #[test]
    fn every_flipped_bit_is_found() {
        let file = seal(&KIND, b"body");
        assert_eq!(open(&KIND, "f", &file), Ok(&b"body"[..]));
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&KIND, "f", &flipped).is_err(), "bit {bit}");
        }
        for length in 0..file.len() {
            assert!(open(&KIND, "f", &file[..length]).is_err(), "length {length}");
        }
    }
}
