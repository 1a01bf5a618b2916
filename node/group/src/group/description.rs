//! What DescribeGroups and ListGroups show of a group.

use alloc::sync::Arc;

use super::Group;
use crate::{GroupDescription, GroupListing, GroupState, MemberDescription};

impl Group {
    pub(crate) fn listing(&self) -> GroupListing {
        GroupListing {
            group: Arc::clone(&self.name),
            protocol_type: self.protocol_type.clone().unwrap_or_else(|| Arc::from("")),
            state: self.state,
        }
    }

    pub(crate) fn describe(&self) -> GroupDescription {
        // While members join again nobody knows which protocol they will agree on.
        let protocol = self.protocol_name.as_ref().filter(|_| self.state == GroupState::Stable);
        let members = self.members.iter().map(|(_, member)| {
            let metadata = protocol.and_then(|name| member.wishes.metadata(name));
            MemberDescription {
                member_id: Arc::clone(&member.id),
                instance_id: member.instance_id.clone(),
                client_id: Arc::clone(&member.client.id),
                client_host: Arc::clone(&member.client.host),
                metadata: metadata.cloned().unwrap_or_default(),
                assignment: member.assignment.clone(),
            }
        });
        GroupDescription {
            state: self.state,
            generation: self.generation,
            protocol_type: self.protocol_type.clone().unwrap_or_else(|| Arc::from("")),
            protocol_name: protocol.cloned().unwrap_or_else(|| Arc::from("")),
            members: members.collect(),
        }
    }
}
