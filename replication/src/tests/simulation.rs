//! Random schedules: nodes, a controller, clients and consumers, and everything that can go wrong between them.

mod controller;
mod history;
mod log;
mod message;
mod network;
mod plan;
mod random;
