//! A statement that is to end: its time is over, or a person wants it to. Its status decides how it ended.

use super::change::{Change, Note};
use super::context::Context;
use super::item::Millis;
use super::slot::{Held, RunningLoad, Step};

/// Whether a statement that runs is to be cancelled: somebody decided so, or it has run for longer than the configuration allows.
pub fn is_overdue(load: &RunningLoad, context: &Context) -> bool {
    let Step::Submitted { submitted_millis, cancelled_millis, .. } = &load.step else { return false };
    let limit = load.source.recorded.limits.timeout_minutes.map(|minutes| i64::from(minutes) * 60_000);
    cancelled_millis.is_some() || limit.is_some_and(|limit| submitted_millis + limit <= context.now)
}

/// The mark that a statement is being cancelled; `None` where the slot has it. The statement's status decides how it ended.
pub fn cancelling(held: Held, context: &Context) -> Option<Change> {
    let Step::Submitted { submitted_millis, cancelled_millis: None, .. } = &held.load.step else { return None };
    let note = Note::Cancelling { minutes: (context.now - submitted_millis) / 60_000 };
    let step = cancelled(&held.load.step, context.now)?;
    Some(Change::step(held, held.load.at(step, context.holder, context.now), note))
}

/// The same step, marked as cancelled; `None` unless a statement runs.
pub fn cancelled(step: &Step, now: Millis) -> Option<Step> {
    match step {
        Step::Submitted { prepared, statement_id, submitted_millis, .. } => Some(Step::Submitted {
            prepared: prepared.clone(),
            statement_id: statement_id.clone(),
            submitted_millis: *submitted_millis,
            cancelled_millis: Some(now),
        }),
        Step::Claimed | Step::Prepared(_) | Step::Waiting { .. } | Step::GivenUp { .. } => None,
    }
}
