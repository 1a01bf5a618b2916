//! Groups as the log has them: records in their order, then a beginning.

use alloc::sync::Arc;

use bytes::Bytes;
use ringmain_protocol::coordinator_records::{GroupMetadataValue, MemberMetadata};

use super::member::{Client, Member, MemberProtocol};
use super::{Group, Members, Wishes};
use crate::coordinator::LoadError;
use crate::step::Step;
use crate::{CommittedOffset, GroupState};

impl Group {
    /// A record of the group: what was known of its generation before is replaced.
    pub(crate) fn load(&mut self, value: &GroupMetadataValue<'_>) -> Result<(), LoadError> {
        let protocol = match (value.protocol, value.members.is_empty()) {
            (None, false) => return Err(LoadError::Value),
            (protocol, _) => protocol.map(Arc::from),
        };
        let mut members = Members::default();
        for member in &value.members {
            let is_known = members.by_id(member.member_id).is_some()
                || member.group_instance_id.is_some_and(|id| members.by_instance(id).is_some());
            if is_known {
                return Err(LoadError::Value);
            }
            members.add(loaded_member(member, protocol.as_ref()));
        }
        self.state = if members.is_empty() { GroupState::Empty } else { GroupState::Stable };
        self.state_since_ms = Some(value.current_state_timestamp).filter(|since_ms| *since_ms >= 0);
        self.generation = value.generation;
        self.protocol_type = Some(value.protocol_type).filter(|name| !name.is_empty()).map(Arc::from);
        self.protocol_name = protocol;
        self.leader = value.leader.and_then(|id| members.by_id(id)).or_else(|| members.first());
        self.members = members;
        self.remember_subscriptions();
        self.in_log = true;
        Ok(())
    }

    /// A tombstone of the group; it deletes no offsets, which have tombstones of their own.
    pub(crate) fn forget_generation(&mut self) {
        self.state = GroupState::Empty;
        self.state_since_ms = None;
        self.generation = 0;
        self.protocol_type = None;
        self.protocol_name = None;
        self.leader = None;
        self.members = Members::default();
        self.subscribed = None;
        self.subscribed_bytes = 0;
        self.in_log = false;
    }

    pub(crate) fn load_offset(&mut self, topic: &str, partition: i32, offset: Option<CommittedOffset>) {
        self.offsets.load(topic, partition, offset);
    }

    /// The log was read: the members' sessions begin anew.
    pub(crate) fn begin(&mut self, step: &mut Step<'_>, retention_check_after_ms: i64) {
        for number in self.members.numbers() {
            self.renew_session(step, number);
        }
        self.schedule_retention_check_after(step, retention_check_after_ms);
        // The limit was lowered since: the members are called together, and the last to come are refused.
        if self.members.len() > step.settings.group_members_max {
            self.prepare_rebalance(step);
        }
    }
}

fn loaded_member(member: &MemberMetadata<'_>, protocol: Option<&Arc<str>>) -> Member {
    let protocols = protocol.map(|name| MemberProtocol {
        name: Arc::clone(name),
        metadata: Bytes::copy_from_slice(member.subscription),
    });
    let rebalance_timeout_ms = match member.rebalance_timeout {
        -1 => member.session_timeout,
        rebalance_timeout_ms => rebalance_timeout_ms,
    };
    let wishes = Wishes {
        session_timeout_ms: member.session_timeout,
        rebalance_timeout_ms,
        protocols: protocols.into_iter().collect(),
    };
    Member::loaded(
        Arc::from(member.member_id),
        member.group_instance_id.map(Arc::from),
        Client { id: Arc::from(member.client_id), host: Arc::from(member.client_host) },
        wishes,
        Bytes::copy_from_slice(member.assignment),
    )
}
