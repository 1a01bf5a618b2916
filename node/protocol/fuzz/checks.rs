//! What must hold for any bytes: each function is a fuzz target, and runs over the committed corpus
//! in the ordinary tests (`tests/fuzz_corpus.rs`). Nothing may panic, and what is accepted must
//! survive being written and read again.

use ringmain_protocol::codec::{EncodeError, PayloadSlot, Reader, Writer};
use ringmain_protocol::consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use ringmain_protocol::coordinator_records::{
    CoordinatorKey, GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue,
};
use ringmain_protocol::header::{RequestHeader, ResponseHeader};
use ringmain_protocol::messages::{AnyRequest, AnyResponse};
use ringmain_protocol::records::{
    Compression, RecordBatch, RecordBatchHeader, TimestampType, ValidationLevel, ValidationRules, batches,
    checksum, compress, decompress, validate,
};
use ringmain_protocol::{ApiKey, Versioned};

/// Small, so that the fuzzer is fast and bombs show.
const DECOMPRESSED_BYTES_MAX: usize = 1 << 20;

/// A request without the length before it.
pub(crate) fn request(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    let Ok(header) = RequestHeader::decode(&mut reader) else { return };
    let version = header.api_version;
    let Ok(request) = AnyRequest::decode(&mut reader, header.api_key, version) else { return };

    let payloads = match &request {
        AnyRequest::Produce(produce) => produce
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .filter_map(|partition| partition.records)
            .collect(),
        _ => Vec::new(),
    };
    let mut writer = Writer::new();
    header.encode(&mut writer).expect("what was read can be written");
    if fits(request.encode(&mut writer, version)) {
        let written = with_payloads(writer, &payloads);
        let mut reader = Reader::new(&written);
        assert_eq!(RequestHeader::decode(&mut reader), Ok(header));
        assert_eq!(AnyRequest::decode(&mut reader, header.api_key, version), Ok(request));
        assert_eq!(reader.finish(), Ok(()));
    }
}

/// A byte each for API and version, then a response without the length before it.
pub(crate) fn response(bytes: &[u8]) {
    let [api, version, rest @ ..] = bytes else { return };
    let Some(api_key) = ApiKey::from_code(i16::from(*api)) else { return };
    let version = i16::from(*version);
    let mut reader = Reader::new(rest);
    let Ok(header) = ResponseHeader::decode(&mut reader, api_key, version) else { return };
    let Ok(mut response) = AnyResponse::decode(&mut reader, api_key, version) else { return };

    let mut payloads = Vec::new();
    if let AnyResponse::Fetch(fetch) = &mut response {
        let partitions = fetch.responses.iter_mut().flat_map(|topic| &mut topic.partitions);
        // Null is read, but written as no bytes.
        payloads.extend(partitions.map(|partition| *partition.records.get_or_insert_default()));
    }
    let mut writer = Writer::new();
    header.encode(&mut writer);
    if fits(response.encode(&mut writer, version)) {
        let written = with_payloads(writer, &payloads);
        let mut reader = Reader::new(&written);
        assert_eq!(ResponseHeader::decode(&mut reader, api_key, version), Ok(header));
        assert_eq!(AnyResponse::decode(&mut reader, api_key, version), Ok(response));
        assert_eq!(reader.finish(), Ok(()));
    }
}

/// Whether the message could be written. A string may be longer in a compact form than others are.
fn fits(encoded: Result<(), EncodeError>) -> bool {
    match encoded {
        Ok(()) => true,
        Err(EncodeError::LengthTooLarge(_)) => false,
        Err(error) => panic!("what was read can be written: {error}"),
    }
}

fn with_payloads(writer: Writer, payloads: &[&[u8]]) -> Vec<u8> {
    let (bytes, slots) = writer.into_parts();
    assert_eq!(slots.len(), payloads.len());
    let mut whole = Vec::new();
    let mut from = 0;
    for (PayloadSlot { position, size_bytes }, payload) in slots.into_iter().zip(payloads) {
        assert_eq!(size_bytes, payload.len());
        whole.extend_from_slice(&bytes[from..position]);
        whole.extend_from_slice(payload);
        from = position;
    }
    whole.extend_from_slice(&bytes[from..]);
    whole
}

/// What is read as a structure is written and read again.
macro_rules! survives {
    ($structure:ident, $bytes:expr) => {
        if let Ok((number, value)) = $structure::read($bytes) {
            // A newer version is read as the last one that is known.
            let number = number.min($structure::VERSIONS.max);
            match value.write(number) {
                Ok(written) => assert_eq!($structure::read(&written), Ok((number, value))),
                Err(error) => assert!(!fits(Err(error))),
            }
        }
    };
}

/// A byte that chooses a structure, then what a coordinator keeps or members tell each other.
pub(crate) fn group_structure(bytes: &[u8]) {
    let [choice, structure @ ..] = bytes else { return };
    match choice % 6 {
        0 => survives!(OffsetCommitKey, structure),
        1 => survives!(OffsetCommitValue, structure),
        2 => survives!(GroupMetadataKey, structure),
        3 => survives!(GroupMetadataValue, structure),
        4 => survives!(ConsumerProtocolSubscription, structure),
        _ => survives!(ConsumerProtocolAssignment, structure),
    }
    match CoordinatorKey::read(structure) {
        Ok(CoordinatorKey::Offset(key)) => {
            assert_eq!(OffsetCommitKey::read(structure).map(|read| read.1), Ok(key))
        }
        Ok(CoordinatorKey::Group(key)) => {
            assert_eq!(GroupMetadataKey::read(structure).map(|read| read.1), Ok(key))
        }
        Ok(CoordinatorKey::Other(version)) => assert!(!(0..=2).contains(&version)),
        Err(_) => {}
    }
}

/// Two bytes that choose the topic's rules, then record batches.
pub(crate) fn record_batch(bytes: &[u8]) {
    let [choice, codec, records @ ..] = bytes else { return };
    for batch in batches(records) {
        let Ok(batch) = batch else { break };
        let _ = batch.verify_checksum();
        let Ok(uncompressed) = batch.decompress(DECOMPRESSED_BYTES_MAX) else { continue };
        for record in batch.records(&uncompressed).flatten() {
            assert_eq!(record.headers.iter().count(), record.headers.len());
        }
    }

    let mut records = records.to_vec();
    // Few inputs have the right checksum by chance.
    if RecordBatch::parse(&records).is_ok() {
        let crc = checksum(&records);
        RecordBatchHeader::peek_mut(&mut records).expect("was parsed").crc = crc.into();
    }
    let rules = rules(*choice, *codec);
    let Ok(accepted) = validate(&records, &rules) else { return };
    let (batch, rest) = RecordBatch::parse(&accepted.bytes).expect("was accepted");
    assert!(rest.is_empty());
    assert_eq!(batch.verify_checksum(), Ok(()));
    assert_eq!(batch.header().max_timestamp.get(), accepted.max_timestamp);
    assert_eq!(batch.header().record_count.get(), accepted.record_count);
    assert_eq!(batch.last_offset() + 1, i64::from(accepted.record_count));
    if rules.level == ValidationLevel::Full {
        let uncompressed = batch.decompress(DECOMPRESSED_BYTES_MAX).expect("was accepted");
        for (index, record) in batch.records(&uncompressed).enumerate() {
            let record = record.expect("was accepted");
            assert_eq!(record.offset_delta as usize, index);
            assert!(record.timestamp <= accepted.max_timestamp);
        }
    }
}

fn rules(choice: u8, codec: u8) -> ValidationRules {
    let bit = |index: u8| choice >> index & 1 == 1;
    ValidationRules {
        level: if bit(0) { ValidationLevel::Full } else { ValidationLevel::Header },
        now_ms: 1_700_000_000_000,
        timestamp_type: if bit(1) { TimestampType::LogAppendTime } else { TimestampType::CreateTime },
        timestamp_before_max_ms: if bit(2) { 1000 } else { i64::MAX },
        timestamp_after_max_ms: if bit(3) { 1000 } else { i64::MAX },
        compacted: bit(4),
        batch_size_max: 1 << 20,
        decompressed_size_max: DECOMPRESSED_BYTES_MAX,
        compression: Compression::ALL.get(usize::from(codec)).copied(),
        zstd_allowed: !bit(5),
    }
}

/// A byte that chooses the codec, then compressed records.
pub(crate) fn compressed(bytes: &[u8]) {
    let [codec, compressed @ ..] = bytes else { return };
    let codec = Compression::ALL[usize::from(*codec) % Compression::ALL.len()];
    let Ok(records) = decompress(codec, compressed, DECOMPRESSED_BYTES_MAX) else { return };
    assert!(records.len() <= DECOMPRESSED_BYTES_MAX);
    let again = compress(codec, &records);
    assert_eq!(decompress(codec, &again, DECOMPRESSED_BYTES_MAX), Ok(records));
}
