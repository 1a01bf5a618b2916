//! Clients of the runs, over our own encoders: every retry, every error and every unknown outcome is theirs to see.

pub(crate) mod connection;
pub(crate) mod final_logs;
pub(crate) mod foreign;
pub(crate) mod producer;
pub(crate) mod progress;
pub(crate) mod reader;
pub(crate) mod value;
pub(crate) mod view;
