//! Measures any Kafka-compatible broker.
fn main() {}
