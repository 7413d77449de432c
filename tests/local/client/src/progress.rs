//! The progress that `local-stack up` writes to its standard output, one JSON line per event.

use serde::{Deserialize, Serialize};

use crate::info::StackInfo;

/// An event while a stack starts or stops.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Progress {
    /// A step begins.
    Step {
        /// Which part: `tools`, `warehouse`, `ministack`, `stand-in`, `gateway`, `stop`.
        part: String,
        /// Description of the step.
        message: String,
    },
    /// Everything is ready.
    Ready(StackInfo),
    /// The stack did not start; no process of it is left.
    Failed {
        /// The error with all its causes.
        error: String,
    },
    /// All processes have ended.
    Stopped,
}

impl Progress {
    /// A step of a part of the stack.
    pub fn step(part: &str, message: impl Into<String>) -> Self {
        Self::Step { part: part.to_owned(), message: message.into() }
    }
}
