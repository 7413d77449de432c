//! The flows of the three functions, over ports: store a fact durably, then reconcile the table that it concerns.
//!
//! This crate is async but uses no SDK, clock or environment: everything outside is a [`ports::World`]. The Lambda functions run it over
//! AWS (`loader-aws`); the simulation runs it over memory, with virtual time and faults (`proof`).

#![warn(missing_docs)]

pub mod bulk;
mod compare;
pub mod inventory;
pub mod listing;
mod look;
pub mod microbatch;
pub mod next;
pub mod ports;
pub mod reconcile;
pub mod record;
pub mod report;
pub mod search;
mod statement;
mod unchanged;
