//! The model: the production loop, one call at a time, in every order, with every fault within a budget.
//!
//! It runs `loader_reconcile::reconcile::round`, `loader_reconcile::record::record` and, below them, `decide`, `plan`, `settle`, `split`,
//! `enqueue` and `apply`, unchanged. The state of a running invocation is the list of replies it has received in this round; a step replays
//! them and makes the next call. An invocation that is not stepped for a long time stands for a suspended one, an invocation that is removed
//! for a crashed one, and an event that is not delivered for a lost one.

pub mod before;
pub mod configuration;
pub mod drain;
pub mod model;
pub mod ports;
pub mod properties;
pub mod shared;
pub mod state;
pub mod steps;
pub mod world;
