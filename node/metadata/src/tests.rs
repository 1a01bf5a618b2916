//! The rules of a cluster as tables, random lives of a cluster, and proof that the latter find what breaks the rules.

mod cluster;
mod exploration;
mod planted;
mod rules;
