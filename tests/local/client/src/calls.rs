//! What the gateway says about the calls that passed it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Which of the two ports a call came in by.
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
    /// Position in the order of arrival, from 1, since the start of the stack.
    pub sequence: u64,
    /// When it arrived, in milliseconds since 1970.
    pub at_millis: u64,
    /// Which port.
    pub port: Port,
    /// Signing name of the service.
    pub service: String,
    /// API name of the operation.
    pub operation: String,
    /// Status of the answer that was sent; none while it runs and when no answer was sent.
    pub status: Option<u16>,
    /// The toxic that decided its fate, and how.
    pub fault: Option<String>,
    /// Process of the caller, where known.
    pub pid: Option<u32>,
    /// Function of the caller, where known.
    pub function: Option<String>,
}
