//! End-to-end tests: the real functions, deployed from the real template on the local stack, judged by the rows in the warehouse.
//!
//! A test names a [`Spec`] (a queue and how it is loaded), drops files, waits until the table is drained and compares the
//! warehouse with what the files hold. This library starts one stack per test program, and says what it saw when a wait ends
//! in vain. It decides nothing about loading: what must be in a table is computed by [`model`], which knows no SQL.

pub mod check;
pub mod clients;
pub mod deploy;
pub mod diagnosis;
pub mod files;
pub mod model;
pub mod spec;
pub mod suite;
pub mod table;
pub mod tracker;
pub mod wait;
pub mod warehouse;
pub mod zips;

pub use deploy::{Deployment, Tuning};
pub use files::{Row, row};
pub use spec::Spec;
pub use suite::{Suite, World};
pub use table::Table;
