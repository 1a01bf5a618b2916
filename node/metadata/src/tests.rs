//! The rules of a cluster as tables, and random lives of a cluster.

mod cluster;
mod exploration;
mod rules;
