//! Messages that lie about lengths: decoding them allocates no more than their bytes account for.

use alloc::vec::Vec;

use super::generate::{Generate, Source};
use super::*;
use crate::codec::DECODED_BYTES_MAX;
use crate::counting_allocator::counted;

/// What decoding may allocate for each byte of a message: an empty topic takes three on the wire and
/// 150 in memory, and a growing list is reallocated until it is twice as long.
const ALLOCATED_PER_BYTE_MAX: usize = 128;

/// For one element of each list, which is reserved as soon as there is any.
const ALLOCATED_BASE_BYTES: usize = 1024;

fn assert_bounded(body: &[u8], api_key: ApiKey, version: i16) {
    let limit = ALLOCATED_BASE_BYTES + ALLOCATED_PER_BYTE_MAX * body.len();
    let (request, allocated) = counted(|| AnyRequest::decode(&mut Reader::new(body), api_key, version));
    assert!(allocated <= limit, "{api_key} {version}: {allocated} bytes for {request:?}");
    let (response, allocated) = counted(|| AnyResponse::decode(&mut Reader::new(body), api_key, version));
    assert!(allocated <= limit, "{api_key} {version}: {allocated} bytes for {response:?}");
}

/// Lengths that lie, in the forms that versions have for them.
const LIES: [&[u8]; 9] = [
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x05, 0xf5, 0xe1, 0x00],
    &[0xff, 0xff, 0xff, 0xfe],
    &[0x80, 0, 0, 0],
    &[0x7f, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    // 1 GiB, which may be the size of a tagged field.
    &[0x80, 0x80, 0x80, 0x80, 0x04],
    &[0xff, 0xff, 0x03],
];

/// Each part of `body` replaced by each lie, and each end cut off.
fn assert_bounded_under_lies(body: &[u8], api_key: ApiKey, version: i16) {
    for position in 0..=body.len() {
        let (head, tail) = body.split_at(position);
        assert_bounded(head, api_key, version);
        for lie in LIES {
            assert_bounded(&[head, lie].concat(), api_key, version);
            let rest = tail.get(lie.len()..).unwrap_or_default();
            assert_bounded(&[head, lie, rest].concat(), api_key, version);
        }
    }
}

/// Messages of a few hundred bytes, with everything in them that can be there.
fn entropies() -> [Vec<u8>; 3] {
    [7_u32, 11, 29].map(|step| (0..150).map(|index| (index * step + 2) as u8).collect())
}

macro_rules! lies {
    ($($test:ident: $($message:ty),*;)*) => {$(
        #[test]
        fn $test() {
            $(for version in <$message>::API_KEY.versions().iter() {
                for entropy in entropies() {
                    let form = <$message>::API_KEY.version(version).expect("is served");
                    let message = <$message>::generate(&mut Source::new(&entropy), form);
                    let mut writer = Writer::new();
                    message.encode(&mut writer, form).expect("encodes");
                    assert_bounded_under_lies(writer.bytes(), <$message>::API_KEY, version);
                }
            })*
        }
    )*};
}

lies! {
    produce: ProduceRequest<'_, &[u8]>, ProduceResponse<'_>;
    fetch: FetchRequest<'_>, FetchResponse<'_, &[u8]>;
    list_offsets: ListOffsetsRequest<'_>, ListOffsetsResponse<'_>;
    metadata: MetadataRequest<'_>, MetadataResponse<'_>;
    find_coordinator: FindCoordinatorRequest<'_>, FindCoordinatorResponse<'_>;
    join_group: JoinGroupRequest<'_>, JoinGroupResponse<'_>;
    sync_group: SyncGroupRequest<'_>, SyncGroupResponse<'_>;
    heartbeat: HeartbeatRequest<'_>, HeartbeatResponse;
    leave_group: LeaveGroupRequest<'_>, LeaveGroupResponse<'_>;
    offset_commit: OffsetCommitRequest<'_>, OffsetCommitResponse<'_>;
    offset_fetch: OffsetFetchRequest<'_>, OffsetFetchResponse<'_>;
    describe_groups: DescribeGroupsRequest<'_>, DescribeGroupsResponse<'_>;
    list_groups: ListGroupsRequest<'_>, ListGroupsResponse<'_>;
    delete_groups: DeleteGroupsRequest<'_>, DeleteGroupsResponse<'_>;
    offset_delete: OffsetDeleteRequest<'_>, OffsetDeleteResponse<'_>;
    sasl_handshake: SaslHandshakeRequest<'_>, SaslHandshakeResponse<'_>;
    sasl_authenticate: SaslAuthenticateRequest<'_>, SaslAuthenticateResponse<'_>;
    alter_configs: AlterConfigsRequest<'_>, AlterConfigsResponse<'_>;
    describe_log_dirs: DescribeLogDirsRequest<'_>, DescribeLogDirsResponse<'_>;
    list_partition_reassignments: ListPartitionReassignmentsRequest<'_>, ListPartitionReassignmentsResponse<'_>;
    describe_producers: DescribeProducersRequest<'_>, DescribeProducersResponse<'_>;
    api_versions: ApiVersionsRequest<'_>, ApiVersionsResponse<'_>;
    create_topics: CreateTopicsRequest<'_>, CreateTopicsResponse<'_>;
    delete_topics: DeleteTopicsRequest<'_>, DeleteTopicsResponse<'_>;
    delete_records: DeleteRecordsRequest<'_>, DeleteRecordsResponse<'_>;
    init_producer_id: InitProducerIdRequest<'_>, InitProducerIdResponse;
    offset_for_leader_epoch: OffsetForLeaderEpochRequest<'_>, OffsetForLeaderEpochResponse<'_>;
    describe_configs: DescribeConfigsRequest<'_>, DescribeConfigsResponse<'_>;
    create_partitions: CreatePartitionsRequest<'_>, CreatePartitionsResponse<'_>;
    incremental_alter_configs: IncrementalAlterConfigsRequest<'_>,
        IncrementalAlterConfigsResponse<'_>;
    describe_cluster: DescribeClusterRequest, DescribeClusterResponse<'_>;
    describe_quorum: DescribeQuorumRequest<'_>, DescribeQuorumResponse<'_>;
    elect_leaders: ElectLeadersRequest<'_>, ElectLeadersResponse<'_>;
    alter_partition_reassignments: AlterPartitionReassignmentsRequest<'_>, AlterPartitionReassignmentsResponse<'_>;
    unregister_broker: UnregisterBrokerRequest, UnregisterBrokerResponse<'_>;
    update_features: UpdateFeaturesRequest<'_>, UpdateFeaturesResponse<'_>;
    describe_topic_partitions: DescribeTopicPartitionsRequest<'_>, DescribeTopicPartitionsResponse<'_>;
}

fn decode_counted(body: &[u8], api_key: ApiKey, version: i16) -> (Option<DecodeError>, usize) {
    counted(|| AnyRequest::decode(&mut Reader::new(body), api_key, version).err())
}

#[test]
fn a_count_without_elements_reserves_nothing() {
    let too_long = |count| Some(DecodeError::CollectionTooLong { count, remaining: 1 });
    for (count, expected) in [
        (i32::MAX, too_long(i32::MAX as usize)),
        (100_000_000, too_long(100_000_000)),
        (2, too_long(2)),
        (-2, Some(DecodeError::NegativeLength(-2))),
        (i32::MIN, Some(DecodeError::NegativeLength(i32::MIN.into()))),
    ] {
        let body = [&count.to_be_bytes()[..], &[0]].concat();
        assert_eq!(decode_counted(&body, ApiKey::Metadata, 0), (expected, 0), "{count}");
    }
    // The same in the compact form, which cannot be negative.
    let body = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    let expected = DecodeError::CollectionTooLong { count: u32::MAX as usize - 1, remaining: 1 };
    assert_eq!(decode_counted(&body, ApiKey::Metadata, 9), (Some(expected), 0));
}

#[test]
fn a_count_that_the_bytes_allow_reserves_no_more_than_the_bytes() {
    // A million topics, of which the first is not one.
    let body = [&1_000_000_i32.to_be_bytes()[..], &[0xff].repeat(1_000_000)].concat();
    let (error, allocated) = decode_counted(&body, ApiKey::Metadata, 0);
    assert_eq!(error, Some(DecodeError::UnexpectedNull));
    assert!(allocated <= body.len() + size_of::<MetadataRequestTopic<'_>>(), "{allocated} bytes");
}

#[test]
fn tagged_fields_that_are_not_there_reserve_nothing() {
    let plain = [0_u8, 1, 0, 0];
    for (tags, expected) in [
        // A billion fields, of which the first is 1 GiB long.
        (
            &[0x80, 0x80, 0x80, 0x80, 0x04, 7, 0x80, 0x80, 0x80, 0x80, 0x04][..],
            DecodeError::UnexpectedEnd { needed: 1 << 30, remaining: 0 },
        ),
        (&[0xff, 0xff, 0xff, 0xff, 0x0f], DecodeError::UnexpectedEnd { needed: 1, remaining: 0 }),
        (&[0xff; 10], DecodeError::VarintTooLong),
    ] {
        let body = [&plain[..], tags].concat();
        assert_eq!(decode_counted(&body, ApiKey::Metadata, 9), (Some(expected), 0));
    }
}

#[test]
fn many_small_elements_are_limited() {
    // A list of empty topics: ten bytes each on the wire, a hundred in memory.
    let count = 10_000_000_u32;
    let empty_topic = [1, 0, 0, 0, 0, 0, 0, 1, 1, 0];
    let mut writer = Writer::new();
    writer.unsigned_varint(count + 1);
    let mut body = writer.into_parts().0;
    body.extend(empty_topic.repeat(count as usize));
    let (error, allocated) = decode_counted(&body, ApiKey::CreateTopics, 5);
    assert_eq!(error, Some(DecodeError::MessageTooLarge { limit: DECODED_BYTES_MAX }));
    assert_eq!(allocated, 0, "refused before anything is reserved");
}

#[test]
fn strings_must_be_utf8() {
    let body = b"\0\0\0\x01\0\x02\xc3\x28";
    assert_eq!(decode_counted(body, ApiKey::Metadata, 0).0, Some(DecodeError::InvalidUtf8));
}
