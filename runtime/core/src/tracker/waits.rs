//! What a sweep sees of a table with work: how long its files have waited, whether they are late, and whether its load is stuck.

use super::item::Millis;
use super::slot::Step;
use super::view::View;
use crate::outcome::FailureClass;

/// The waiting files of a table, including those of the running load.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Waits {
    /// When the oldest waiting object was recorded.
    pub since_millis: Millis,
    /// When the first object becomes late or became late, by its own queue's limit ([`crate::config::LoadConfig::late_millis`]).
    pub late_at_millis: Millis,
    /// Number of waiting objects. Of a long backlog, only the part that was read is counted.
    pub n_objects: usize,
    /// Whether the load cannot proceed until someone grants, creates or frees something.
    pub is_stuck: bool,
}

impl Waits {
    /// Derives it from a view of the table; `None` if nothing is waiting.
    pub fn of(view: &View) -> Option<Self> {
        let load = view.state.slot.load.as_ref();
        let running = load.map(|load| (&load.source, load.recorded_millis));
        let waiting = view.state.backlog.iter().map(|pending| (&pending.source, pending.recorded_millis));
        let recorded: Vec<_> = running.into_iter().chain(waiting).collect();
        let late_at = recorded.iter().map(|(source, millis)| view.config(source).late_millis(*millis)).min()?;
        let is_stuck = load.is_some_and(|load| {
            let asks = matches!(load.step, Step::Waiting { class: FailureClass::OperatorsTurn, .. });
            asks && !view.is_paused(&load.source)
        });
        Some(Self {
            since_millis: recorded.iter().map(|(_, millis)| *millis).min()?,
            late_at_millis: late_at,
            n_objects: view.state.backlog.iter().map(|pending| pending.objects.len()).sum(),
            is_stuck,
        })
    }

    /// How long the oldest object has waited.
    pub fn age_millis(&self, now: Millis) -> Millis {
        now - self.since_millis
    }

    /// By how many seconds the most overdue object is late, rounded up; 0 if none is.
    pub fn seconds_late(&self, now: Millis) -> i64 {
        (now - self.late_at_millis).max(0).unsigned_abs().div_ceil(1000).cast_signed()
    }
}
