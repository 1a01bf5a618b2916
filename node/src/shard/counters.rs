//! What a shard counts: plain fields of their owner. Only the observability code knows how they are exported.

use std::cell::Cell;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(Cell<u64>);

impl Counter {
    #[inline]
    pub(crate) fn increment(&self) {
        self.add(1);
    }

    #[inline]
    pub(crate) fn add(&self, count: u64) {
        self.0.set(self.0.get().wrapping_add(count));
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Counters, and the struct with what they had at one moment.
macro_rules! counted {
    (
        $(#[$about:meta])*
        $counters:ident, $values:ident { $($(#[$field_about:meta])* $field:ident,)* }
    ) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        pub(crate) struct $counters {
            $($(#[$field_about])* pub(crate) $field: Counter,)*
        }

        /// The same at one moment.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub(crate) struct $values {
            $($(#[$field_about])* pub(crate) $field: u64,)*
        }

        impl $counters {
            pub(crate) fn values(&self) -> $values {
                $values { $($field: self.$field.get(),)* }
            }
        }
    };
}
pub(crate) use counted;

counted! {
    /// Events of one shard.
    Counters, CounterValues {
        connections_accepted,
        /// Closed at once: the node has as many as it may have.
        connections_refused,
        /// Closed after `connections.max.idle.ms`.
        connections_idle_closed,
        /// Frames with an impossible length.
        frames_refused,
        /// Requests that ended their connection.
        requests_refused,
        /// Bytes of clients.
        received_bytes,
        /// Bytes to clients that were in memory.
        sent_bytes,
        /// Bytes to clients that went from a file to the socket.
        sendfile_bytes,
        /// Batches that producers sent and that are in the log.
        appended_batches,
        appended_records,
        appended_bytes,
        /// Record bytes that were read for consumers, from the newest records in memory.
        fetched_memory_bytes,
        /// The same, from segments.
        fetched_file_bytes,
        /// Writes of a log that wait for the disk to have space again.
        writes_postponed,
        /// Logs that a failure of the disk stopped for good.
        logs_failed,
        /// Passes of compaction that came to their end.
        compaction_passes,
        /// Passes that an error ended.
        compaction_failures,
        compaction_bytes_read,
        compaction_bytes_written,
        compaction_records_removed,
    }
}
