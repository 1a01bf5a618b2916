//! The two counters of a partition that must never be swapped: where a record is, and whose leadership wrote it.
//!
//! Both are plain signed integers on the wire; here they are types, so that the compiler keeps an
//! offset out of a place that wants an epoch or a byte position.
use core::fmt;

/// Position of a record in its partition. Never negative in a log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(i64);

impl Offset {
    /// Offset of the first record that a partition ever gets.
    pub const ZERO: Offset = Offset(0);

    /// Takes a value that is known to be an offset.
    ///
    /// # Panics
    /// When it is negative: special values of the wire (-1 latest, -2 earliest) are not offsets.
    #[must_use]
    pub const fn new(value: i64) -> Offset {
        assert!(value >= 0, "an offset is never negative");
        Offset(value)
    }

    /// Takes a value from outside; `None` when it is negative.
    #[must_use]
    pub const fn try_new(value: i64) -> Option<Offset> {
        if value >= 0 { Some(Offset(value)) } else { None }
    }

    /// The value as the wire carries it.
    #[must_use]
    pub const fn value(self) -> i64 {
        self.0
    }

    /// The offset `count` records later.
    #[must_use]
    pub const fn plus(self, count: i64) -> Offset {
        Offset::new(self.0 + count)
    }

    /// How many records lie between `earlier` and this one; 0 when `earlier` is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Offset) -> u64 {
        if self.0 > earlier.0 { self.0.abs_diff(earlier.0) } else { 0 }
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Debug for Offset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Offset({})", self.0)
    }
}

/// Counts the leaderships of one partition; stands in every batch that a leader appended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LeaderEpoch(i32);

impl LeaderEpoch {
    /// The first leadership.
    pub const ZERO: LeaderEpoch = LeaderEpoch(0);

    /// Takes a value that is known to be an epoch; -1 ("unknown") is allowed, as on the wire.
    ///
    /// # Panics
    /// When it is below -1.
    #[must_use]
    pub const fn new(value: i32) -> LeaderEpoch {
        assert!(value >= -1, "a leader epoch is never below -1");
        LeaderEpoch(value)
    }

    /// Takes a value from outside; `None` when it is below -1.
    #[must_use]
    pub const fn try_new(value: i32) -> Option<LeaderEpoch> {
        if value >= -1 { Some(LeaderEpoch(value)) } else { None }
    }

    /// The value as the wire carries it.
    #[must_use]
    pub const fn value(self) -> i32 {
        self.0
    }
}

impl fmt::Display for LeaderEpoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Debug for LeaderEpoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LeaderEpoch({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_refuse_the_special_values_of_the_wire() {
        assert_eq!(Offset::try_new(-1), None);
        assert_eq!(Offset::try_new(0), Some(Offset::ZERO));
        assert_eq!(LeaderEpoch::try_new(-2), None);
        assert_eq!(LeaderEpoch::try_new(-1).map(LeaderEpoch::value), Some(-1));
    }

    #[test]
    fn distance_is_never_negative() {
        assert_eq!(Offset::new(7).since(Offset::new(3)), 4);
        assert_eq!(Offset::new(3).since(Offset::new(7)), 0);
    }
}
