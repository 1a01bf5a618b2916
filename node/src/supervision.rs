//! What is told to whoever supervises this process: how far a start is, that clients are served, that every shard gets on,
//! that it stops and what for.
//!
//! [`Progress`] is what the node knows of itself; the shards keep it up to date, and the admin endpoint and the heartbeats
//! of a cluster read it as well. [`Supervisor`] passes it on to systemd, where that started the process.
//!
//! What must hold: nothing here is needed to serve; a supervisor that is not there, or does not listen, changes nothing.
//! Does not do: what follows. systemd ends and restarts the process, the controller of a cluster gives its leaderships away.

mod notify_socket;
mod progress;
mod systemd;

pub use progress::{Phase, Progress};
pub(crate) use systemd::Supervisor;
