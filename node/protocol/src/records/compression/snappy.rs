//! Snappy in the two framings that are found in Kafka's batches.
//!
//! Java's clients write xerial's stream: a header of 16 bytes, then blocks, each after its length.
//! Others write one raw block. As Java's reader does, the first bytes decide.

use alloc::vec::Vec;

use crate::records::BatchError;

const STREAM_MAGIC: [u8; 8] = *b"\x82SNAPPY\0";

/// The magic and two version numbers.
const STREAM_HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// Xerial's default.
const BLOCK_BYTES: usize = 32 << 10;

/// Bytes that one byte of a block can become at most: a copy of 64 bytes takes three. A block that
/// declares more is a lie, and must not make us reserve what it declares.
const EXPANSION_MAX: usize = 22;

pub(super) fn compress(records: &[u8]) -> Vec<u8> {
    let mut encoder = snap::raw::Encoder::new();
    let mut compressed = Vec::from(STREAM_HEADER);
    for block in records.chunks(BLOCK_BYTES) {
        let length_at = compressed.len();
        let block_at = length_at + size_of::<u32>();
        compressed.resize(block_at + snap::raw::max_compress_len(block.len()), 0);
        let size = encoder
            .compress(block, &mut compressed[block_at..])
            .expect("the buffer has the size that the encoder asks for");
        compressed[length_at..block_at].copy_from_slice(&(size as u32).to_be_bytes());
        compressed.truncate(block_at + size);
    }
    compressed
}

pub(super) fn decompress(compressed: &[u8], limit: usize) -> Result<Vec<u8>, BatchError> {
    let mut records = Vec::new();
    if !compressed.starts_with(&STREAM_MAGIC) {
        decompress_block(compressed, limit, &mut records)?;
        return Ok(records);
    }
    let mut rest = compressed;
    while !rest.is_empty() {
        // Streams may follow each other; the magic is no length of a block.
        if rest.starts_with(&STREAM_MAGIC) {
            rest = rest.get(STREAM_HEADER.len()..).ok_or(BatchError::Undecompressable)?;
            continue;
        }
        let (length, after) = rest.split_first_chunk().ok_or(BatchError::Undecompressable)?;
        let (block, after) = after
            .split_at_checked(u32::from_be_bytes(*length) as usize)
            .ok_or(BatchError::Undecompressable)?;
        decompress_block(block, limit, &mut records)?;
        rest = after;
    }
    Ok(records)
}

fn decompress_block(block: &[u8], limit: usize, into: &mut Vec<u8>) -> Result<(), BatchError> {
    let declared = snap::raw::decompress_len(block).map_err(|_| BatchError::Undecompressable)?;
    if declared > block.len().saturating_mul(EXPANSION_MAX) {
        return Err(BatchError::Undecompressable);
    }
    let start = into.len();
    if declared > limit - start {
        return Err(BatchError::DecompressedTooLarge { limit });
    }
    into.resize(start + declared, 0);
    snap::raw::Decoder::new()
        .decompress(block, &mut into[start..])
        .map_err(|_| BatchError::Undecompressable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counting_allocator::counted;

    #[test]
    fn raw_blocks_and_joined_streams_are_read() {
        let raw = snap::raw::Encoder::new().compress_vec(b"records").expect("compresses");
        assert_eq!(decompress(&raw, 100), Ok(b"records".to_vec()));
        let joined = [compress(b"rec"), compress(b"ords")].concat();
        assert_eq!(decompress(&joined, 100), Ok(b"records".to_vec()));
        assert_eq!(decompress(&joined, 6), Err(BatchError::DecompressedTooLarge { limit: 6 }));
    }

    #[test]
    fn a_declared_size_that_cannot_be_is_refused() {
        // Twelve bytes that declare 2 GiB.
        let bomb = [0xff, 0xff, 0xff, 0xff, 0x07, 0xfe, 1, 0, 0xfe, 1, 0, 0];
        let stream = [&STREAM_HEADER[..], &12_u32.to_be_bytes(), &bomb].concat();
        for bytes in [&bomb[..], &stream] {
            let (result, allocated) = counted(|| decompress(bytes, 1 << 40));
            assert_eq!((result, allocated), (Err(BatchError::Undecompressable), 0));
        }
        let torn = [&STREAM_HEADER[..], &13_u32.to_be_bytes(), &bomb].concat();
        assert_eq!(decompress(&torn, 1 << 40), Err(BatchError::Undecompressable));
    }
}
