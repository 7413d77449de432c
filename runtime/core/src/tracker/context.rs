//! Who decides, and why there may be nothing to do.

use crate::ids::Millis;
use crate::settings::Timing;

/// Who decides, when, and with which settings.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// Now.
    pub now: Millis,
    /// This invocation; no other ever has the same.
    pub holder: &'a str,
    /// Waiting periods.
    pub timing: &'a Timing,
    /// First part of statement names; `None`: the database's name.
    pub prefix: Option<&'a str>,
    /// The statement that an event said has ended: a hint to ask now.
    pub ended: Option<&'a str>,
    /// Whether the warehouse is known to be awake, so that what waits for it may start.
    pub awake: bool,
    /// Whether this is a sweep: it starts the tables that wait for the same instant, one soon after the other.
    pub sweeps: bool,
}

/// Why there is nothing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Nothing waits.
    Empty,
    /// Everything that waits may not start yet; this is when.
    NotBefore(Millis),
    /// The configuration says so, or an operator.
    Paused,
    /// Another invocation is at it.
    Held,
    /// The statement runs.
    StatementRuns,
    /// The warehouse runs as many loads as it may.
    WarehouseFull,
}
