//! Tests of whole stores on the simulated disk: what only shows when all parts work together.
mod basics;
mod bed;
mod behaviour;
mod cold_reads;
mod compaction;
mod faults;
mod fixtures;
mod kills;
mod planted;
mod power_cut;
mod replica;
mod turns;
mod zeros;
