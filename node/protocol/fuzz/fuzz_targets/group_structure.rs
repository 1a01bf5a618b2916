//! Fuzz target. Any bytes as what is kept of consumer groups. What must hold stands in `checks.rs`.
#![no_main]

#[path = "../checks.rs"]
#[allow(dead_code, reason = "each target uses one of the checks")]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::group_structure(bytes));
