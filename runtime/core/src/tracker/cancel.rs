//! Cancelling a running statement, because of its timeout or because a person asked. Its status then shows how it ended.

use super::change::{Change, Note};
use super::context::Context;
use super::item::Millis;
use super::slot::{Held, RunningLoad, Step};

/// Whether to cancel the running statement: its cancellation is already decided, or it has run longer than the configuration allows.
pub fn is_overdue(load: &RunningLoad, context: &Context) -> bool {
    let Step::Submitted { submitted_millis, cancelled_millis, .. } = &load.step else { return false };
    let limit = load.source.recorded.limits.timeout_minutes.map(|minutes| i64::from(minutes) * 60_000);
    cancelled_millis.is_some() || limit.is_some_and(|limit| submitted_millis + limit <= context.now)
}

/// The write that marks the statement as being cancelled; `None` if it is already marked or no statement is running.
pub fn cancelling(held: Held, context: &Context) -> Option<Change> {
    let Step::Submitted { submitted_millis, cancelled_millis: None, .. } = &held.load.step else { return None };
    let note = Note::Cancelling { minutes: (context.now - submitted_millis) / 60_000 };
    let step = cancelled(&held.load.step, context.now)?;
    Some(Change::step(held, held.load.at(step, context.holder, context.now), note))
}

/// The same step, marked as cancelled at `now`; `None` unless a statement is running.
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
