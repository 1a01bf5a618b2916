//! The rules of a cluster as tables.

mod cluster;
mod rules;
