//! The central decision: maps what is known about a table to the one next action. Total and pure.
//!
//! Crashes need no special cases here: the next invocation reads the same state and decides the same. `prepare` (objects) and `settle`
//! (submits and statements) decide what follows from the result of an action.

use super::change::{Change, Note, put_slot};
use super::choose::{Choice, Chosen, choose};
pub use super::context::{Context, Idle};
use super::item::PendingLoad;
use super::slot::{Held, Prepared, RunningLoad, Slot, Step};
use super::view::View;
use super::write::{Condition, WriteAction};
use crate::ident::TableName;
use crate::ids::DbTable;
use crate::limits::{CLIENT_TOKEN_MILLIS, INVOCATION_MILLIS_MAX, STATEMENT_MILLIS, UNCLAIMED_OBJECTS_MAX};
use crate::outcome::FailureClass;

/// The clocks of two environments may differ by minutes, so the loader relies on the service's memory for less than the documented time. A
/// submit decided before this age has arrived, or will never arrive, by the time the service forgets the token.
const TOKEN_BELIEVED_MILLIS: i64 = CLIENT_TOKEN_MILLIS - 2 * INVOCATION_MILLIS_MAX;
const STATEMENT_BELIEVED_MILLIS: i64 = STATEMENT_MILLIS - 60 * 60_000;

/// The next action for a table, with everything needed to perform it.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<'a> {
    /// Nothing to do, for this reason.
    Idle(Idle),
    /// Write this change.
    Write(Change),
    /// Look at the objects of this load (ledger, S3, the target's columns), then call `prepare::plan`.
    Look {
        /// The load at the attempt to prepare. The slot may still be free.
        load: Box<RunningLoad>,
        /// Its pending loads, if they are already known.
        pendings: Option<Vec<PendingLoad>>,
    },
    /// Submit the prepared statement batch, then call `settle::after_submit`.
    Submit(&'a RunningLoad, &'a Prepared),
    /// Look for a statement with this name in the Data API, then call `settle::after_find`.
    Find(&'a RunningLoad, &'a Prepared),
    /// Ask the Data API for the status of this statement, then call `settle::after_status`.
    Ask(&'a RunningLoad, &'a str),
    /// Ask the ledger table in the warehouse whether this load was committed, then call `settle::finished` or `settle::not_committed`.
    AskWarehouseLedger(&'a RunningLoad, &'a TableName),
    /// Put the load into quarantine: `settle::outcome_unknown`.
    Quarantine(&'a RunningLoad),
}

impl Action<'_> {
    /// The load that takes a free slot with this action, or is about to.
    pub fn begins(&self) -> Option<&RunningLoad> {
        match self {
            Self::Look { load, .. } => Some(load),
            Self::Write(change) => change.transaction.actions.iter().find_map(|action| match action {
                WriteAction::Put(item, _) => item.load(),
                WriteAction::Delete(..) | WriteAction::Check(..) => None,
            }),
            Self::Idle(_)
            | Self::Submit(..)
            | Self::Find(..)
            | Self::Ask(..)
            | Self::AskWarehouseLedger(..)
            | Self::Quarantine(_) => None,
        }
    }
}

/// Decides the next action for a table. Never fails, and does the same for every invocation except for the holder's own load.
pub fn decide<'a>(table: &DbTable, view: &'a View, context: &Context) -> Action<'a> {
    let slot = &view.state.slot;
    let Some(load) = &slot.load else { return start(table, view, context) };
    let others = load.holder != context.holder && load.touched_millis + context.timing.patience_millis > context.now;
    match &load.step {
        Step::Claimed | Step::Prepared(_) if others => Action::Idle(Idle::Held),
        // No statement can be running at these steps, so a paused table stays as it is, and a load of a paused queue gives way to others.
        Step::Claimed | Step::Waiting { .. } if slot.pause.is_some() => Action::Idle(Idle::Paused),
        Step::Claimed | Step::Waiting { .. } if view.is_paused(&load.source) => {
            Action::Write(Change::new(load.table(), vec![put_slot(Held { slot, load }, None)], Note::GaveWay))
        }
        Step::Claimed => look(load.clone(), view),
        Step::Waiting { class: FailureClass::OperatorsTurn, .. } if context.awake && may_ride(load, context) => {
            look(RunningLoad { attempt: load.attempt + 1, ..load.clone() }, view)
        }
        Step::Waiting { not_before_millis, .. } if *not_before_millis > context.now => {
            Action::Idle(Idle::NotBefore(*not_before_millis))
        }
        // A failed attempt is followed by another, for which objects are looked at and the configuration is read again.
        Step::Waiting { .. } => look(RunningLoad { attempt: load.attempt + 1, ..load.clone() }, view),
        Step::Prepared(prepared) => with_prepared(slot, load, prepared, context),
        Step::Submitted { statement_id, submitted_millis, .. } => {
            let hinted = context.ended == Some(statement_id);
            if hinted || submitted_millis + context.timing.poll_millis <= context.now {
                Action::Ask(load, statement_id)
            } else {
                Action::Idle(Idle::StatementRuns)
            }
        }
        Step::GivenUp { .. } => Action::Quarantine(load),
    }
}

/// Whether a load that waits for an operator may probe because the warehouse is awake: as often as it would without a pace.
fn may_ride(load: &RunningLoad, context: &Context) -> bool {
    load.touched_millis + context.timing.backoff_cap_millis <= context.now
}

fn look<'a>(load: RunningLoad, view: &View) -> Action<'a> {
    let pendings = view.pendings(&load.pending_keys);
    Action::Look { load: Box::new(load), pendings }
}

/// A small load is looked at first and takes the slot already prepared, with one write. A large load takes the slot first: looking at many
/// objects takes many calls, and only one invocation should make them.
fn start<'a>(table: &DbTable, view: &View, context: &Context) -> Action<'a> {
    match choose(table, view, context) {
        Err(idle) => Action::Idle(idle),
        Ok(Choice::Gather(change)) => Action::Write(change),
        Ok(Choice::Load(chosen))
            if chosen.n_objects() > UNCLAIMED_OBJECTS_MAX || chosen.pendings.iter().any(|p| p.entered) =>
        {
            Action::Write(claim(&view.state.slot, &chosen))
        }
        Ok(Choice::Load(chosen)) => {
            let Chosen { load, pendings } = *chosen;
            Action::Look { load: Box::new(load), pendings: Some(pendings) }
        }
    }
}

fn claim(slot: &Slot, chosen: &Chosen) -> Change {
    let held = Held { slot, load: &chosen.load };
    let note = Note::Claimed { n_objects: chosen.n_objects() };
    let mut actions = vec![put_slot(held, Some(chosen.load.clone()))];
    actions.extend(still_there(&chosen.pendings));
    Change::new(chosen.load.table(), actions, note)
}

/// Checks for pending loads that the ledger does not protect from being loaded twice: loader 0.1, which may still run during an update,
/// deletes the slot instead of increasing its version.
pub(super) fn still_there(pendings: &[PendingLoad]) -> impl Iterator<Item = WriteAction> {
    let entered = pendings.iter().filter(|pending| pending.entered);
    entered.map(|pending| WriteAction::Check(pending.key.clone(), Condition::Present))
}

/// For hours, the service returns the same statement for the same token, so the submit is repeated. Then no one submits until no submit can
/// be in flight any more: only then does "no such statement" prove anything, so only then is the name looked up. After that, the outcome
/// cannot be learned from the service.
fn with_prepared<'a>(slot: &'a Slot, load: &'a RunningLoad, prepared: &'a Prepared, context: &Context) -> Action<'a> {
    let age_millis = context.now - prepared.prepared_millis;
    if age_millis >= STATEMENT_BELIEVED_MILLIS {
        return match &load.source.recorded.ledger_table {
            Some(ledger) => Action::AskWarehouseLedger(load, ledger),
            None => Action::Write(give_up(Held { slot, load }, context)),
        };
    }
    if prepared.not_before_millis > context.now {
        return Action::Idle(Idle::NotBefore(prepared.not_before_millis));
    }
    if (TOKEN_BELIEVED_MILLIS..CLIENT_TOKEN_MILLIS).contains(&age_millis) {
        return Action::Idle(Idle::NotBefore(prepared.prepared_millis + CLIENT_TOKEN_MILLIS));
    }
    if load.holder != context.holder {
        return Action::Write(take_over(Held { slot, load }, prepared, context));
    }
    if age_millis >= TOKEN_BELIEVED_MILLIS { Action::Find(load, prepared) } else { Action::Submit(load, prepared) }
}

/// A submit cannot be fenced, so it is announced: an invocation that submits what another one prepared becomes the holder first. Otherwise
/// one of two could be refused and begin the next attempt while the other's submit is still in flight. From then on a statement may exist,
/// because the previous holder may have submitted.
fn take_over(held: Held, prepared: &Prepared, context: &Context) -> Change {
    let prepared = Prepared { uncertain: true, ..prepared.clone() };
    let note = Note::TakenOver { from: held.load.holder.clone() };
    Change::step(held, held.load.at(Step::Prepared(prepared), context.holder, context.now), note)
}

/// From this step every path leads to quarantine, so a ledger entry about quarantine states a fact even if it is written first.
pub(super) fn give_up(held: Held, context: &Context) -> Change {
    let step = Step::GivenUp { statement_id: held.load.statement_id().map(ToOwned::to_owned) };
    Change::step(held, held.load.at(step, context.holder, context.now), Note::GivenUp)
}
