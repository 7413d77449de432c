//! What lies under a queue's source: whether everything of it was loaded, and loading what is there already.

pub mod backfill;
mod folders;
mod rows;
pub mod verify;
