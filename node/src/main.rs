//! Command line of the node.
fn main() {}
