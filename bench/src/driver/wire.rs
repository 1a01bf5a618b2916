//! This harness's own client: requests that are encoded beforehand, non-blocking connections, no
//! thread but the caller's. It costs as little as a client can, so that the broker is what is
//! measured.

pub(crate) mod batch;
pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod fetcher;
pub(crate) mod leader_watch;
pub(crate) mod leaders;
pub(crate) mod payload;
pub(crate) mod pipeline;
pub(crate) mod produce_frame;
pub(crate) mod producers;
pub(crate) mod reader;
pub(crate) mod stubborn;
