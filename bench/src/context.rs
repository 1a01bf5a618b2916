//! What was measured on and against: this program, the machine, the disk, the brokers.
//!
//! What must hold: nothing here fails a measurement; what cannot be known is said to be unknown.

pub(crate) mod broker;
pub(crate) mod clocks;
pub(crate) mod configuration;
pub(crate) mod disk;
pub(crate) mod durability;
pub(crate) mod harness;
pub(crate) mod machine;
pub(crate) mod process;
pub(crate) mod software;
pub(crate) mod time;
