//! Operating a running loader: what its tables are doing, what happened, what its functions logged, and what an operator may change.

pub mod act;
pub mod cancel;
pub mod cost;
pub mod forget;
mod freshness;
pub mod history;
pub mod logs;
mod objects;
pub mod pause;
mod records;
pub mod redrive;
pub mod report;
pub mod resume;
pub mod retry;
mod schema;
pub mod status;
mod tables;
pub mod trace;
