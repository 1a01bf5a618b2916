//! Topics that the brokers themselves write.

/// Where consumer groups and their offsets are kept.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// Kafka's topic of transactions; the name is taken although there are none.
const TRANSACTIONS_TOPIC: &str = "__transaction_state";

/// Whether clients may only read a topic.
pub fn is_internal_topic(name: &str) -> bool {
    name == OFFSETS_TOPIC || name == TRANSACTIONS_TOPIC
}
