//! The local AWS on one machine: what is started, in which order, and how it is stopped.
//!
//! It knows AWS's protocols only as far as a reverse proxy must (which service, which operation), and nothing of the loader.
//! Users of this library start a [`Stack`] (it ends with them) or a detached one, and steer faults through [`Admin`].

pub mod admin;
pub mod exec_child;
pub mod gateway;
pub mod guard;
mod http;
pub mod ministack;
pub mod postgres;
pub mod process;
pub mod progress;
pub mod stack;
pub mod supervisor;
pub mod tools;

pub use admin::Admin;
pub use gateway::calls::{Calls, LogEntry};
pub use gateway::toxic::{PortFilter, Toxic, ToxicKind, ToxicState};
pub use progress::Progress;
pub use stack::{Stack, StackInfo, StackOptions, Warehouse, down, info, start, start_detached};

/// Region of everything in the stack.
pub const REGION: &str = "us-east-1";
/// Account of everything in the stack.
pub const ACCOUNT: &str = "000000000000";
/// Access key of the account's root user.
pub const ACCESS_KEY_ID: &str = "test";
/// Secret of the account's root user.
pub const SECRET_ACCESS_KEY: &str = "test";
