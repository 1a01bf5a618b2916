//! What was measured on.

pub(crate) mod machine;
