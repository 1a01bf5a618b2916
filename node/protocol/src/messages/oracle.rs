//! Compares every message of every version with an independent codec, which is generated from
//! Kafka's own schemas: what we write it reads to the last byte, with the same values under the same
//! names; what it writes are the same bytes, and we read our value back from them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Debug;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::generate::{Generate, Source};
use super::*;
use crate::ErrorCode;
use crate::codec::Payload;
use crate::frame::{self, Chunk};
use crate::header::{RequestHeader, ResponseHeader};

/// Made-up messages for each version of each API and direction.
const CASES: u32 = 400;

/// Enough for messages that are three lists deep; what is missing counts as zeros.
const ENTROPY_BYTES_MAX: usize = 600;

/// The codec has no older versions of Produce: see `tests.rs` for those.
const PRODUCE_VERSION_MIN: i16 = 3;

trait Theirs: Encodable + Decodable + HeaderVersion + Debug {}
impl<T: Encodable + Decodable + HeaderVersion + Debug> Theirs for T {}

fn for_each_case(api_key: ApiKey, check: impl Fn(i16, &[u8])) {
    let min = if api_key == ApiKey::Produce { PRODUCE_VERSION_MIN } else { 0 };
    for version in api_key.versions().iter().filter(|&version| version >= min) {
        // The entropy of a failure is printed; there is no file to keep it in.
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new(config);
        let entropy = proptest::collection::vec(any::<u8>(), 0..ENTROPY_BYTES_MAX);
        runner
            .run(&entropy, |entropy| {
                check(version, &entropy);
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{api_key} version {version}: {error}"));
    }
}

fn check_request<Ours, T: Theirs>(frame_of: impl Fn(&RequestHeader<'_>, &Ours) -> Vec<u8>)
where
    Ours: Request + Generate + Decode<'static> + PartialEq + Debug,
{
    for_each_case(Ours::API_KEY, |version, entropy| {
        let mut source = Source::new(entropy);
        let client_id = Generate::generate(&mut source, Version::new(1, false));
        let form = Ours::API_KEY.version(version).expect("is served");
        let ours = Ours::generate(&mut source, form);
        let header = RequestHeader {
            api_key: Ours::API_KEY,
            api_version: version,
            correlation_id: 0x0102_0304,
            client_id,
        };
        let frame = frame_of(&header, &ours);

        let (mut body, header_version) = (message_of(&frame), T::header_version(version));
        let their_header =
            theirs::RequestHeader::decode(&mut body, header_version).expect("they read our header");
        assert_eq!(their_header.correlation_id, header.correlation_id);
        assert_eq!(their_header.client_id.as_deref(), client_id);
        let mut written = BytesMut::new();
        their_header.encode(&mut written, header_version).expect("they write their header");
        compare::<T>(&ours, body, version, &mut written);
        assert_eq!(written, frame[4..], "they write what we write");

        let mut reader = Reader::new(written.to_vec().leak());
        assert_eq!(RequestHeader::decode(&mut reader), Ok(header));
        assert_eq!(decode_request(&mut reader, version), Ok(ours));
        assert_eq!(reader.finish(), Ok(()));
    });
}

fn check_response<Ours, T: Theirs>(frame_of: impl Fn(&ResponseHeader, &Ours) -> Vec<u8>)
where
    Ours: Response + Generate + Decode<'static> + PartialEq + Debug,
{
    for_each_case(Ours::API_KEY, |version, entropy| {
        let form = Ours::API_KEY.version(version).expect("is served");
        let ours = Ours::generate(&mut Source::new(entropy), form);
        let header =
            ResponseHeader { api_key: Ours::API_KEY, api_version: version, correlation_id: 0x0102_0304 };
        let frame = frame_of(&header, &ours);

        let (mut body, header_version) = (message_of(&frame), T::header_version(version));
        let their_header = theirs::ResponseHeader::decode(&mut body, header_version).expect("they read ours");
        assert_eq!(their_header.correlation_id, header.correlation_id);
        let mut written = BytesMut::new();
        their_header.encode(&mut written, header_version).expect("they write their header");
        compare::<T>(&ours, body, version, &mut written);
        assert_eq!(written, frame[4..], "they write what we write");

        let mut reader = Reader::new(written.to_vec().leak());
        assert_eq!(ResponseHeader::decode(&mut reader, Ours::API_KEY, version), Ok(header));
        assert_eq!(decode_response(&mut reader, version), Ok(ours));
        assert_eq!(reader.finish(), Ok(()));
    });
}

/// What follows the length, which must be right.
fn message_of(frame: &[u8]) -> Bytes {
    let (length, message) = frame.split_first_chunk().expect("a frame has a length");
    assert_eq!(frame::parse_frame_length(*length, usize::MAX), Ok(message.len()));
    Bytes::copy_from_slice(message)
}

/// Lets them read `body` and write it again, and compares the values by name.
fn compare<T: Theirs>(ours: &impl Debug, mut body: Bytes, version: i16, written: &mut BytesMut) {
    let theirs = T::decode(&mut body, version).expect("they read what we write");
    assert!(body.is_empty(), "{} bytes that they do not know", body.len());
    theirs.encode(written, version).expect("they write what they read");
    let their_values = named_values(&format!("{theirs:?}"));
    let mut unmatched = their_values.iter();
    for value in &named_values(&format!("{ours:?}")) {
        // Both are sorted; they may have fields that our versions do not.
        assert!(unmatched.any(|other| other == value), "{value} is not in {their_values:?}");
    }
}

/// The fields that are not structures or lists, as `name: value`, sorted.
fn named_values(debug: &str) -> Vec<String> {
    let plain = debug.replace("Some(", "").replace(')', "");
    let mut values: Vec<_> = plain
        .split(['{', '}', '[', ']', ','])
        .filter_map(|part| part.trim().split_once(": "))
        // Where a version lacks a field they may have an empty value where we have null.
        .filter(|(_, value)| *value != "None" && !is_type_name(value))
        .map(|(name, value)| format!("{name}: {}", plain_value(value)))
        .collect();
    values.sort();
    values
}

/// Whether this is the name of a structure, whose fields follow.
fn is_type_name(value: &str) -> bool {
    value.starts_with(char::is_uppercase) && value.contains(char::is_lowercase)
}

/// Error codes as numbers, topic ids without hyphens.
fn plain_value(value: &str) -> String {
    const HYPHENATED_UUID_BYTES: usize = 36;
    match ErrorCode::ALL.iter().find(|code| code.name() == Some(value)) {
        Some(code) => format!("{}", code.0),
        None if value.len() == HYPHENATED_UUID_BYTES => value.replace('-', ""),
        None => value.into(),
    }
}

fn contiguous(chunks: Vec<Chunk<&[u8]>>) -> Vec<u8> {
    let mut frame = Vec::with_capacity(chunks.iter().map(Payload::size_bytes).sum());
    for chunk in chunks {
        match chunk {
            Chunk::Bytes(bytes) => frame.extend_from_slice(&bytes),
            Chunk::Payload(payload) => frame.extend_from_slice(payload),
        }
    }
    frame
}

macro_rules! compare_with_oracle {
    ($($test:ident: $request:ident, $response:ident;)*) => {$(
        #[test]
        fn $test() {
            check_request::<$request, theirs::$request>(|header, request| {
                frame::request_frame(header, request).expect("encodes").to_vec()
            });
            check_response::<$response, theirs::$response>(|header, response| {
                frame::response_frame(header, response).expect("encodes").to_vec()
            });
        }
    )*};
}

compare_with_oracle! {
    list_offsets: ListOffsetsRequest, ListOffsetsResponse;
    metadata: MetadataRequest, MetadataResponse;
    find_coordinator: FindCoordinatorRequest, FindCoordinatorResponse;
    join_group: JoinGroupRequest, JoinGroupResponse;
    sync_group: SyncGroupRequest, SyncGroupResponse;
    heartbeat: HeartbeatRequest, HeartbeatResponse;
    leave_group: LeaveGroupRequest, LeaveGroupResponse;
    offset_commit: OffsetCommitRequest, OffsetCommitResponse;
    offset_fetch: OffsetFetchRequest, OffsetFetchResponse;
    describe_groups: DescribeGroupsRequest, DescribeGroupsResponse;
    list_groups: ListGroupsRequest, ListGroupsResponse;
    delete_groups: DeleteGroupsRequest, DeleteGroupsResponse;
    offset_delete: OffsetDeleteRequest, OffsetDeleteResponse;
    sasl_handshake: SaslHandshakeRequest, SaslHandshakeResponse;
    sasl_authenticate: SaslAuthenticateRequest, SaslAuthenticateResponse;
    alter_configs: AlterConfigsRequest, AlterConfigsResponse;
    describe_log_dirs: DescribeLogDirsRequest, DescribeLogDirsResponse;
    list_partition_reassignments: ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse;
    describe_producers: DescribeProducersRequest, DescribeProducersResponse;
    api_versions: ApiVersionsRequest, ApiVersionsResponse;
    create_topics: CreateTopicsRequest, CreateTopicsResponse;
    delete_topics: DeleteTopicsRequest, DeleteTopicsResponse;
    delete_records: DeleteRecordsRequest, DeleteRecordsResponse;
    init_producer_id: InitProducerIdRequest, InitProducerIdResponse;
    offset_for_leader_epoch: OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse;
    describe_configs: DescribeConfigsRequest, DescribeConfigsResponse;
    create_partitions: CreatePartitionsRequest, CreatePartitionsResponse;
    incremental_alter_configs: IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse;
    describe_cluster: DescribeClusterRequest, DescribeClusterResponse;
    describe_quorum: DescribeQuorumRequest, DescribeQuorumResponse;
    elect_leaders: ElectLeadersRequest, ElectLeadersResponse;
    alter_partition_reassignments: AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse;
    unregister_broker: UnregisterBrokerRequest, UnregisterBrokerResponse;
    update_features: UpdateFeaturesRequest, UpdateFeaturesResponse;
    describe_topic_partitions: DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse;
}

#[test]
fn produce() {
    type Ours = ProduceRequest<'static, &'static [u8]>;
    check_request::<Ours, theirs::ProduceRequest>(|header, request| {
        contiguous(frame::request_chunks(header, request.clone()).expect("encodes"))
    });
    check_response::<ProduceResponse<'_>, theirs::ProduceResponse>(|header, response| {
        frame::response_frame(header, response).expect("encodes").to_vec()
    });
}

#[test]
fn fetch() {
    type Ours = FetchResponse<'static, &'static [u8]>;
    check_request::<FetchRequest<'_>, theirs::FetchRequest>(|header, request| {
        frame::request_frame(header, request).expect("encodes").to_vec()
    });
    check_response::<Ours, theirs::FetchResponse>(|header, response| {
        contiguous(frame::response_chunks(header, response.clone()).expect("encodes"))
    });
}

#[test]
fn error_codes() {
    use kafka_protocol::error::ResponseError;
    for code in ErrorCode::ALL {
        let their_error = ResponseError::try_from_code(code.0);
        assert_eq!(their_error.is_some(), code.is_error(), "{code}");
        if let Some(error) = their_error {
            // Kafka's ConcurrentTransactionsException is a RetriableException; they missed that.
            let retriable = error.is_retriable() || *code == ErrorCode::CONCURRENT_TRANSACTIONS;
            assert_eq!(retriable, code.is_retriable(), "{code}");
        }
    }
    let beyond = ErrorCode::ALL.len() as i16 - 1;
    assert!(
        matches!(ResponseError::try_from_code(beyond), None | Some(ResponseError::Unknown(_))),
        "they know no code that we do not"
    );
}
