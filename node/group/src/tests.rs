//! Stories that can be read, random schedules, and proofs that the two find what they are for.

mod bounds;
mod hostile;
mod planted;
mod scenarios;
mod script;
mod simulation;
mod trace;
