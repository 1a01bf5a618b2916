//! Stories that can be read, random schedules, and proofs that the two find what they are for.

mod planted;
mod scenarios;
mod simulation;
