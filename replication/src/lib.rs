//! Who leads, who is in sync, what is committed: decisions about one partition and its replicas.
//!
//! Pure: `Partition::step(now, event, &mut effects)` reads no clock, does no I/O and allocates only its own queues, so
//! that the same code runs in the node and in a simulation. What must hold stands at the fields of [`Partition`].
//! Does not do: storage (that is `ringmain-storage`), the wire (the node), elections (the controller).
//!
//! With the feature `quic` the crate also has the transport between nodes ([`quic`]): sockets, time and certificates. The
//! decisions above know nothing of it; without the feature the crate is `no_std`.
#![cfg_attr(not(any(feature = "quic", test)), no_std)]

extern crate alloc;

mod identity;
pub mod message;
mod partition;
mod planted;
#[cfg(feature = "quic")]
pub mod quic;
#[cfg(test)]
mod tests;

pub use identity::{NodeEpoch, NodeId, PartitionEpoch};
pub use partition::{
    Acks, AnsweredFetch, AssignedReplica, Assignment, CommitRule, Effect, EpochEnd, Event, FetchAnswer,
    FetchId, FetchOutcome, FetchRefusal, Fetched, FollowerFetch, InSyncAnswer, InSyncMember, InSyncProposal,
    OutgoingFetch, Partition, Persisted, ProduceOutcome, ProduceRefusal, RecoveredLog, ReplicaStatus,
    RequestToken, Settings,
};
