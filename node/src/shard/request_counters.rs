//! What clients ask of a shard and what they are told: requests by API, errors by code, and how long an answer took.
//!
//! What must hold: the number of series is bounded by the APIs and the error codes that exist, whatever clients send; taking
//! note of a request costs a few instructions, and nothing is allocated but for an error code's first time.

use std::{cell::RefCell, collections::BTreeMap};

use ringmain_protocol::{ApiKey, ErrorCode, codec::ErrorTally};

use super::counters::Counter;
use crate::observability::{Histogram, HistogramValues};

/// APIs whose answers are timed each by itself: those of producers and consumers. All others are timed together.
pub(crate) const TIMED_APIS: [ApiKey; 10] = [
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::FindCoordinator,
    ApiKey::JoinGroup,
    ApiKey::SyncGroup,
    ApiKey::Heartbeat,
];

/// Requests and answers of the connections of one shard.
#[derive(Debug)]
pub(crate) struct RequestCounters {
    /// In the order of [`ApiKey::ALL`].
    received: Box<[Counter]>,
    /// By the code as a number.
    errors: RefCell<BTreeMap<(ApiKey, i16), u64>>,
    /// In the order of [`TIMED_APIS`], and one more for the others.
    seconds: Box<[Histogram]>,
}

/// The same at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestValues {
    /// APIs that were asked for, with how often.
    pub(crate) received: Vec<(ApiKey, u64)>,
    /// Error codes in answers.
    pub(crate) errors: Vec<(ApiKey, ErrorCode, u64)>,
    /// Times of answers; `None` is all APIs that are not timed by themselves.
    pub(crate) seconds: Vec<(Option<ApiKey>, HistogramValues)>,
}

impl Default for RequestCounters {
    fn default() -> Self {
        Self {
            received: ApiKey::ALL.iter().map(|_| Counter::default()).collect(),
            errors: RefCell::default(),
            seconds: (0..=TIMED_APIS.len()).map(|_| Histogram::default()).collect(),
        }
    }
}

impl RequestCounters {
    /// A request whose header could be read.
    #[inline]
    pub(crate) fn received(&self, api_key: ApiKey) {
        if let Ok(place) = ApiKey::ALL.binary_search(&api_key) {
            self.received[place].increment();
        }
    }

    /// An answer was handed to the kernel so long after its request was read.
    #[inline]
    pub(crate) fn answered(&self, api_key: ApiKey, nanoseconds: u64) {
        let place = TIMED_APIS.iter().position(|timed| *timed == api_key);
        self.seconds[place.unwrap_or(TIMED_APIS.len())].add(nanoseconds, 1);
    }

    /// The error codes of an answer.
    pub(crate) fn failed(&self, api_key: ApiKey, tally: &ErrorTally) {
        let mut errors = self.errors.borrow_mut();
        for (code, count) in tally.iter() {
            *errors.entry((api_key, code.0)).or_default() += u64::from(count);
        }
    }

    /// Requests of all APIs.
    pub(crate) fn total(&self) -> u64 {
        self.received.iter().map(Counter::get).sum()
    }

    pub(crate) fn values(&self) -> RequestValues {
        let received = ApiKey::ALL.iter().zip(&self.received).map(|(api_key, count)| (*api_key, count.get()));
        let timed = TIMED_APIS.iter().copied().map(Some).chain([None]);
        RequestValues {
            received: received.filter(|(_, count)| *count > 0).collect(),
            errors: self
                .errors
                .borrow()
                .iter()
                .map(|((api_key, code), count)| (*api_key, ErrorCode(*code), *count))
                .collect(),
            seconds: timed.zip(self.seconds.iter().map(Histogram::values)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_found_by_their_api() {
        assert!(ApiKey::ALL.is_sorted(), "places are found by halving");
        let counters = RequestCounters::default();
        ApiKey::ALL.iter().for_each(|api_key| counters.received(*api_key));
        counters.received(ApiKey::Heartbeat);
        counters.answered(ApiKey::Fetch, 1_000);
        counters.answered(ApiKey::CreateTopics, 2_000);
        let values = counters.values();
        assert_eq!(values.received.len(), ApiKey::ALL.len());
        assert!(values.received.contains(&(ApiKey::Heartbeat, 2)));
        let timed: Vec<_> = values.seconds.iter().filter(|(_, times)| times.count() > 0).collect();
        assert!(matches!(timed[..], [(Some(ApiKey::Fetch), _), (None, _)]));
    }
}
