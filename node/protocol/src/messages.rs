//! Kafka's messages: one file an API, each message one table for all its versions (`table.rs`
//! says how to read it).
//!
//! Requests borrow from the frame: strings are `&str`, record batches the very bytes of the frame.
//! The meaning of a field is Kafka's; comments say only what its name does not.

mod alter_configs;
mod alter_partition_reassignments;
mod any;
mod api_versions;
mod config_resource;
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
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sasl_authenticate;
mod sasl_handshake;
mod sync_group;
pub(crate) mod table;
mod unregister_broker;
mod update_features;

#[cfg(test)]
pub(crate) mod generate;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

pub use alter_configs::*;
pub use alter_partition_reassignments::*;
pub use any::*;
pub use api_versions::*;
pub use config_resource::*;
pub use create_partitions::*;
pub use create_topics::*;
pub use delete_groups::*;
pub use delete_records::*;
pub use delete_topics::*;
pub use describe_cluster::*;
pub use describe_configs::*;
pub use describe_groups::*;
pub use describe_log_dirs::*;
pub use describe_producers::*;
pub use describe_quorum::*;
pub use describe_topic_partitions::*;
pub use elect_leaders::*;
pub use fetch::*;
pub use find_coordinator::*;
pub use heartbeat::*;
pub use incremental_alter_configs::*;
pub use init_producer_id::*;
pub use join_group::*;
pub use leave_group::*;
pub use list_groups::*;
pub use list_offsets::*;
pub use list_partition_reassignments::*;
pub use metadata::*;
pub use offset_commit::*;
pub use offset_delete::*;
pub use offset_fetch::*;
pub use offset_for_leader_epoch::*;
pub use produce::*;
pub use sasl_authenticate::*;
pub use sasl_handshake::*;
pub use sync_group::*;
pub use unregister_broker::*;
pub use update_features::*;

use crate::ApiKey;
use crate::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Version, Writer};

/// A message that a client sends.
pub trait Request {
    /// The API that it belongs to.
    const API_KEY: ApiKey;
}

/// A message that a broker answers with.
pub trait Response {
    /// The API that it belongs to.
    const API_KEY: ApiKey;
}

/// Reads the body of a request. Bytes that follow it stay in `reader`; Kafka ignores them too.
pub fn decode_request<'wire, R: Request + Decode<'wire>>(
    reader: &mut Reader<'wire>,
    version: i16,
) -> Result<R, DecodeError> {
    R::decode(reader, decodable(R::API_KEY, version)?)
}

/// Reads the body of a response.
pub fn decode_response<'wire, R: Response + Decode<'wire>>(
    reader: &mut Reader<'wire>,
    version: i16,
) -> Result<R, DecodeError> {
    R::decode(reader, decodable(R::API_KEY, version)?)
}

/// Writes the body of a request.
pub fn encode_request<R: Request + Encode>(
    request: &R,
    writer: &mut Writer,
    version: i16,
) -> Result<(), EncodeError> {
    request.encode(writer, encodable(R::API_KEY, version)?)
}

/// Writes the body of a response.
pub fn encode_response<R: Response + Encode>(
    response: &R,
    writer: &mut Writer,
    version: i16,
) -> Result<(), EncodeError> {
    response.encode(writer, encodable(R::API_KEY, version)?)
}

fn decodable(api_key: ApiKey, version: i16) -> Result<Version, DecodeError> {
    let unsupported = DecodeError::UnsupportedVersion { api_key: api_key.code(), version };
    api_key.version(version).ok_or(unsupported)
}

fn encodable(api_key: ApiKey, version: i16) -> Result<Version, EncodeError> {
    let unsupported = EncodeError::UnsupportedVersion { api_key: api_key.code(), version };
    api_key.version(version).ok_or(unsupported)
}

/// A message that carries records by reference.
pub trait CarriesPayloads<P> {
    /// The payloads, in the order in which the message encodes them.
    fn into_payloads(self) -> impl Iterator<Item = P>;
}
