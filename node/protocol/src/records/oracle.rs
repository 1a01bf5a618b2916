//! Compares record batches with an independent codec, in both directions. It is built without
//! compression, which real clients test.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as theirs;
use proptest::prelude::*;

use super::*;

/// A record as both sides understand it.
#[derive(Debug, Clone, PartialEq)]
struct Plain {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    /// In their form names are unique.
    headers: Vec<(String, Option<Vec<u8>>)>,
}

fn plain_record() -> impl Strategy<Value = Plain> {
    let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200));
    let headers = proptest::collection::btree_map("[a-zäö]{0,5}", bytes(), 0..4);
    (1_600_000_000_000..1_600_000_100_000_i64, bytes(), bytes(), headers).prop_map(
        |(timestamp, key, value, headers)| Plain {
            timestamp,
            key,
            value,
            headers: headers.into_iter().collect(),
        },
    )
}

fn our_batch(records: &[Plain], producer: ProducerState, attributes: Attributes) -> Vec<u8> {
    let mut builder = RecordBatchBuilder::new().producer(producer).attributes(attributes);
    for record in records {
        let headers: Vec<_> = record
            .headers
            .iter()
            .map(|(key, value)| RecordHeader { key: key.as_bytes(), value: value.as_deref() })
            .collect();
        builder.push_with_headers(record.timestamp, record.key.as_deref(), record.value.as_deref(), &headers);
    }
    builder.finish()
}

fn their_record(record: &Plain, index: usize, producer: ProducerState) -> theirs::Record {
    let headers: IndexMap<_, _> = record
        .headers
        .iter()
        .map(|(key, value)| (StrBytes::from_string(key.clone()), value.clone().map(Bytes::from)))
        .collect();
    theirs::Record {
        transactional: true,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: producer.producer_id,
        producer_epoch: producer.producer_epoch,
        timestamp_type: theirs::TimestampType::Creation,
        offset: index as i64,
        sequence: producer.base_sequence + index as i32,
        timestamp: record.timestamp,
        key: record.key.clone().map(Bytes::from),
        value: record.value.clone().map(Bytes::from),
        headers,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn batches_are_the_same(
        records in proptest::collection::vec(plain_record(), 1..150),
        producer_id in 0..i64::MAX,
        producer_epoch in 0..i16::MAX,
        base_sequence in 0..i32::MAX - 1000,
    ) {
        let producer = ProducerState { producer_id, producer_epoch, base_sequence };
        let ours = our_batch(&records, producer, Attributes::default().with_transactional(true));
        let expected: Vec<_> = records
            .iter()
            .enumerate()
            .map(|(index, record)| their_record(record, index, producer))
            .collect();

        let decoded = theirs::RecordBatchDecoder::decode(&mut Bytes::from(ours.clone()));
        prop_assert_eq!(&decoded.expect("they read what we write").records, &expected);

        let options = theirs::RecordEncodeOptions {
            version: 2,
            compression: theirs::Compression::None,
        };
        let mut written = BytesMut::new();
        theirs::RecordBatchEncoder::encode(&mut written, &expected, &options)
            .expect("they write the same records");
        let (batch, rest) = RecordBatch::parse(&written).expect("we read what they write");
        prop_assert_eq!(rest.len(), 0);
        prop_assert_eq!(batch.verify_checksum(), Ok(()));
        prop_assert_eq!(batch.header().max_timestamp.get(),
            records.iter().map(|record| record.timestamp).max().expect("not empty"));
        let read: Vec<_> = batch
            .records(batch.records_bytes())
            .map(|record| {
                let record = record.expect("a record");
                Plain {
                    timestamp: record.timestamp,
                    key: record.key.map(Vec::from),
                    value: record.value.map(Vec::from),
                    headers: record.headers.iter().map(plain_header).collect(),
                }
            })
            .collect();
        prop_assert_eq!(&read, &records);
        prop_assert_eq!(batch.header().producer_id.get(), producer_id);
        prop_assert_eq!(batch.header().base_sequence.get(), base_sequence);
    }
}

fn plain_header(header: RecordHeader<'_>) -> (String, Option<Vec<u8>>) {
    let key = String::from_utf8(header.key.into()).expect("they write UTF-8");
    (key, header.value.map(Vec::from))
}
