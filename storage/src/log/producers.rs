//! What a log remembers of its idempotent producers: the last five batches of each, so that a batch that is sent again
//! is answered as the first time, and one that is missing is noticed.
//!
//! What must hold: at most [`BATCHES_REMEMBERED`] batches and at most `producers_max` producers; the remembered batches of
//! a producer rise in offsets and follow each other in sequence. A producer that is not known may begin with any sequence
//! number: its state may have expired, and to refuse it would stop it for good.
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use crate::batch::BatchHeader;
use crate::codec::{Put, Take};
use crate::error::ProducerError;
use crate::log::{ProducerCheck, ProducerSnapshot};
use crate::offset::Offset;

/// Kafka's window: a producer has at most five requests in flight.
pub(crate) const BATCHES_REMEMBERED: usize = 5;

/// Of the producers, one in so many is forgotten when there are too many: finding the oldest costs a walk over all.
const FORGET_ONE_IN: usize = 16;

/// Bytes of a producer and of a batch in a checkpoint.
const PRODUCER_BYTES_MIN: usize = 8 + 2 + 8 + 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Batch {
    base_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
    next_offset: i64,
    max_timestamp: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Producer {
    epoch: i16,
    last_append_ms: i64,
    batches: VecDeque<Batch>,
}

/// All producers of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Producers {
    known: BTreeMap<i64, Producer>,
}

impl Producers {
    /// Whether a batch follows what its producer wrote.
    pub(crate) fn check(
        &self,
        batch: &BatchHeader,
        now_ms: i64,
        expiration_ms: i64,
    ) -> Result<ProducerCheck, ProducerError> {
        if !batch.has_producer() {
            return Ok(ProducerCheck::New);
        }
        let Some(producer) = self.known.get(&batch.producer_id) else { return Ok(ProducerCheck::New) };
        if producer.is_expired(now_ms, expiration_ms) {
            return Ok(ProducerCheck::New);
        }
        if batch.producer_epoch < producer.epoch {
            return Err(ProducerError::InvalidProducerEpoch {
                current: producer.epoch,
                found: batch.producer_epoch,
            });
        }
        if batch.producer_epoch > producer.epoch {
            let begins_anew = batch.base_sequence == 0;
            let refused = ProducerError::OutOfOrderSequence { last: -1, found: batch.base_sequence };
            return if begins_anew { Ok(ProducerCheck::New) } else { Err(refused) };
        }
        if let Some(known) = producer.batches.iter().find(|known| known.is_same(batch)) {
            return Ok(ProducerCheck::Duplicate {
                base_offset: Offset::new(known.base_offset),
                append_time_ms: known.max_timestamp,
            });
        }
        match producer.batches.back() {
            Some(last) if next_sequence(last.last_sequence) != batch.base_sequence => {
                Err(ProducerError::OutOfOrderSequence {
                    last: last.last_sequence,
                    found: batch.base_sequence,
                })
            }
            _ => Ok(ProducerCheck::New),
        }
    }

    /// Whether a batch is the newest of its producer: it has to stay, for its sequence numbers are asked for.
    pub(crate) fn is_newest(&self, batch: &BatchHeader) -> bool {
        let newest = self.known.get(&batch.producer_id).and_then(|producer| producer.batches.back());
        batch.has_producer() && newest.is_some_and(|newest| newest.base_offset == batch.base_offset)
    }

    /// Takes note of a batch that is in the log now.
    pub(crate) fn note(&mut self, batch: &BatchHeader, now_ms: i64, producers_max: usize) {
        if !batch.has_producer() {
            return;
        }
        if !self.known.contains_key(&batch.producer_id) && self.known.len() >= producers_max {
            self.forget_oldest();
        }
        let producer = self.known.entry(batch.producer_id).or_insert_with(|| Producer {
            epoch: batch.producer_epoch,
            last_append_ms: now_ms,
            batches: VecDeque::with_capacity(1),
        });
        let follows = producer
            .batches
            .back()
            .is_some_and(|last| next_sequence(last.last_sequence) == batch.base_sequence);
        if producer.epoch != batch.producer_epoch || !follows {
            producer.batches.clear();
        }
        producer.epoch = batch.producer_epoch;
        producer.last_append_ms = producer.last_append_ms.max(now_ms);
        if producer.batches.len() == BATCHES_REMEMBERED {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Batch {
            base_sequence: batch.base_sequence,
            last_sequence: batch.last_sequence(),
            base_offset: batch.base_offset,
            next_offset: batch.next_offset(),
            max_timestamp: batch.max_timestamp,
        });
    }

    /// Forgets producers that were silent for longer than `expiration_ms`.
    pub(crate) fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.known.retain(|_, producer| !producer.is_expired(now_ms, expiration_ms));
    }

    /// Forgets batches at or above the log's new end, and producers of which none is left.
    pub(crate) fn truncate(&mut self, log_end: Offset) {
        self.known.retain(|_, producer| {
            producer.batches.retain(|batch| batch.base_offset < log_end.value());
            !producer.batches.is_empty()
        });
    }

    /// Makes room by forgetting those that were silent longest.
    fn forget_oldest(&mut self) {
        let mut silent_since: Vec<i64> = self.known.values().map(|known| known.last_append_ms).collect();
        let forget = (silent_since.len() / FORGET_ONE_IN).max(1);
        let (_, border, _) = silent_since.select_nth_unstable(forget - 1);
        let border = *border;
        let mut left = forget;
        self.known.retain(|_, producer| {
            let goes = left > 0 && producer.last_append_ms <= border;
            left -= usize::from(goes);
            !goes
        });
    }

    /// For operators.
    pub(crate) fn snapshots(&self) -> Vec<ProducerSnapshot> {
        let snapshot = |(&producer_id, producer): (&i64, &Producer)| ProducerSnapshot {
            producer_id,
            producer_epoch: producer.epoch,
            last_sequence: producer.batches.back().map_or(-1, |batch| batch.last_sequence),
            last_timestamp: producer.batches.back().map_or(-1, |batch| batch.max_timestamp),
            last_append_ms: producer.last_append_ms,
        };
        self.known.iter().map(snapshot).collect()
    }

    /// Appends them to a file's body.
    pub(crate) fn encode(&self, body: &mut Vec<u8>) {
        body.put_u32(u32::try_from(self.known.len()).expect("bounded by producers_max"));
        for (id, producer) in &self.known {
            body.put_i64(*id);
            body.put_i16(producer.epoch);
            body.put_i64(producer.last_append_ms);
            body.put_u32(u32::try_from(producer.batches.len()).expect("at most five"));
            for batch in &producer.batches {
                body.put_i32(batch.base_sequence);
                body.put_i32(batch.last_sequence);
                body.put_i64(batch.base_offset);
                body.put_i64(batch.next_offset);
                body.put_i64(batch.max_timestamp);
            }
        }
    }

    /// Reads what [`Producers::encode`] wrote; `None` when it cannot be that.
    pub(crate) fn decode(body: &mut Take<'_>) -> Option<Producers> {
        let mut known = BTreeMap::new();
        for _ in 0..body.count(PRODUCER_BYTES_MIN)? {
            let (id, epoch, last_append_ms) = (body.i64()?, body.i16()?, body.i64()?);
            let count = body.u32()?;
            (count as usize <= BATCHES_REMEMBERED).then_some(())?;
            let mut batches = VecDeque::with_capacity(count as usize);
            for _ in 0..count {
                batches.push_back(Batch {
                    base_sequence: body.i32()?,
                    last_sequence: body.i32()?,
                    base_offset: body.i64()?,
                    next_offset: body.i64()?,
                    max_timestamp: body.i64()?,
                });
            }
            known.insert(id, Producer { epoch, last_append_ms, batches });
        }
        Some(Producers { known })
    }
}

impl Producer {
    fn is_expired(&self, now_ms: i64, expiration_ms: i64) -> bool {
        now_ms.saturating_sub(self.last_append_ms) > expiration_ms
    }
}

impl Batch {
    fn is_same(&self, other: &BatchHeader) -> bool {
        self.base_sequence == other.base_sequence && self.last_sequence == other.last_sequence()
    }
}

/// The sequence number behind `last`; the largest is followed by 0.
fn next_sequence(last: i32) -> i32 {
    last.checked_add(1).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn batch(producer_epoch: i16, base_sequence: i32, records: i32, base_offset: i64) -> BatchHeader {
        BatchHeader {
            base_offset,
            length: 100,
            leader_epoch: 0,
            last_offset_delta: records - 1,
            max_timestamp: base_offset * 10,
            producer_id: 7,
            producer_epoch,
            base_sequence,
            record_count: records,
        }
    }

    fn after(batches: &[BatchHeader]) -> Producers {
        let mut producers = Producers::default();
        for batch in batches {
            assert_eq!(producers.check(batch, 0, DAY), Ok(ProducerCheck::New), "{batch:?}");
            producers.note(batch, 0, 100);
        }
        producers
    }

    #[test]
    fn the_last_five_batches_are_duplicates_and_older_ones_are_gaps() {
        let batches: Vec<_> = (0..6).map(|n| batch(0, n * 3, 3, i64::from(n) * 3)).collect();
        let producers = after(&batches);
        for known in &batches[1..] {
            let expected = ProducerCheck::Duplicate {
                base_offset: Offset::new(known.base_offset),
                append_time_ms: known.max_timestamp,
            };
            assert_eq!(producers.check(known, 0, DAY), Ok(expected));
        }
        let refused = ProducerError::OutOfOrderSequence { last: 17, found: 0 };
        assert_eq!(producers.check(&batches[0], 0, DAY), Err(refused));
        let gap = ProducerError::OutOfOrderSequence { last: 17, found: 19 };
        assert_eq!(producers.check(&batch(0, 19, 1, 0), 0, DAY), Err(gap));
    }

    #[test]
    fn sequences_wrap_to_zero() {
        let producers = after(&[batch(0, i32::MAX - 1, 2, 0)]);
        assert_eq!(producers.check(&batch(0, 0, 1, 2), 0, DAY), Ok(ProducerCheck::New));
        let across = batch(0, i32::MAX, 3, 0);
        assert_eq!(across.last_sequence(), 1);
        assert_eq!(after(&[across]).check(&batch(0, 2, 1, 3), 0, DAY), Ok(ProducerCheck::New));
    }

    #[test]
    fn a_new_epoch_begins_at_zero_and_fences_the_old_one() {
        let producers = after(&[batch(3, 41, 1, 0)]);
        let late = ProducerError::OutOfOrderSequence { last: -1, found: 42 };
        assert_eq!(producers.check(&batch(4, 42, 1, 1), 0, DAY), Err(late));
        assert_eq!(producers.check(&batch(4, 0, 1, 1), 0, DAY), Ok(ProducerCheck::New));
        let old = ProducerError::InvalidProducerEpoch { current: 3, found: 2 };
        assert_eq!(producers.check(&batch(2, 0, 1, 1), 0, DAY), Err(old));
    }

    #[test]
    fn an_unknown_or_expired_producer_may_begin_anywhere() {
        assert_eq!(Producers::default().check(&batch(0, 99, 1, 0), 0, DAY), Ok(ProducerCheck::New));
        let mut producers = after(&[batch(0, 5, 1, 0)]);
        assert!(producers.check(&batch(0, 99, 1, 1), DAY, DAY).is_err());
        assert_eq!(producers.check(&batch(0, 99, 1, 1), DAY + 1, DAY), Ok(ProducerCheck::New));
        producers.expire(DAY + 1, DAY);
        assert_eq!(producers.known.len(), 0);
    }

    #[test]
    fn the_number_of_producers_is_bounded_and_the_silent_ones_go() {
        let mut producers = Producers::default();
        for id in 0..1000 {
            producers.note(&BatchHeader { producer_id: id, ..batch(0, 0, 1, id) }, id, 64);
            assert!(producers.known.len() <= 64);
        }
        assert!(producers.known.contains_key(&999));
        assert!(!producers.known.contains_key(&0));
    }

    #[test]
    fn survives_a_checkpoint() {
        let producers = after(&[batch(0, 0, 2, 0), batch(0, 2, 1, 2)]);
        let mut body = Vec::new();
        producers.encode(&mut body);
        assert_eq!(Producers::decode(&mut Take(&body)), Some(producers));
        for length in 0..body.len() {
            assert_eq!(Producers::decode(&mut Take(&body[..length])), None);
        }
    }
}
