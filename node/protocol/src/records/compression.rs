//! Compresses and decompresses the records of a batch, in the framings that Kafka's clients use.
//!
//! What must hold: decompression stops at the caller's limit, and no buffer is reserved from a size
//! that the compressed bytes merely declare, other than the fixed windows of lz4 (at most 8 MiB)
//! and zstd.

mod snappy;

use alloc::vec::Vec;
use std::io::{self, Read, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::{BatchError, Compression};

/// The window that a zstd frame may demand: the largest of the format's ordinary levels. It is
/// reserved when a frame asks for it, but touched only as far as there are records.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// The level that Kafka's clients use unless told otherwise.
const ZSTD_LEVEL: i32 = 3;

/// A typical ratio for logs: what is reserved at first for decompressed records.
const EXPANSION_EXPECTED: usize = 4;

/// Compresses `records`.
#[must_use]
pub fn compress(codec: Compression, records: &[u8]) -> Vec<u8> {
    let into = Vec::with_capacity(records.len() / 2);
    match codec {
        Compression::None => Ok(records.to_vec()),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(into, flate2::Compression::default());
            encoder.write_all(records).and_then(|()| encoder.finish())
        }
        Compression::Snappy => Ok(snappy::compress(records)),
        Compression::Lz4 => {
            // Java's reader knows only blocks that do not depend on each other.
            let frame = FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max64KB);
            let mut encoder = FrameEncoder::with_frame_info(frame, into);
            encoder.write_all(records).and_then(|()| encoder.finish().map_err(Into::into))
        }
        Compression::Zstd => zstd::stream::encode_all(records, ZSTD_LEVEL),
    }
    .expect("writing to memory does not fail")
}

/// Decompresses `compressed` to at most `limit` bytes.
pub fn decompress(codec: Compression, compressed: &[u8], limit: usize) -> Result<Vec<u8>, BatchError> {
    match codec {
        Compression::None if compressed.len() > limit => Err(BatchError::DecompressedTooLarge { limit }),
        Compression::None => Ok(compressed.to_vec()),
        Compression::Gzip => read_all(flate2::read::MultiGzDecoder::new(compressed), compressed.len(), limit),
        Compression::Snappy => snappy::decompress(compressed, limit),
        Compression::Lz4 => read_all(FrameDecoder::new(compressed), compressed.len(), limit),
        Compression::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(compressed)
                .and_then(|mut decoder| {
                    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                    Ok(decoder)
                })
                .map_err(|_: io::Error| BatchError::Undecompressable)?;
            read_all(decoder, compressed.len(), limit)
        }
    }
}

fn read_all(decoder: impl Read, compressed_size: usize, limit: usize) -> Result<Vec<u8>, BatchError> {
    let mut records = Vec::with_capacity(compressed_size.saturating_mul(EXPANSION_EXPECTED).min(limit));
    // One byte more than the limit tells "just as much" from "more".
    let mut decoder = decoder.take((limit as u64).saturating_add(1));
    // The codecs' errors say nothing that a producer could act on: the batch is not one.
    decoder.read_to_end(&mut records).map_err(|_: io::Error| BatchError::Undecompressable)?;
    if records.len() > limit {
        return Err(BatchError::DecompressedTooLarge { limit });
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1 << 20;

    const CODECS: [Compression; 4] =
        [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    #[test]
    fn round_trips_around_the_limit() {
        for codec in CODECS {
            for size in [0, 1, 40_000, LIMIT] {
                let records: Vec<u8> = (0..size).map(|index| (index / 3 * 7) as u8).collect();
                let compressed = compress(codec, &records);
                assert_eq!(decompress(codec, &compressed, LIMIT), Ok(records), "{codec:?} {size}");
            }
            let too_much = compress(codec, &alloc::vec![7; LIMIT + 1]);
            assert_eq!(
                decompress(codec, &too_much, LIMIT),
                Err(BatchError::DecompressedTooLarge { limit: LIMIT }),
                "{codec:?}"
            );
        }
    }

    #[test]
    fn damaged_bytes_are_refused_or_stay_within_the_limit() {
        let records: Vec<u8> = (0..9000_u32).map(|index| (index % 251) as u8).collect();
        for codec in CODECS {
            let compressed = compress(codec, &records);
            assert!(decompress(codec, &compressed[..compressed.len() / 2], LIMIT).is_err());
            for position in (0..compressed.len()).step_by(7) {
                let mut damaged = compressed.clone();
                damaged[position] ^= 0x55;
                if let Ok(records) = decompress(codec, &damaged, LIMIT) {
                    assert!(records.len() <= LIMIT);
                }
            }
        }
    }
}
