//! What to measure of the transport, and where.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

/// What carries the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Link {
    /// Plain TCP, nothing encrypted: what the machine can do.
    Tcp,
    /// The nodes' own transport.
    Quic,
}

/// What to measure of the transport, and where.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct TransportSettings {
    /// What carries the frames; all by default.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "tcp,quic")]
    pub(super) links: Vec<Link>,
    /// Largest datagrams of QUIC, in bytes; a row for each.
    #[arg(long, value_delimiter = ',', default_value = "1452,8952", value_parser = clap::value_parser!(u16).range(1200..=65_507))]
    pub(super) datagram_bytes: Vec<u16>,
    /// KiB of a frame in bulk.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(super) frame_kib: u32,
    /// Sessions that carry bulk at once; TCP has one connection for all.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub(super) sessions: u32,
    /// Bytes of a question, and of its answer.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(8..=65_536))]
    pub(super) question_bytes: u32,
    /// Seconds for each row.
    #[arg(long, default_value_t = 3.0)]
    pub(super) seconds: f64,
    /// Processors of the end that dials and of the one that is dialled.
    #[arg(long, value_delimiter = ',', num_args = 2, default_value = "0,1")]
    pub(super) cores: Vec<usize>,
}

impl TransportSettings {
    pub(super) fn row_duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds.clamp(0.1, 600.0))
    }

    pub(super) fn frame_bytes(&self) -> usize {
        self.frame_kib as usize * 1024
    }
}
