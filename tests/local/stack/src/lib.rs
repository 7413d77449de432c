//! The local AWS: starts its programs in order, connects them, and stops them.
//!
//! The crate knows AWS's protocols only as far as a reverse proxy must (which service, which operation), and does not know the loader.
//! Programs that use a stack need only `local-client`.

pub mod exec_child;
pub mod gateway;
pub mod guard;
pub mod ministack;
pub mod postgres;
pub mod process;
pub mod supervisor;
pub mod tools;

/// Region of all resources in a stack.
pub const REGION: &str = "us-east-1";
/// Account of all resources in a stack.
pub const ACCOUNT: &str = "000000000000";
/// Access key of the account's root user.
pub const ACCESS_KEY_ID: &str = "test";
/// Secret access key of the account's root user.
pub const SECRET_ACCESS_KEY: &str = "test";
