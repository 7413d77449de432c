//! The local AWS on one machine: what is started, in which order, and how it is stopped.
//!
//! It knows AWS's protocols only as far as a reverse proxy must (which service, which operation), and nothing of the loader.
//! Programs that use a stack need `local-client` only.

pub mod exec_child;
pub mod gateway;
pub mod guard;
pub mod ministack;
pub mod postgres;
pub mod process;
pub mod supervisor;
pub mod tools;

/// Region of everything in the stack.
pub const REGION: &str = "us-east-1";
/// Account of everything in the stack.
pub const ACCOUNT: &str = "000000000000";
/// Access key of the account's root user.
pub const ACCESS_KEY_ID: &str = "test";
/// Secret of the account's root user.
pub const SECRET_ACCESS_KEY: &str = "test";
