//! What `local-stack up` reports while it works: one JSON line each, on its standard output.

use serde::{Deserialize, Serialize};

use crate::info::StackInfo;

/// One thing that happened on the way up or down.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Progress {
    /// A step began or ended.
    Step {
        /// Which part: `tools`, `warehouse`, `ministack`, `stand-in`, `gateway`, `stop`.
        part: String,
        /// What happens now, for a person.
        message: String,
    },
    /// Everything answers.
    Ready(StackInfo),
    /// It did not come up; nothing is left running.
    Failed {
        /// The whole chain of causes.
        error: String,
    },
    /// Everything has ended.
    Stopped,
}

impl Progress {
    /// A step of one part.
    pub fn step(part: &str, message: impl Into<String>) -> Self {
        Self::Step { part: part.to_owned(), message: message.into() }
    }
}
