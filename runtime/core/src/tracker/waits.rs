//! What a sweep sees of a table with work: how long its files wait, whether they are late, and whether it waits for somebody.

use super::item::Millis;
use super::slot::Step;
use super::view::View;
use crate::outcome::FailureClass;

/// Files of a table wait, those of the running load included.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Waits {
    /// When the object was recorded that waits longest.
    pub since_millis: Millis,
    /// When the first of them is late, or was, each by its own queue's bound ([`crate::config::LoadConfig::late_millis`]).
    pub late_at_millis: Millis,
    /// How many they are; of a long backlog, as many as were read.
    pub n_objects: usize,
    /// Whether the load stands still until somebody has granted, created or freed something.
    pub is_stuck: bool,
}

impl Waits {
    /// Of what is known of a table; `None` where nothing waits.
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

    /// For how long the oldest of them has waited.
    pub fn age_millis(&self, now: Millis) -> Millis {
        now - self.since_millis
    }

    /// By how many seconds the first of them is late, rounded up; 0 where none is.
    pub fn seconds_late(&self, now: Millis) -> i64 {
        (now - self.late_at_millis).max(0).unsigned_abs().div_ceil(1000).cast_signed()
    }
}
