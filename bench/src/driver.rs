//! Clients that drive a broker: how requests reach it and answers come back. What to send and what
//! to measure is the scenarios' business.

#[cfg(feature = "librdkafka")]
pub(crate) mod librdkafka;
pub(crate) mod wire;
