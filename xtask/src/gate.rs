//! The checks that a change must pass, and the long runs of which the gate runs only a short part.

pub mod fuzz;
mod lint;
mod many;
pub mod simulate;
pub mod test;
mod tidy;
