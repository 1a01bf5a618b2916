//! The writes that somebody waits for: whether one of them ends within moments.

use std::cell::Cell;

/// A write up to this size is that of a few small records: a shard that has no more to write than that is not busy.
const SMALL_WRITE_BYTES_MAX: usize = 8 << 10;

#[derive(Default)]
pub(super) struct Writes {
    count: Cell<usize>,
    bytes: Cell<usize>,
}

impl Writes {
    /// Counts a write until the result is dropped. `None` is an operation that writes nothing.
    pub(super) fn begin(&self, bytes: Option<usize>) -> WriteUnderWay<'_> {
        self.count.set(self.count.get() + usize::from(bytes.is_some()));
        self.bytes.set(self.bytes.get() + bytes.unwrap_or(0));
        WriteUnderWay { writes: self, bytes }
    }

    /// Whether all that is under way is one small write.
    pub(super) fn are_one_small(&self) -> bool {
        self.count.get() == 1 && self.bytes.get() <= SMALL_WRITE_BYTES_MAX
    }
}

/// One of the [`Writes`].
pub(super) struct WriteUnderWay<'a> {
    writes: &'a Writes,
    bytes: Option<usize>,
}

impl Drop for WriteUnderWay<'_> {
    fn drop(&mut self) {
        let Writes { count, bytes } = self.writes;
        count.set(count.get() - usize::from(self.bytes.is_some()));
        bytes.set(bytes.get() - self.bytes.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_small_write_alone_is_looked_out_for() {
        let writes = Writes::default();
        assert!(!writes.are_one_small(), "an idle shard sleeps");
        let first = writes.begin(Some(4096));
        let read = writes.begin(None);
        assert!(writes.are_one_small());
        let second = writes.begin(Some(4096));
        assert!(!writes.are_one_small(), "a busy shard has something else to do");
        drop((first, read));
        assert!(writes.are_one_small());
        drop(second);
        let large = writes.begin(Some(SMALL_WRITE_BYTES_MAX + 1));
        assert!(!writes.are_one_small());
        drop(large);
        assert!(!writes.are_one_small());
    }
}
