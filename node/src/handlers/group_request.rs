//! Requests about one group: each goes, as it came, to the shard that runs the group, and is decoded and answered there.
//!
//! What must hold: a request that waits for other members holds up nothing but its own connection, as in Kafka; it keeps
//! no place among the calls between shards.

use std::{net::IpAddr, rc::Rc};

use bytes::Bytes;
use ringmain_protocol::{
    ApiKey,
    codec::{Decode, DecodeError, Reader},
    header::RequestHeader,
};

use super::{
    RequestError, RequestInfo, decode, heartbeat, join_group, leave_group, offset_commit, offset_delete,
    sync_group,
};
use crate::{
    server::{Connection, Response},
    shard::Shard,
};

/// A request on its way to its group.
pub(super) struct GroupRequest {
    pub(super) info: RequestInfo,
    /// The name that the client gave itself; empty if it gave none.
    pub(super) client_id: Box<str>,
    /// As Kafka writes an address.
    pub(super) client_host: Box<str>,
    body: Bytes,
}

/// Whether a request names the one group that it is about in its first field.
pub(super) fn is_about_one_group(api_key: ApiKey) -> bool {
    matches!(
        api_key,
        ApiKey::JoinGroup
            | ApiKey::SyncGroup
            | ApiKey::Heartbeat
            | ApiKey::LeaveGroup
            | ApiKey::OffsetCommit
            | ApiKey::OffsetDelete
    )
}

impl GroupRequest {
    pub(super) fn new(
        header: &RequestHeader<'_>,
        info: RequestInfo,
        connection: &Connection,
        body: Bytes,
    ) -> Self {
        Self {
            info,
            client_id: header.client_id.unwrap_or_default().into(),
            client_host: java_address(connection.peer().ip()).into(),
            body,
        }
    }

    /// Answers on the shard that runs the group.
    pub(super) async fn answer(self, shard: &Rc<Shard>) -> Result<Response, RequestError> {
        let owner = shard.group_owner(self.group()?);
        shard.run_long_on(owner, move |shard| async move { self.answer_here(&shard).await }).await
    }

    /// The group: the first field of the body.
    fn group(&self) -> Result<&str, DecodeError> {
        let version = self.info.api_key.version(self.info.version);
        let unsupported =
            DecodeError::UnsupportedVersion { api_key: self.info.api_key.code(), version: self.info.version };
        <&str>::decode(&mut Reader::new(&self.body), version.ok_or(unsupported)?)
    }

    async fn answer_here(&self, shard: &Rc<Shard>) -> Result<Response, RequestError> {
        let (info, body) = (self.info, &self.body);
        match info.api_key {
            ApiKey::JoinGroup => {
                let answer = join_group::answer(shard, self, &decode(info, body)?).await;
                info.answer(&join_group::response(info, &answer))
            }
            ApiKey::SyncGroup => {
                let answer = sync_group::answer(shard, info, &decode(info, body)?).await;
                info.answer(&sync_group::response(&answer))
            }
            ApiKey::Heartbeat => info.answer(&heartbeat::answer(shard, &decode(info, body)?).await),
            ApiKey::LeaveGroup => info.answer(&leave_group::answer(shard, info, &decode(info, body)?).await),
            ApiKey::OffsetCommit => info.answer(&offset_commit::answer(shard, &decode(info, body)?).await),
            ApiKey::OffsetDelete => info.answer(&offset_delete::answer(shard, &decode(info, body)?).await),
            other => unreachable!("{other} is not about one group"),
        }
    }
}

/// An address as Java writes it: a slash, before which stands the host's name if it is known; no group of an IPv6 address
/// is left out.
fn java_address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("/{address}"),
        IpAddr::V6(address) => {
            let groups = address.segments().map(|group| format!("{group:x}"));
            format!("/{}", groups.join(":"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_java_writes_them() {
        let written = |text: &str| java_address(text.parse().expect("an address"));
        assert_eq!(written("127.0.0.1"), "/127.0.0.1");
        assert_eq!(written("::1"), "/0:0:0:0:0:0:0:1");
        assert_eq!(written("2001:db8::ff00:42"), "/2001:db8:0:0:0:0:ff00:42");
    }
}
