//! Proofs of the protocol: an exhaustive model, seeded bugs that it must find, and a deterministic simulation of the functions' flows.
//!
//! Decisions and writes of the loader are not modelled: the proofs run the production code. Only its environment is modelled: a bucket, a
//! warehouse that commits object versions, clocks and faults.

pub mod day;
pub mod exhaustive;
pub mod fixture;
pub mod items;
pub mod mutant;
pub mod old;
pub mod simulation;
pub mod warehouse;
