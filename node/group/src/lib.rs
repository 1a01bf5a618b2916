//! Consumer groups and their committed offsets: every rule of Kafka's classic group protocol.
//!
//! Pure: [`Coordinator::step`] takes the time and an event and appends effects; it reads no clock, draws no random
//! number and does no I/O, so that the same code runs on a shard and in a simulation.
//!
//! One [`Coordinator`] holds all groups of one partition of the offsets topic. What must hold:
//! - every request that enters as an event is answered by exactly one [`Effect::Answer`];
//! - nothing is answered, fetchable or `Stable` before the records that say so are written
//!   ([`Event::Written`] with `Ok`);
//! - loading the written records in their order gives what was acknowledged.
//!
//! Does not do: routing of groups to partitions, authorization, the existence of topics, versions of messages. Those
//! are the node's.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod answer;
mod coordinator;
mod deadlines;
mod effect;
mod event;
mod group;
mod planted;
mod reads;
mod records;
mod settings;
mod state;
mod step;
#[cfg(test)]
mod tests;
mod writes;

pub use answer::{
    Answer, CommitAnswer, DeleteOffsetsAnswer, JoinAnswer, JoinedMember, LeaveAnswer, LeftMember, SyncAnswer,
};
pub use coordinator::{Coordinator, Counters, LoadError, Loaded};
pub use effect::{Effect, Record, RequestToken, WriteToken};
pub use event::{
    CommitOffsets, CommittedPartition, CommittedTopic, DeletedTopic, Event, Heartbeat, Join, Leave,
    LeavingMember, Protocol, Sync, SyncedMember, WriteError,
};
pub use reads::{Census, CommittedOffset, GroupDescription, GroupListing, GroupView, MemberDescription};
pub use settings::Settings;
pub use state::GroupState;
