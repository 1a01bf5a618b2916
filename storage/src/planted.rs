//! Known defects that a test can switch on, to prove that the tests would find them.
//!
//! Outside of this crate's tests every question is answered with `false` at compile time.

/// Whether this defect is switched on.
#[cfg(not(test))]
pub(crate) const fn is(_defect: &str) -> bool {
    false
}

#[cfg(test)]
pub(crate) use switched::is;

#[cfg(test)]
mod switched {
    use core::cell::Cell;

    std::thread_local! {
        static PLANTED: Cell<&'static str> = const { Cell::new("") };
    }

    /// Whether this defect is switched on, in this thread.
    pub(crate) fn is(defect: &str) -> bool {
        PLANTED.get() == defect
    }
}
