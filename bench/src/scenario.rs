//! What is measured: one file a scenario.

pub(crate) mod consume;
pub(crate) mod end_to_end;
pub(crate) mod produce;
