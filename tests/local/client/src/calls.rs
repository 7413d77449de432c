//! The gateway's counts and log of calls.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The port that a call arrived at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Port {
    /// The functions' port.
    Functions,
    /// The port of users, tools and tests.
    Users,
}

/// Service → operation → number of calls.
pub type Counts = BTreeMap<String, BTreeMap<String, u64>>;

/// Number of calls per port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// Made by the functions.
    pub functions: Counts,
    /// Made by users, tools and tests.
    pub users: Counts,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Position in the order of arrival since the start of the stack, counted from 1.
    pub sequence: u64,
    /// Time of arrival, in milliseconds since 1970.
    pub at_millis: u64,
    /// The port that it arrived at.
    pub port: Port,
    /// Signing name of the service.
    pub service: String,
    /// API name of the operation.
    pub operation: String,
    /// HTTP status of the response; `None` until or unless one is sent.
    pub status: Option<u16>,
    /// Names of the toxics that were applied.
    pub fault: Option<String>,
    /// Process of the caller, if known.
    pub pid: Option<u32>,
    /// Function of the caller, if known.
    pub function: Option<String>,
}
