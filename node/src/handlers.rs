//! One request in, one answer out: the table of APIs, one file an API.
//!
//! What must hold: produce requests of a connection reach their partitions in order; every request gets its answer or the
//! connection ends; nothing of a request is believed before it was decoded.
//! Does not do: sockets (`server`), decisions about partitions and metadata (`shard`, `metadata`).

mod alter_configs;
mod alter_partition_reassignments;
mod api_versions;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod elect_leaders;
mod fetch;
mod find_coordinator;
mod group_request;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leader_hints;
mod leave_group;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod nodes;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sasl_authenticate;
mod sasl_handshake;
mod sync_group;
mod unregister_broker;
mod update_features;

use std::{ops::ControlFlow, rc::Rc};

use bytes::Bytes;
use ringmain_protocol::{
    ApiKey, ErrorCode,
    codec::{Decode, DecodeError, Encode, EncodeError, Reader, Text},
    frame::tallied_response_frame,
    header::RequestHeader,
    messages::{Request, decode_request},
};

pub(crate) use fetch::FetchSessions;
use group_request::GroupRequest;
pub(crate) use produce::LoneRequest;

use crate::{
    metadata::{
        MetadataError,
        controller::{ConfigTarget, Refusal},
    },
    runtime,
    server::{Connection, Response, Slot},
    shard::Shard,
};

/// Why a request ends its connection, as Kafka does it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// The bytes are not the request that their header announces.
    #[error("decode a request: {0}")]
    Decode(#[from] DecodeError),
    /// An answer does not fit into its version: a defect of ours.
    #[error("encode an answer: {0}")]
    Encode(#[from] EncodeError),
    /// The version is not served.
    #[error("version {version} of {api_key} is not served")]
    UnsupportedVersion { api_key: ApiKey, version: i16 },
}

/// The fixed part of a request's header, which outlives the frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestInfo {
    pub(crate) api_key: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
}

impl RequestInfo {
    /// The answer in the request's own version.
    pub(crate) fn answer<R: ringmain_protocol::messages::Response + Encode>(
        &self,
        response: &R,
    ) -> Result<Response, RequestError> {
        self.answer_in(self.version, response)
    }

    /// The answer in another version (KIP-511).
    pub(crate) fn answer_in<R: ringmain_protocol::messages::Response + Encode>(
        &self,
        version: i16,
        response: &R,
    ) -> Result<Response, RequestError> {
        let (frame, errors) = tallied_response_frame(&self.response_header(version), response)?;
        Ok(Response::memory(frame).telling(errors))
    }

    /// The header of the answer.
    pub(crate) fn response_header(&self, version: i16) -> ringmain_protocol::header::ResponseHeader {
        ringmain_protocol::header::ResponseHeader {
            api_key: self.api_key,
            api_version: version,
            correlation_id: self.correlation_id,
        }
    }
}

/// Whether a request begins only when the answers before it were sent. A fetch does: its answer pins the memory that it is
/// sent from, and a client that pipelines fetches and takes no answer could pin all of it. Clients send one at a time.
pub(crate) fn waits_for_answers(frame: &[u8]) -> bool {
    frame.first_chunk().is_some_and(|key| i16::from_be_bytes(*key) == ApiKey::Fetch.code())
}

/// Handles one frame. `Break`: the connection ends once the answers before it are sent.
pub(crate) async fn handle(
    shard: &Rc<Shard>,
    connection: &Rc<Connection>,
    frame: Bytes,
    slot: Slot,
) -> ControlFlow<()> {
    match begin(shard, connection, frame, slot).await {
        Ok(()) => ControlFlow::Continue(()),
        Err((error, slot)) => {
            shard.counters().requests_refused.increment();
            tracing::debug!(peer = %connection.peer(), %error, "end a connection");
            slot.fill(Response::close());
            ControlFlow::Break(())
        }
    }
}

async fn begin(
    shard: &Rc<Shard>,
    connection: &Rc<Connection>,
    frame: Bytes,
    slot: Slot,
) -> Result<(), (RequestError, Slot)> {
    let mut reader = Reader::new(&frame);
    let header = match RequestHeader::decode(&mut reader) {
        Ok(header) => header,
        Err(error) => return Err((error.into(), slot)),
    };
    shard.requests().received(header.api_key);
    let info = RequestInfo {
        api_key: header.api_key,
        version: header.api_version,
        correlation_id: header.correlation_id,
    };
    if !header.is_version_served() && info.api_key != ApiKey::ApiVersions {
        let error = RequestError::UnsupportedVersion { api_key: info.api_key, version: info.version };
        return Err((error, slot));
    }
    let body = frame.slice(frame.len() - reader.remaining()..);
    match info.api_key {
        ApiKey::Produce => produce::begin(shard, info, header.client_id, body, slot).await,
        ApiKey::Fetch => {
            // A long poll must not hold up what the client sends next.
            let (shard, connection) = (shard.clone(), connection.clone());
            runtime::spawn(async move {
                finish(&shard, &connection, slot, fetch::answer(&shard, info, body).await);
            });
            Ok(())
        }
        api_key => {
            let answered = if group_request::is_about_one_group(api_key) {
                GroupRequest::new(&header, info, connection, body).answer(shard).await
            } else {
                answer(shard, info, &body).await
            };
            // The time that this took is not the next request's.
            shard.clock().read();
            match answered {
                Ok(response) => {
                    slot.fill(response);
                    Ok(())
                }
                Err(error) => Err((error, slot)),
            }
        }
    }
}

/// Ends a request that ran beside the reader.
fn finish(shard: &Shard, connection: &Connection, slot: Slot, answer: Result<Response, RequestError>) {
    match answer {
        Ok(response) => slot.fill(response),
        Err(error) => {
            shard.counters().requests_refused.increment();
            tracing::debug!(peer = %connection.peer(), %error, "end a connection");
            slot.fill(Response::close());
        }
    }
}

/// The APIs whose answer the next request of the connection waits for.
async fn answer(shard: &Rc<Shard>, info: RequestInfo, body: &[u8]) -> Result<Response, RequestError> {
    match info.api_key {
        ApiKey::ApiVersions => api_versions::answer(shard, info, body),
        ApiKey::Metadata => info.answer(&metadata::answer(shard, info, &decode(info, body)?).await),
        ApiKey::ListOffsets => info.answer(&list_offsets::answer(shard, info, &decode(info, body)?).await),
        ApiKey::CreateTopics => info.answer(&create_topics::answer(shard, &decode(info, body)?).await),
        ApiKey::DeleteTopics => info.answer(&delete_topics::answer(shard, &decode(info, body)?).await),
        ApiKey::DeleteRecords => info.answer(&delete_records::answer(shard, &decode(info, body)?).await),
        ApiKey::InitProducerId => info.answer(&init_producer_id::answer(shard, &decode(info, body)?).await),
        ApiKey::OffsetForLeaderEpoch => {
            info.answer(&offset_for_leader_epoch::answer(shard, &decode(info, body)?).await)
        }
        ApiKey::DescribeConfigs => info.answer(&describe_configs::answer(shard, &decode(info, body)?)),
        ApiKey::CreatePartitions => {
            info.answer(&create_partitions::answer(shard, &decode(info, body)?).await)
        }
        ApiKey::IncrementalAlterConfigs => {
            info.answer(&incremental_alter_configs::answer(shard, &decode(info, body)?).await)
        }
        ApiKey::DescribeCluster => info.answer(&describe_cluster::answer(shard, &decode(info, body)?)),
        ApiKey::ElectLeaders => info.answer(&elect_leaders::answer(shard, &decode(info, body)?).await),
        ApiKey::AlterPartitionReassignments => {
            info.answer(&alter_partition_reassignments::answer(shard, &decode(info, body)?).await)
        }
        ApiKey::UnregisterBroker => {
            info.answer(&unregister_broker::answer(shard, &decode(info, body)?).await)
        }
        ApiKey::UpdateFeatures => {
            info.answer(&update_features::answer(shard, info, &decode(info, body)?).await)
        }
        ApiKey::DescribeQuorum => info.answer(&describe_quorum::answer(shard, &decode(info, body)?).await),
        ApiKey::DescribeTopicPartitions => {
            info.answer(&describe_topic_partitions::answer(shard, &decode(info, body)?))
        }
        ApiKey::SaslHandshake => info.answer(&sasl_handshake::answer(&decode(info, body)?)),
        ApiKey::SaslAuthenticate => info.answer(&sasl_authenticate::answer(&decode(info, body)?)),
        ApiKey::AlterConfigs => info.answer(&alter_configs::answer(shard, &decode(info, body)?).await),
        ApiKey::DescribeLogDirs => info.answer(&describe_log_dirs::answer(shard, &decode(info, body)?).await),
        ApiKey::ListPartitionReassignments => {
            info.answer(&list_partition_reassignments::answer(shard, &decode(info, body)?))
        }
        ApiKey::DescribeProducers => {
            info.answer(&describe_producers::answer(shard, &decode(info, body)?).await)
        }
        ApiKey::Produce | ApiKey::Fetch => unreachable!("these do not hold up the reader"),
        ApiKey::FindCoordinator => {
            info.answer(&find_coordinator::answer(shard, info, &decode(info, body)?).await)
        }
        ApiKey::DescribeGroups => {
            let request = decode(info, body)?;
            let described = describe_groups::answer(shard, &request).await;
            info.answer(&describe_groups::response(info, &request, &described))
        }
        ApiKey::ListGroups => info.answer(&list_groups::answer(shard, &decode(info, body)?).await),
        ApiKey::DeleteGroups => info.answer(&delete_groups::answer(shard, &decode(info, body)?).await),
        ApiKey::OffsetFetch => info.answer(&offset_fetch::answer(shard, info, &decode(info, body)?).await),
        ApiKey::JoinGroup
        | ApiKey::SyncGroup
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::OffsetCommit
        | ApiKey::OffsetDelete => unreachable!("these go to the shard of their group"),
    }
}

/// What a client means by a resource type and name.
fn config_target(resource_type: i8, name: &str) -> ConfigTarget {
    /// As in Kafka's `ConfigResource.Type`.
    const TOPIC: i8 = 2;
    const BROKER: i8 = 4;
    match resource_type {
        TOPIC => ConfigTarget::Topic(name.to_owned()),
        BROKER => ConfigTarget::Broker(name.to_owned()),
        other => ConfigTarget::Other(other),
    }
}

/// What a member is told by a shard that does not run its group. A name that no group can have comes first.
fn group_refusal(group: &str, error: ErrorCode) -> ErrorCode {
    if group.is_empty() { ErrorCode::INVALID_GROUP_ID } else { error }
}

/// Code and words of a result.
fn refusal_parts<T>(result: Result<T, Refusal>) -> (ErrorCode, Option<Text<'static>>) {
    match result {
        Ok(_) => (ErrorCode::NONE, None),
        Err(Refusal { code, message }) => (code, message.map(Text::Owned)),
    }
}

/// The answer to each item of a request that the metadata thread could not carry out.
fn refused_by_service<T>(items: usize, error: &MetadataError) -> Vec<Result<T, Refusal>> {
    // Clients try again for as long as there is no controller.
    tracing::warn!(%error, "change metadata");
    let refusal = || Refusal::new(error.error_code(), error.to_string());
    (0..items).map(|_| Err(refusal())).collect()
}

fn decode<'a, R: Request + Decode<'a>>(info: RequestInfo, body: &'a [u8]) -> Result<R, DecodeError> {
    decode_request(&mut Reader::new(body), info.version)
}
