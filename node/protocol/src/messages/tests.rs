//! Forms of messages on the wire that are written out by hand; the rest is compared with an
//! independent codec in `tests/oracle.rs`.

use alloc::vec::Vec;

use super::*;
use crate::ErrorCode;

fn request_bytes<R: Request + Encode>(request: &R, version: i16) -> Vec<u8> {
    let mut writer = Writer::new();
    encode_request(request, &mut writer, version).expect("encodes");
    writer.into_parts().0
}

#[test]
fn metadata_for_all_topics_in_each_form() {
    let all = MetadataRequest { topics: None, ..Default::default() };
    assert_eq!(request_bytes(&all, 1), [0xff; 4]);
    assert_eq!(request_bytes(&all, 9), [0, 1, 0, 0, 0]);
    let empty = MetadataRequest::default();
    assert_eq!(request_bytes(&empty, 0), [0; 4]);
    let mut writer = Writer::new();
    assert_eq!(
        encode_request(&all, &mut writer, 0),
        Err(EncodeError::NullNotAllowed { field: "topics", version: 0 })
    );
    let decoded: Result<MetadataRequest<'_>, _> = decode_request(&mut Reader::new(&[0xff; 4]), 0);
    assert_eq!(decoded, Err(DecodeError::UnexpectedNull));
}

#[test]
fn absent_fields_have_defaults_and_set_fields_are_not_dropped() {
    let decoded: MetadataRequest<'_> = decode_request(&mut Reader::new(&[0; 4]), 0).expect("decodes");
    assert!(decoded.allow_auto_topic_creation, "implied before version 4");
    let request = MetadataRequest { allow_auto_topic_creation: false, ..decoded };
    assert_eq!(
        encode_request(&request, &mut Writer::new(), 3),
        Err(EncodeError::FieldNotInVersion { field: "allow_auto_topic_creation", version: 3 })
    );
    assert_eq!(request_bytes(&request, 4), [0, 0, 0, 0, 0]);
}

#[test]
fn versions_that_are_not_served_are_refused() {
    let result: Result<FetchRequest<'_>, _> = decode_request(&mut Reader::new(&[]), 3);
    assert_eq!(result, Err(DecodeError::UnsupportedVersion { api_key: 1, version: 3 }));
    assert_eq!(
        encode_request(&FetchRequest::default(), &mut Writer::new(), 18),
        Err(EncodeError::UnsupportedVersion { api_key: 1, version: 18 })
    );
}

#[test]
fn tagged_fields_are_written_when_set_and_unknown_ones_skipped() {
    let request = FetchRequest { cluster_id: Some("c"), ..Default::default() };
    let bytes = request_bytes(&request, 12);
    let (tail, plain) = (&bytes[bytes.len() - 5..], &bytes[..bytes.len() - 5]);
    assert_eq!(tail, [1, 0, 2, 2, b'c'], "one field: tag 0, two bytes, a compact string");
    let unknown = [2, 0, 2, 2, b'c', 0x80, 1, 3, 9, 9, 9];
    let with_unknown = [plain, &unknown].concat();
    let mut reader = Reader::new(&with_unknown);
    assert_eq!(decode_request(&mut reader, 12), Ok(FetchRequest::<'_> { ..request }));
    assert_eq!(reader.finish(), Ok(()));
    assert_eq!(request_bytes(&FetchRequest::default(), 12).last(), Some(&0));
}

#[test]
fn produce_before_record_batches_can_be_answered() {
    // Version 0: acks 1, timeout 100, topic "t", partition 3, a message set of 4 bytes.
    let body = b"\0\x01\0\0\0\x64\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x03\0\0\0\x04abcd";
    for version in 0..=2 {
        let mut reader = Reader::new(body);
        let request: ProduceRequest<'_, &[u8]> = decode_request(&mut reader, version).expect("decodes");
        assert_eq!(reader.finish(), Ok(()));
        let [topic] = &request.topics[..] else { panic!("one topic") };
        assert_eq!((topic.name, topic.partitions[0].index), ("t", 3));
        let partitions = Vec::from([ProducePartitionResponse {
            index: 3,
            error_code: ErrorCode::UNSUPPORTED_VERSION,
            ..Default::default()
        }]);
        let responses = Vec::from([ProduceTopicResponse { name: topic.name.into(), partitions }]);
        let response = ProduceResponse { responses, ..Default::default() };
        let mut writer = Writer::new();
        encode_response(&response, &mut writer, version).expect("encodes");
        let head = b"\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x03\0\x23\xff\xff\xff\xff\xff\xff\xff\xff";
        let append_time = [0xff; 8];
        let throttle = [0; 4];
        let expected = match version {
            0 => head.to_vec(),
            1 => [&head[..], &throttle].concat(),
            _ => [&head[..], &append_time, &throttle].concat(),
        };
        assert_eq!(writer.bytes(), expected);
    }
}

#[test]
fn unsupported_api_versions_is_answered_with_its_own_range() {
    let mut writer = Writer::new();
    encode_response(&ApiVersionsResponse::unsupported_version(), &mut writer, 0).expect("encodes");
    assert_eq!(writer.bytes(), [0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4]);
}

#[test]
fn software_names_are_letters_digits_dots_and_hyphens() {
    for (name, valid) in [
        ("apache-kafka-java", true),
        ("4.2.0-SNAPSHOT", true),
        ("k", true),
        ("", false),
        ("-k", false),
        ("k.", false),
        ("k k", false),
        ("k\n", false),
        ("größe", false),
    ] {
        let request = ApiVersionsRequest { client_software_name: name, client_software_version: "1" };
        assert_eq!(request.has_valid_names(3), valid, "{name:?}");
        assert!(request.has_valid_names(2));
    }
}
