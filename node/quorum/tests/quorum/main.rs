//! Real members in one process: each a thread with a runtime, a socket and a file of its own, certificates and all. A kill
//! drops a member without a goodbye; cuts are made by a relay between the sockets.

mod access;
mod chaos;
mod controller;
mod crash;
mod elections;
mod failover;
mod failures;
mod membership;
mod snapshots;
mod support;
mod wiped;
