//! Each rule once.
