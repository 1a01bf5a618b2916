//! What can go wrong between a tool and a broker.

use std::io;

use ringmain_protocol::{ApiKey, ErrorCode};

use super::printable;
use crate::config::HostPort;

/// What went wrong between a tool and a broker.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// An argument is no address.
    #[error("--brokers: {0}")]
    BrokerAddress(String),
    /// There is no one to ask.
    #[error("--brokers: name at least one broker")]
    NoBrokers,
    /// Nobody answers there.
    #[error(
        "cannot reach the broker {address}: {error}; is it running? 'ringmain dev' starts one, --brokers or \
         RINGMAIN_BROKERS names another"
    )]
    Unreachable {
        /// Where.
        address: HostPort,
        /// The system's answer.
        error: io::Error,
    },
    /// The connection broke.
    #[error("the connection to {address} failed: {error}")]
    Connection {
        /// To whom.
        address: HostPort,
        /// The system's answer.
        error: io::Error,
    },
    /// What came back is not the protocol.
    #[error("{address} does not speak Kafka's protocol as expected: {problem}")]
    Protocol {
        /// Who.
        address: HostPort,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no version that both know.
    #[error("{address} does not serve {api} in a version that this program knows")]
    Version {
        /// Who.
        address: HostPort,
        /// Which API.
        api: ApiKey,
    },
    /// The metadata named no such node.
    #[error("node {0} is not part of the cluster any more")]
    UnknownNode(i32),
    /// The broker refused.
    #[error("cannot {action}: {message}")]
    Refused {
        /// A verb phrase.
        action: String,
        /// The broker's code.
        code: ErrorCode,
        /// The broker's words with the code, or ours.
        message: String,
    },
}

impl ClientError {
    /// A refusal by the broker while doing something.
    pub(crate) fn refused(code: ErrorCode, message: Option<&str>, action: impl Into<String>) -> Self {
        let name = code.name().map_or_else(|| format!("error {}", code.0), str::to_owned);
        let message = match message.filter(|message| !message.is_empty()) {
            Some(message) => format!("{} ({name})", message.trim_end_matches('.')),
            None => name,
        };
        Self::Refused { action: action.into(), code, message }
    }

    /// The topic is not there.
    pub(crate) fn unknown_topic(name: &str) -> Self {
        Self::Refused {
            action: format!("find the topic '{name}'"),
            code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            message: format!(
                "it does not exist; 'ringmain topic create {name}' makes it, 'ringmain topic list' shows what there is"
            ),
        }
    }

    /// The group is not there; `verb` says what was wanted of it.
    pub(crate) fn unknown_group(name: &str, verb: &str) -> Self {
        Self::Refused {
            action: format!("{verb} the group '{}'", printable(name)),
            code: ErrorCode::GROUP_ID_NOT_FOUND,
            message: "it does not exist; 'ringmain group list' shows what there is".to_owned(),
        }
    }

    /// Whether trying again can help; `was_reached` says that a broker answered before.
    pub(crate) fn is_retriable(&self, was_reached: bool) -> bool {
        match self {
            Self::Unreachable { .. } => was_reached,
            Self::Connection { .. } | Self::UnknownNode(_) => true,
            // Told at once instead of after the time limit: the topic is not there, and nobody is making it.
            Self::Refused { code, .. } => {
                *code != ErrorCode::UNKNOWN_TOPIC_OR_PARTITION && code.is_retriable()
            }
            Self::BrokerAddress(_) | Self::NoBrokers | Self::Protocol { .. } | Self::Version { .. } => false,
        }
    }

    /// Whether the connection that it came from is of no use any more.
    pub(crate) fn is_of_connection(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }
}
