//! The metadata quorum: nodes agree on one sequence of records, and on who decides the next.
//!
//! Raft is openraft's; this crate is the only one that names it, and gives it a store (`store.rs`, one redb file), a
//! network (`network.rs`, QUIC with certificates on both sides) and the state that the records make (a [`StateMachine`] of
//! the node's). What the records mean is none of its business: they are bytes.
//!
//! What must hold, and where it is kept:
//! - A record that was answered is in the log of a majority, on disk, and applied here ([`Quorum::propose`]).
//! - What was decided in one leadership never enters the log in another ([`Leadership`]).
//! - A directory votes once in a term; a node that lost its directory is another member ([`ReplicaId`], `forming.rs`).
//! - Everybody applies the same records in the same order, each once (`state_machine.rs`).
//!
//! Threads: tasks of the tokio runtime that starts it, and one thread that writes the file.

mod asking;
mod codec;
mod controller_request;
mod forming;
mod heartbeat;
mod leadership;
mod membership;
mod network;
mod options;
mod proposal;
mod quorum;
mod raft;
mod replica_id;
mod state_machine;
mod status;
mod store;

pub use controller_request::{AskError, ControllerRequest};
pub use leadership::{LeaderView, LeaderWatch, Leadership};
pub use membership::MembershipError;
pub use network::{CONTROLLER_BYTES_MAX, Certificates, SNAPSHOT_BYTES_MAX, Transport};
pub use options::{OptionsError, QuorumOptions, SnapshotOptions, Timing};
pub use proposal::{PROPOSAL_BYTES_MAX, PROPOSAL_RECORDS_MAX, Proposal};
pub use quorum::{Committed, ProposeError, Quorum, StartError};
pub use replica_id::{Address, DirectoryId, ReplicaId};
pub use ringmain_replication::NodeId;
pub use state_machine::{CommittedRecords, StateMachine, StateMachineError};
pub use status::{MemberStatus, QuorumStatus, Role};
pub use store::{CLUSTER_ID_BYTES_MAX, QuorumStore, Room, StoreError};
