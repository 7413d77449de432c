//! A loader that runs: what its tables do and did, what its functions logged, and what an operator may change.

pub mod logs;
pub mod resume;
pub mod retry;
mod schema;
pub mod status;
mod tables;
