//! Known defects that a test can switch on, to prove that the tests would find them.
//!
//! Outside of this crate's tests every question is answered with `false` at compile time.

/// Whether this defect is switched on.
#[cfg(not(test))]
pub(crate) const fn is(_defect: &str) -> bool {
    false
}

#[cfg(test)]
pub(crate) use switched::{is, with};

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

    /// Runs with a defect; it is switched off again when the run panics, too.
    pub(crate) fn with<T>(defect: &'static str, run: impl FnOnce() -> T) -> T {
        struct SwitchOff;
        impl Drop for SwitchOff {
            fn drop(&mut self) {
                PLANTED.set("");
            }
        }
        PLANTED.set(defect);
        let _off = SwitchOff;
        run()
    }
}
