//! Finding the coordinator of a group, and asking it.
//!
//! A coordinator moves when its node stops, and is not there while the offsets of its groups are loaded: every error of
//! an attempt forgets where it was, so that the next one looks again, within the bound of [`Client::retry`].

use ringmain_protocol::ErrorCode;
use ringmain_protocol::messages::{
    COORDINATOR_OF_GROUP, FindCoordinatorRequest, FindCoordinatorResponse, Response,
};

use super::{Client, ClientError, Connection, decoded, printable};
use crate::config::HostPort;

/// From this version on several coordinators can be asked for, so the key has another place.
const SEVERAL_FROM_VERSION: i16 = 4;

/// A node that coordinates a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CoordinatorView {
    pub(crate) node_id: i32,
    pub(crate) address: HostPort,
}

impl Client {
    /// Does something with the coordinator of a group until it works, the error is one that stays, or the time is up.
    pub(crate) fn with_coordinator<T>(
        &mut self,
        group: &str,
        mut attempt: impl FnMut(&mut Connection) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        self.retry(|client| {
            let node_id = client.coordinator_once(group)?.node_id;
            let done = client.node(node_id).and_then(&mut attempt);
            if done.is_err() {
                client.coordinators.remove(group);
            }
            done
        })
    }

    /// Which node coordinates a group.
    pub(crate) fn coordinator(&mut self, group: &str) -> Result<CoordinatorView, ClientError> {
        self.retry(|client| client.coordinator_once(group))
    }

    /// Remembers a coordinator that was learned from another answer.
    pub(crate) fn learn_coordinator(&mut self, group: &str, node_id: i32) {
        if let Some(address) = self.nodes.get(&node_id) {
            let coordinator = CoordinatorView { node_id, address: address.clone() };
            self.coordinators.insert(group.to_owned(), coordinator);
        }
    }

    fn coordinator_once(&mut self, group: &str) -> Result<CoordinatorView, ClientError> {
        if let Some(known) = self.coordinators.get(group) {
            return Ok(known.clone());
        }
        let connection = self.any()?;
        let mut request = FindCoordinatorRequest { key_type: COORDINATOR_OF_GROUP, ..Default::default() };
        if connection.version(FindCoordinatorResponse::API_KEY)? >= SEVERAL_FROM_VERSION {
            request.coordinator_keys = vec![group];
        } else {
            request.key = group;
        }
        let answer = connection.call(&request)?;
        let response: FindCoordinatorResponse<'_> = decoded(&answer)?;
        let (code, message, node_id, host, port) = match response.coordinators.first() {
            Some(found) => {
                (found.error_code, found.error_message.as_deref(), found.node_id, &found.host, found.port)
            }
            None => {
                let message = response.error_message.as_deref();
                (response.error_code, message, response.node_id, &response.host, response.port)
            }
        };
        if code != ErrorCode::NONE {
            // Brokers leave the words to their clients.
            let absent = (code == ErrorCode::COORDINATOR_NOT_AVAILABLE)
                .then_some("no node coordinates it at present; is one down, or starting?");
            let message = absent.or(message);
            let action = format!("find the coordinator of the group '{}'", printable(group));
            return Err(ClientError::refused(code, message, action));
        }
        let address = answer.host_port(host, port)?;
        self.nodes.insert(node_id, address.clone());
        let coordinator = CoordinatorView { node_id, address };
        self.coordinators.insert(group.to_owned(), coordinator.clone());
        Ok(coordinator)
    }
}
