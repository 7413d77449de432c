//! What must hold before a change goes in: the gate, and the long runs that it only begins.

pub mod fuzz;
mod lint;
mod many;
pub mod simulate;
pub mod test;
mod tidy;
