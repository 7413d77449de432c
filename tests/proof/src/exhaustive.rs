//! The model: the production loop, one call at a time, in every order, with every fault within a budget.
//!
//! What runs is `loader_reconcile::reconcile::round`, `loader_reconcile::record::record` and, below them, `decide`, `plan`,
//! `settle`, `split`, `enqueue` and `apply` as they are in production. An invocation under way is the list of answers it was
//! given in this round; a step replays them and makes the next call. An invocation that is not stepped for a long time is a
//! paused one, an invocation that is dropped is a crashed one, an event that is not delivered is a lost one.

pub mod before;
pub mod configuration;
pub mod drain;
pub mod model;
pub mod ports;
pub mod properties;
pub mod state;
pub mod steps;
pub mod world;
