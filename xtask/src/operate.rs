//! A loader that runs: what its tables do, what its functions logged, and what an operator may change.

pub mod logs;
pub mod resume;
pub mod retry;
pub mod status;
mod tables;
