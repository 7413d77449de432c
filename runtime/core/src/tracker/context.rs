//! The context of a decision, and the reasons to do nothing.

use crate::ids::Millis;
use crate::settings::Timing;

/// Who decides, when, and with which settings.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The current time.
    pub now: Millis,
    /// Identifies this invocation; no other ever has the same value.
    pub holder: &'a str,
    /// Waiting times.
    pub timing: &'a Timing,
    /// First part of statement names; `None`: the name of the database.
    pub prefix: Option<&'a str>,
    /// The statement that has ended according to an event: a hint to ask for its status now.
    pub ended: Option<&'a str>,
    /// Whether the warehouse is known to be awake, so that loads that wait for it may start.
    pub awake: bool,
    /// Whether this is a sweep. Only a sweep starts tables that share an instant, so that they start close together.
    pub sweeps: bool,
}

/// Why there is nothing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Nothing is waiting.
    Empty,
    /// Nothing that waits may start before this time.
    NotBefore(Millis),
    /// The configuration or an operator has paused the table.
    Paused,
    /// Another invocation is working on the load.
    Held,
    /// The statement is still running.
    StatementRuns,
    /// The warehouse already runs as many loads as it may.
    WarehouseFull,
}
