//! A message of whichever API its header names.

use super::*;
use crate::codec::Payload;

macro_rules! any {
    ($($api:ident: $request:ty, $response:ty;)*) => {
        /// A request of any API.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs, reason = "variants bear the names of the APIs")]
        pub enum AnyRequest<'a, R> {
            $($api($request),)*
        }

        /// A response of any API.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs, reason = "variants bear the names of the APIs")]
        pub enum AnyResponse<'a, R> {
            $($api($response),)*
        }

        impl<'a> AnyRequest<'a, &'a [u8]> {
            /// Reads the body of a request of `api_key`.
            pub fn decode(
                reader: &mut Reader<'a>,
                api_key: ApiKey,
                version: i16,
            ) -> Result<Self, DecodeError> {
                match api_key {
                    $(ApiKey::$api => decode_request(reader, version).map(Self::$api),)*
                }
            }
        }

        impl<'a> AnyResponse<'a, &'a [u8]> {
            /// Reads the body of a response of `api_key`.
            pub fn decode(
                reader: &mut Reader<'a>,
                api_key: ApiKey,
                version: i16,
            ) -> Result<Self, DecodeError> {
                match api_key {
                    $(ApiKey::$api => decode_response(reader, version).map(Self::$api),)*
                }
            }
        }

        impl<'a, R: Payload> AnyRequest<'a, R> {
            /// Writes the body; the place of payloads is kept.
            pub fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
                match self {
                    $(Self::$api(request) => encode_request(request, writer, version),)*
                }
            }
        }

        impl<'a, R: Payload> AnyResponse<'a, R> {
            /// Writes the body; the place of payloads is kept.
            pub fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
                match self {
                    $(Self::$api(response) => encode_response(response, writer, version),)*
                }
            }
        }
    };
}

any! {
    Produce: ProduceRequest<'a, R>, ProduceResponse<'a>;
    Fetch: FetchRequest<'a>, FetchResponse<'a, R>;
    ListOffsets: ListOffsetsRequest<'a>, ListOffsetsResponse<'a>;
    Metadata: MetadataRequest<'a>, MetadataResponse<'a>;
    FindCoordinator: FindCoordinatorRequest<'a>, FindCoordinatorResponse<'a>;
    JoinGroup: JoinGroupRequest<'a>, JoinGroupResponse<'a>;
    SyncGroup: SyncGroupRequest<'a>, SyncGroupResponse<'a>;
    Heartbeat: HeartbeatRequest<'a>, HeartbeatResponse;
    LeaveGroup: LeaveGroupRequest<'a>, LeaveGroupResponse<'a>;
    OffsetCommit: OffsetCommitRequest<'a>, OffsetCommitResponse<'a>;
    OffsetFetch: OffsetFetchRequest<'a>, OffsetFetchResponse<'a>;
    DescribeGroups: DescribeGroupsRequest<'a>, DescribeGroupsResponse<'a>;
    ListGroups: ListGroupsRequest<'a>, ListGroupsResponse<'a>;
    DeleteGroups: DeleteGroupsRequest<'a>, DeleteGroupsResponse<'a>;
    OffsetDelete: OffsetDeleteRequest<'a>, OffsetDeleteResponse<'a>;
    SaslHandshake: SaslHandshakeRequest<'a>, SaslHandshakeResponse<'a>;
    SaslAuthenticate: SaslAuthenticateRequest<'a>, SaslAuthenticateResponse<'a>;
    AlterConfigs: AlterConfigsRequest<'a>, AlterConfigsResponse<'a>;
    DescribeLogDirs: DescribeLogDirsRequest<'a>, DescribeLogDirsResponse<'a>;
    ListPartitionReassignments: ListPartitionReassignmentsRequest<'a>, ListPartitionReassignmentsResponse<'a>;
    DescribeProducers: DescribeProducersRequest<'a>, DescribeProducersResponse<'a>;
    ApiVersions: ApiVersionsRequest<'a>, ApiVersionsResponse<'a>;
    CreateTopics: CreateTopicsRequest<'a>, CreateTopicsResponse<'a>;
    DeleteTopics: DeleteTopicsRequest<'a>, DeleteTopicsResponse<'a>;
    DeleteRecords: DeleteRecordsRequest<'a>, DeleteRecordsResponse<'a>;
    InitProducerId: InitProducerIdRequest<'a>, InitProducerIdResponse;
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequest<'a>, OffsetForLeaderEpochResponse<'a>;
    DescribeConfigs: DescribeConfigsRequest<'a>, DescribeConfigsResponse<'a>;
    CreatePartitions: CreatePartitionsRequest<'a>, CreatePartitionsResponse<'a>;
    IncrementalAlterConfigs: IncrementalAlterConfigsRequest<'a>, IncrementalAlterConfigsResponse<'a>;
    DescribeCluster: DescribeClusterRequest, DescribeClusterResponse<'a>;
    DescribeQuorum: DescribeQuorumRequest<'a>, DescribeQuorumResponse<'a>;
    ElectLeaders: ElectLeadersRequest<'a>, ElectLeadersResponse<'a>;
    AlterPartitionReassignments: AlterPartitionReassignmentsRequest<'a>, AlterPartitionReassignmentsResponse<'a>;
    UnregisterBroker: UnregisterBrokerRequest, UnregisterBrokerResponse<'a>;
    UpdateFeatures: UpdateFeaturesRequest<'a>, UpdateFeaturesResponse<'a>;
    DescribeTopicPartitions: DescribeTopicPartitionsRequest<'a>, DescribeTopicPartitionsResponse<'a>;
}
