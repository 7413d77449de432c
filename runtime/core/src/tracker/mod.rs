//! The tracker: the per-table record in DynamoDB and its rules.
//!
//! Read in this order: `item` (what is stored), `write` (conditional writes as data), `decide` (what to do next),
//! `prepare` and `settle` (what follows from what was seen), `enqueue` (how facts enter), `invariant` (what always holds).

pub mod decide;
pub mod enqueue;
pub mod invariant;
pub mod item;
pub mod operator;
pub mod prepare;
pub mod settle;
pub mod split;
pub mod wire;
pub mod write;
