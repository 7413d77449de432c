//! What follows from the Data API's response to a submit, a look-up by name, or a status request.
//!
//! A call is done, certainly not done, or unknown. An unknown outcome is repeated with the same identity, never guessed.

use std::collections::BTreeSet;

use super::change::{self, Change, Committed, Note, put_slot};
use super::choose::Chosen;
use super::context::Context;
use super::decide::{give_up, still_there};
use super::item::{History, Item, LedgerMark, PendingLoad, Quarantined, SortKey};
use super::slot::{Held, Prepared, RunningLoad, Slot, Step};
use super::wait::{backoff_millis, refused, wait};
use super::write::{Condition, WriteAction};
use super::{pack, split};
use crate::ids::{LoadId, WaitingObject};
use crate::limits::TRANSACTION_ACTIONS_MAX;
use crate::outcome::{FailureClass, classify, is_missing};

/// Number of attempts that may find a changed object before the load is treated as bad input.
const REFRESHES_MAX: u32 = 3;
/// Number of probes of a load with an unexplained failure before it is divided, and of a load whose objects may not be read before it gives
/// way to others.
const PROBES_MAX: u32 = 6;
/// How often a single object is set aside because of an unexplained failure before it is quarantined.
const SET_ASIDE_MAX: u32 = 6;
/// Maximum number of objects that one transaction quarantines. It writes an entry per object, deletes or rewrites at most one pending load
/// per object, and writes the slot and at most two quarantine items.
const QUARANTINED_AT_ONCE: usize = (TRANSACTION_ACTIONS_MAX - 3) / 2;

/// Outcome of a submit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SubmitOutcome {
    /// The service accepted the batch, now or at an earlier submit with the same token.
    Done {
        /// The id that the service assigned.
        statement_id: String,
    },
    /// This call was certainly not accepted.
    Refused {
        /// Class of the refusal.
        class: FailureClass,
        /// The service's error text.
        reason: String,
        /// Whether no earlier call of this attempt can have been accepted either.
        first_call: bool,
    },
    /// There was no answer, so the batch may have been accepted.
    Unknown {
        /// What is known about the call.
        reason: String,
    },
}

/// Status of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StatementStatus {
    /// It has not ended.
    Running,
    /// It is committed.
    Finished(Committed),
    /// It was rolled back.
    Failed {
        /// The warehouse's error text, including that of the failed SQL statement and the rows of its error table.
        error: String,
    },
    /// It was stopped and rolled back.
    Aborted {
        /// The service's error text.
        error: String,
    },
    /// The service no longer knows the id.
    Forgotten,
}

/// The change that follows a submit.
pub fn after_submit(held: Held, prepared: &Prepared, outcome: SubmitOutcome, context: &Context) -> Change {
    match outcome {
        SubmitOutcome::Done { statement_id } => submitted(held, prepared, statement_id, context),
        // There certainly is no statement, so another attempt may follow, with the current configuration.
        SubmitOutcome::Refused { class, reason, first_call: true } if !prepared.uncertain => {
            refused(held, class, reason, context)
        }
        SubmitOutcome::Refused { reason, first_call, .. } => {
            not_submitted(held, prepared, prepared.uncertain || !first_call, reason, context)
        }
        SubmitOutcome::Unknown { reason } => not_submitted(held, prepared, true, reason, context),
    }
}

/// The change that follows a look-up by name, long after the submit: the statement was found, or never accepted.
pub fn after_find(held: Held, prepared: &Prepared, found: Option<String>, context: &Context) -> Change {
    match found {
        Some(statement_id) => submitted(held, prepared, statement_id, context),
        None => wait(held, FailureClass::RetryNow, "the submit was never accepted".to_owned(), context),
    }
}

/// The change that follows a status request, unless the statement finished ([`finished`] handles that) or is still running: then `None`.
/// [`StatementStatus::Forgotten`] is passed here only if there is no ledger table in the warehouse to ask.
pub fn after_status(
    held: Held,
    pendings: &[PendingLoad],
    status: StatementStatus,
    context: &Context,
) -> Option<Change> {
    match status {
        StatementStatus::Running | StatementStatus::Finished(_) => None,
        StatementStatus::Aborted { error } => {
            let reason = format!("aborted: {error}");
            Some(wait(held, FailureClass::RetryLater, reason, context).without_values())
        }
        StatementStatus::Failed { error } => {
            // The target may have changed since its columns were read.
            let slot = Slot { columns: None, ..held.slot.clone() };
            Some(failed(Held { slot: &slot, ..held }, pendings, error, context).without_values())
        }
        StatementStatus::Forgotten => Some(give_up(held, context)),
    }
}

/// The change that follows if the ledger table in the warehouse does not contain the load. Its row is written in the transaction of the
/// rows, so the load was not committed.
pub fn not_committed(held: Held, context: &Context) -> Change {
    let reason = "the ledger in the warehouse says it was not committed".to_owned();
    wait(held, FailureClass::RetryNow, reason, context)
}

/// It can no longer be known whether the rows were committed, so the load goes to quarantine.
pub fn outcome_unknown(held: Held, pendings: &[PendingLoad], context: &Context) -> Change {
    let error = "the Data API no longer knows the statement, so it is unknown whether the rows were committed";
    quarantine(held, pendings, FailureClass::OutcomeUnknown, error, context)
}

fn submitted(held: Held, prepared: &Prepared, statement_id: String, context: &Context) -> Change {
    let note = Note::Submitted { statement_id: statement_id.clone() };
    let step = Step::Submitted {
        prepared: prepared.clone(),
        statement_id,
        submitted_millis: context.now,
        cancelled_millis: None,
    };
    Change::step(held, held.load.at(step, context.holder, context.now), note)
}

fn not_submitted(held: Held, prepared: &Prepared, uncertain: bool, reason: String, context: &Context) -> Change {
    let refusals = prepared.refusals + 1;
    let not_before_millis = context.now + backoff_millis(&held.load.load_id, refusals, context);
    let prepared = Prepared { not_before_millis, refusals, uncertain, ..prepared.clone() };
    Change::step(
        held,
        held.load.at(Step::Prepared(prepared), context.holder, context.now),
        Note::NotSubmitted { reason },
    )
}

/// The change that follows if objects may not be looked at, for a reason that does not pass by itself. `refused` contains their ids.
///
/// If the load has other objects, these are separated from the refused ones. If not, the permission itself may be missing, so the table
/// waits and probes. After some probes the load gives way to others, again and again: it waits until someone acts, but the others do not.
pub fn unreadable(
    held: Held,
    pendings: &[PendingLoad],
    refused: &BTreeSet<String>,
    reason: String,
    context: &Context,
) -> Change {
    let pendings = &split::distinct(pendings);
    let n_objects = pendings.iter().map(|pending| pending.objects.len()).sum::<usize>();
    if refused.len() < n_objects {
        split::apart(held, pendings, refused, &reason, context)
    } else if held.load.failures < PROBES_MAX && !is_divided(pendings) {
        wait(held, FailureClass::OperatorsTurn, reason, context)
    } else {
        set_aside(held, pendings, reason, context, |times| times.max(1))
    }
}

fn is_divided(pendings: &[PendingLoad]) -> bool {
    pendings.iter().any(|pending| pending.group.is_some() || pending.set_aside > 0)
}

fn failed(held: Held, pendings: &[PendingLoad], error: String, context: &Context) -> Change {
    let alone = pendings.iter().map(|pending| pending.objects.len()).sum::<usize>() <= 1;
    match classify(&error) {
        class @ (FailureClass::RetryNow | FailureClass::RetryLater | FailureClass::OperatorsTurn) => {
            wait(held, class, error, context)
        }
        FailureClass::Refresh if held.load.refreshes < REFRESHES_MAX => {
            wait(held, FailureClass::Refresh, error, context)
        }
        // The objects existed at every look, so what is missing is something else.
        FailureClass::Refresh if is_missing(&error) => wait(held, FailureClass::OperatorsTurn, error, context),
        FailureClass::Unexplained if held.load.failures < PROBES_MAX && !is_divided(pendings) => {
            wait(held, FailureClass::Unexplained, error, context)
        }
        FailureClass::Unexplained if alone && pendings.iter().all(|pending| pending.set_aside < SET_ASIDE_MAX) => {
            set_aside(held, pendings, error, context, |times| times + 1)
        }
        class if alone => quarantine(held, pendings, class, &error, context),
        FailureClass::Refresh
        | FailureClass::BadInput
        | FailureClass::Unexplained
        | FailureClass::OutcomeUnknown
        | FailureClass::Deleted => {
            let named = named_objects(pendings, &error);
            if named.is_empty() {
                split::halves(held, pendings, &error, context)
            } else {
                split::apart(held, pendings, &named, &error, context)
            }
        }
    }
}

/// Ids of the objects whose full URL is in the text; empty if that is all of them.
fn named_objects(pendings: &[PendingLoad], error: &str) -> BTreeSet<String> {
    let objects: Vec<_> = pendings.iter().flat_map(|pending| &pending.objects).map(|waiting| &waiting.object).collect();
    let is_in = |text: &str| {
        error.match_indices(text).any(|(start, _)| {
            let after = error[start + text.len()..].chars().next();
            after.is_none_or(|c| c.is_whitespace() || "'\"`,;:)]".contains(c))
                || error[start + text.len()..].starts_with(". ")
        })
    };
    let named: BTreeSet<String> = objects
        .iter()
        .filter(|object| is_in(&format!("s3://{}/{}", object.bucket, object.key)))
        .map(|object| object.id())
        .collect();
    if named.len() == objects.len() { BTreeSet::new() } else { named }
}

/// Moves the load to the end of the backlog, so that the others do not wait for it.
fn set_aside(
    held: Held,
    pendings: &[PendingLoad],
    error: String,
    context: &Context,
    counted: impl Fn(u32) -> u32,
) -> Change {
    let mut actions = split::leave_slot(held, pendings);
    for joined in split::join(pendings, held.load, context.now) {
        let set_aside = counted(joined.set_aside);
        let not_before_millis = context.now + backoff_millis(&held.load.load_id, PROBES_MAX + set_aside, context);
        let item = PendingLoad { not_before_millis, set_aside, ..joined };
        actions.push(WriteAction::put(Item::Pending(item), Condition::Absent));
    }
    Change::new(held.load.table(), actions, Note::SetAside { reason: error })
}

/// The ledger entries are in the transaction that quarantines their objects: an entry written beside it could arrive after its object has
/// left quarantine. Of a large load, the first objects are quarantined, and the load keeps the slot and its step with the others.
fn quarantine(held: Held, pendings: &[PendingLoad], class: FailureClass, error: &str, context: &Context) -> Change {
    let (mut gone, mut kept, mut actions) = (Vec::new(), Vec::new(), Vec::new());
    let mut room = QUARANTINED_AT_ONCE;
    for pending in pendings {
        let (first, rest) = pending.objects.split_at(room.min(pending.objects.len()));
        room -= first.len();
        if rest.is_empty() {
            actions.push(WriteAction::Delete(pending.key.clone(), Condition::Always));
        } else {
            kept.push(pending.key.clone());
        }
        if !rest.is_empty() && !first.is_empty() {
            let rest = PendingLoad { objects: rest.to_vec(), ..pending.clone() };
            actions.push(WriteAction::put(Item::Pending(rest), Condition::Always));
        }
        gone.push(PendingLoad { objects: first.to_vec(), ..pending.clone() });
    }
    let is_whole = kept.is_empty();
    let rest = RunningLoad { pending_keys: kept, ..held.load.at(held.load.step.clone(), context.holder, context.now) };
    actions.push(put_slot(held, (!is_whole).then_some(rest)));
    let entries = change::entries(&gone, &LedgerMark::Quarantined, context);
    actions.extend(entries.into_iter().map(|entry| WriteAction::put(Item::File(entry), Condition::Always)));
    let objects: Vec<WaitingObject> = gone.into_iter().flat_map(|pending| pending.objects).collect();
    let note = Note::Quarantined { n_objects: objects.len(), class, reason: error.to_owned() };
    let items = quarantined(objects, held.load, class, error, context);
    actions.extend(items.into_iter().map(|item| WriteAction::put(Item::Failed(item), Condition::Always)));
    Change::new(held.load.table(), actions, note)
}

/// As few quarantine items as can hold these objects.
pub fn quarantined(
    objects: impl IntoIterator<Item = WaitingObject>,
    load: &RunningLoad,
    class: FailureClass,
    error: &str,
    context: &Context,
) -> Vec<Quarantined> {
    let groups = pack::groups(objects, &load.source.recorded.document, None);
    let item = |objects: Vec<WaitingObject>| Quarantined {
        key: SortKey::failed(
            context.now,
            &LoadId::of_objects(&load.table(), objects.iter().map(|waiting| &waiting.object)),
        ),
        objects,
        source: load.source.clone(),
        class,
        error: error.to_owned(),
        statement_id: load.statement_id().map(ToOwned::to_owned),
        remedy: class.remedy().to_owned(),
        is_misfit: false,
    };
    groups.into_iter().map(item).collect()
}

/// The rows are committed: the ledger entries are written, exactly this load's pending loads are removed, history is written, and the slot
/// is freed or taken by the next load, if one may start. `pendings` are those of this load.
pub fn finished(
    held: Held,
    pendings: &[PendingLoad],
    committed: Committed,
    next: Option<&Chosen>,
    context: &Context,
) -> Change {
    let load = held.load;
    let history = history(held, pendings, committed.rows, context);
    let mut actions: Vec<WriteAction> =
        load.pending_keys.iter().map(|key| WriteAction::Delete(key.clone(), Condition::Always)).collect();
    actions.push(WriteAction::put(Item::Loaded(history.clone()), Condition::Always));
    let checks: Vec<WriteAction> = next.iter().flat_map(|chosen| still_there(&chosen.pendings)).collect();
    let next = next.filter(|_| actions.len() + 1 + checks.len() <= TRANSACTION_ACTIONS_MAX);
    if next.is_some() {
        actions.extend(checks);
    }
    actions.push(put_slot(held, next.map(|chosen| chosen.load.clone())));
    let note = Note::Finished {
        n_objects: history.n_objects,
        size_bytes: history.size_bytes,
        committed,
        arrival_millis: history.arrival_millis,
        queue_wait_millis: history.queue_wait_millis,
        load_millis: history.load_millis,
        n_next: next.map_or(0, Chosen::n_objects),
    };
    let entries = change::entries(pendings, &LedgerMark::Loaded(load.load_id.clone()), context);
    Change::with_entries(load.table(), actions, entries, note)
}

fn history(held: Held, pendings: &[PendingLoad], rows: Option<i64>, context: &Context) -> History {
    let load = held.load;
    let prepared = load.prepared();
    let created = pendings.iter().filter_map(|pending| pending.created_millis).min();
    History {
        key: SortKey::loaded(context.now, &load.load_id),
        load_id: load.load_id.clone(),
        number: held.slot.number,
        statement_id: load.statement_id().unwrap_or_default().to_owned(),
        statement_name: prepared.map(|prepared| prepared.statement_name.clone()),
        manifest: prepared.map(|prepared| prepared.manifest.clone()).unwrap_or_default(),
        n_objects: prepared.map_or(0, |prepared| prepared.n_objects),
        size_bytes: prepared.map_or(0, |prepared| prepared.size_bytes),
        rows,
        // Clocks differ, so the difference can be negative.
        arrival_millis: created.map_or(0, |created| (load.recorded_millis - created).max(0)),
        queue_wait_millis: load.claimed_millis - load.recorded_millis,
        load_millis: context.now - load.claimed_millis,
        attempts: load.attempt,
        added: prepared.map(|prepared| prepared.fit.added.clone()).unwrap_or_default(),
        expires_at: (context.now + context.timing.history_millis) / 1000,
    }
}
