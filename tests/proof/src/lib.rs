//! The proofs of the protocol: an exhaustive model that runs the production code, seeded bugs that it must find, and a
//! deterministic simulation of the whole flows.
//!
//! Nothing here models a decision or a write of the loader: those are the production functions. What is modelled is the
//! world around them: a bucket, a warehouse that commits object versions, clocks, faults.

pub mod day;
pub mod exhaustive;
pub mod fixture;
pub mod mutant;
pub mod old;
pub mod simulation;
pub mod warehouse;
