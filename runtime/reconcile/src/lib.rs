//! What the three functions do, over ports: record a fact durably, then reconcile the table the fact is about.
//!
//! This crate is async but knows no SDK, no clock and no environment: everything outside is a [`ports::World`]. The Lambda
//! functions run it over AWS (`loader-aws`), the simulation over memory with virtual time and faults (`proof`).

#![warn(missing_docs)]

pub mod bulk;
mod compare;
pub mod listing;
mod look;
pub mod microbatch;
pub mod next;
pub mod ports;
pub mod reconcile;
pub mod record;
pub mod report;
mod statement;
