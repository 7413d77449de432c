//! The files under a queue's source: checking that all are loaded, and loading those that are already there.

pub mod backfill;
mod folders;
mod orc;
mod rows;
pub mod verify;
