//! What follows from the service's answers: to a submit, to a look-up by name, to a question about a statement.
//!
//! An answer is done, certainly not done, or unknown. Unknown is repeated with the same identity, never guessed.

use std::collections::BTreeSet;
use std::time::Duration;

use super::decide::{Change, Context, Note};
use super::item::{History, Item, PendingLoad, Prepared, Quarantined, RunningLoad, SortKey, Step};
use super::split;
use super::write::{Condition, Transaction, WriteAction};
use crate::ids::LoadId;
use crate::outcome::{FailureClass, classify, is_missing};

/// Attempts of one claim before a failure that should have passed is treated as one that will not.
const QUICK_ATTEMPTS_MAX: u32 = 5;
/// Attempts of one claim that find a changed object, before it is treated as a bad one.
const REFRESHES_MAX: u32 = 3;
/// Probes of a load whose failure nobody can explain before it is divided, and of one whose objects may not be read before
/// others get their turn.
const PROBES_MAX: u32 = 6;
/// How often a single object is set aside for a failure that nobody can explain, before it is quarantined.
const SET_ASIDE_MAX: u32 = 6;

/// Answer to a submit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SubmitAnswer {
    /// The service accepted it, now or at an earlier submit with the same token.
    Done {
        /// Its id.
        statement_id: String,
    },
    /// Certainly not accepted by this call.
    Refused {
        /// What the refusal asks for.
        class: FailureClass,
        /// The service's words.
        reason: String,
        /// Whether no earlier call of this attempt can have been accepted either.
        first_call: bool,
    },
    /// No answer: it may have been accepted.
    Unknown {
        /// What is known.
        reason: String,
    },
}

/// How a statement is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StatementStatus {
    /// Not ended.
    Running,
    /// Committed.
    Finished {
        /// Rows that COPY loaded.
        rows: Option<i64>,
    },
    /// Rolled back.
    Failed {
        /// The warehouse's words, those of the failed SQL statement included, and what its error tables say.
        error: String,
    },
    /// Stopped and rolled back.
    Aborted {
        /// The service's words.
        error: String,
    },
    /// The service does not know the id any more.
    Forgotten,
}

/// What follows a submit.
pub fn after_submit(running: &RunningLoad, prepared: &Prepared, answer: SubmitAnswer, context: &Context) -> Change {
    match answer {
        SubmitAnswer::Done { statement_id } => submitted(running, prepared, statement_id, context),
        // Certainly no statement: the next attempt reads the configuration again.
        SubmitAnswer::Refused { class, reason, first_call: true } if !prepared.uncertain => {
            wait(running, class, reason, context)
        }
        SubmitAnswer::Refused { reason, first_call, .. } => {
            not_submitted(running, prepared, prepared.uncertain || !first_call, reason, context)
        }
        SubmitAnswer::Unknown { reason } => not_submitted(running, prepared, true, reason, context),
    }
}

/// What follows a look-up by name, long after the submit: found, or never accepted.
pub fn after_find(running: &RunningLoad, prepared: &Prepared, found: Option<String>, context: &Context) -> Change {
    match found {
        Some(statement_id) => submitted(running, prepared, statement_id, context),
        None => wait(running, FailureClass::RetryNow, "the submit was never accepted".to_owned(), context),
    }
}

/// What follows a question about the statement. `None` while it runs; [`StatementStatus::Forgotten`] is for
/// [`after_ledger`] or [`outcome_unknown`].
pub fn after_status(
    running: &RunningLoad,
    pendings: &[PendingLoad],
    status: StatementStatus,
    context: &Context,
) -> Option<Change> {
    match status {
        StatementStatus::Running => None,
        StatementStatus::Finished { rows } => Some(finished(running, rows, context)),
        StatementStatus::Aborted { error } => {
            Some(wait(running, FailureClass::RetryLater, format!("aborted: {error}"), context))
        }
        StatementStatus::Failed { error } => Some(failed(running, pendings, error, context)),
        StatementStatus::Forgotten => Some(outcome_unknown(running, pendings, context)),
    }
}

/// What follows the answer of the ledger in the warehouse: it was written in the same transaction as the rows.
pub fn after_ledger(running: &RunningLoad, committed: bool, context: &Context) -> Change {
    if committed {
        finished(running, None, context)
    } else {
        wait(
            running,
            FailureClass::RetryNow,
            "the ledger in the warehouse says it was not committed".to_owned(),
            context,
        )
    }
}

/// Nobody can know whether the rows were committed: quarantine, never a guess.
pub fn outcome_unknown(running: &RunningLoad, pendings: &[PendingLoad], context: &Context) -> Change {
    let error =
        "the Data API has forgotten the statement, so nobody can know whether the rows were committed".to_owned();
    quarantine(running, pendings, FailureClass::OutcomeUnknown, error, context)
}

fn submitted(running: &RunningLoad, prepared: &Prepared, statement_id: String, context: &Context) -> Change {
    let note = Note::Submitted { statement_id: statement_id.clone() };
    let step = Step::Submitted { prepared: prepared.clone(), statement_id, submitted_millis: context.now };
    put(running, running.next(context.holder, context.now, step), note)
}

fn not_submitted(
    running: &RunningLoad,
    prepared: &Prepared,
    uncertain: bool,
    reason: String,
    context: &Context,
) -> Change {
    let refusals = prepared.refusals + 1;
    let not_before_millis = context.now + backoff_millis(&running.load_id, refusals, context);
    let prepared = Prepared { not_before_millis, refusals, uncertain, ..prepared.clone() };
    put(running, running.next(context.holder, context.now, Step::Prepared(prepared)), Note::NotSubmitted { reason })
}

fn put(running: &RunningLoad, next: RunningLoad, note: Note) -> Change {
    let actions = vec![WriteAction::put(Item::Running(next), Condition::slot(running))];
    Change { transaction: Transaction::new(running.table(), actions), note }
}

/// The slot is kept; the next attempt starts after a growing wait. Also for an operator's turn: the attempt is the probe.
pub fn wait(running: &RunningLoad, class: FailureClass, reason: String, context: &Context) -> Change {
    let failures = running.failures + 1;
    let quick = matches!(class, FailureClass::RetryNow | FailureClass::Refresh) && failures <= QUICK_ATTEMPTS_MAX;
    let delay = if quick {
        backoff_millis(&running.load_id, 1, context).min(1000)
    } else {
        backoff_millis(&running.load_id, failures, context)
    };
    let step = Step::Waiting { not_before_millis: context.now + delay, class, reason: reason.clone() };
    let refreshes = running.refreshes + u32::from(class == FailureClass::Refresh);
    let next = RunningLoad { failures, refreshes, ..running.next(context.holder, context.now, step) };
    put(running, next, Note::Failed { class, reason })
}

/// What follows when objects may not be looked at, for a reason that does not pass by itself. `refused`: their ids.
///
/// Where others of the load may, these are parted from them. Where none may, the permission itself may be missing: the table waits and
/// probes. After some probes the load makes room for others, again and again: it waits until somebody acts, they do not.
pub fn unreadable(
    running: &RunningLoad,
    pendings: &[PendingLoad],
    refused: &BTreeSet<String>,
    reason: String,
    context: &Context,
) -> Change {
    let n_objects = pendings.iter().map(|pending| pending.objects.len()).sum::<usize>();
    if refused.len() < n_objects {
        split::apart(running, pendings, refused, &reason, context)
    } else if running.failures < PROBES_MAX && !is_divided(pendings) {
        wait(running, FailureClass::OperatorsTurn, reason, context)
    } else {
        set_aside(running, pendings, reason, context, |times| times.max(1))
    }
}

fn is_divided(pendings: &[PendingLoad]) -> bool {
    pendings.iter().any(|pending| pending.group.is_some() || pending.set_aside > 0)
}

fn failed(running: &RunningLoad, pendings: &[PendingLoad], error: String, context: &Context) -> Change {
    let alone = pendings.iter().map(|pending| pending.objects.len()).sum::<usize>() <= 1;
    match classify(&error) {
        class @ (FailureClass::RetryNow | FailureClass::RetryLater | FailureClass::OperatorsTurn) => {
            wait(running, class, error, context)
        }
        FailureClass::Refresh if running.refreshes < REFRESHES_MAX => {
            wait(running, FailureClass::Refresh, error, context)
        }
        // The objects were there, again and again: what is missing is none of them.
        FailureClass::Refresh if is_missing(&error) => wait(running, FailureClass::OperatorsTurn, error, context),
        FailureClass::Unexplained if running.failures < PROBES_MAX && !is_divided(pendings) => {
            wait(running, FailureClass::Unexplained, error, context)
        }
        FailureClass::Unexplained if alone && pendings.iter().all(|pending| pending.set_aside < SET_ASIDE_MAX) => {
            set_aside(running, pendings, error, context, |times| times + 1)
        }
        class if alone => quarantine(running, pendings, class, error, context),
        _ => {
            let named = named_objects(pendings, &error);
            if named.is_empty() {
                split::halves(running, pendings, &error, context)
            } else {
                split::apart(running, pendings, &named, &error, context)
            }
        }
    }
}

/// The objects whose full URL or key stands in the text; none when that is all of them.
fn named_objects(pendings: &[PendingLoad], error: &str) -> BTreeSet<String> {
    let objects: Vec<_> = pendings.iter().flat_map(|pending| &pending.objects).map(|waiting| &waiting.object).collect();
    let stands = |text: &str| {
        error.match_indices(text).any(|(start, _)| {
            let after = error[start + text.len()..].chars().next();
            after.is_none_or(|c| c.is_whitespace() || "'\"`,;:)]".contains(c))
                || error[start + text.len()..].starts_with(". ")
        })
    };
    let named: BTreeSet<String> = objects
        .iter()
        .filter(|object| stands(&format!("s3://{}/{}", object.bucket, object.key)))
        .map(|object| object.id())
        .collect();
    if named.len() == objects.len() { BTreeSet::new() } else { named }
}

/// Back to the end of the backlog: whatever it is, the others shall not wait for it.
fn set_aside(
    running: &RunningLoad,
    pendings: &[PendingLoad],
    error: String,
    context: &Context,
    counted: impl Fn(u32) -> u32,
) -> Change {
    let mut actions = split::leave_slot(running, pendings);
    for pending in pendings {
        let set_aside = counted(pending.set_aside);
        let not_before_millis = context.now + backoff_millis(&running.load_id, PROBES_MAX + set_aside, context);
        let item = split::again(pending, pending.objects.clone(), running, not_before_millis);
        let item = PendingLoad { not_before_millis, set_aside, ..item };
        actions.push(WriteAction::put(Item::Pending(item), Condition::Absent));
    }
    Change { transaction: Transaction::new(running.table(), actions), note: Note::SetAside { reason: error } }
}

fn quarantine(
    running: &RunningLoad,
    pendings: &[PendingLoad],
    class: FailureClass,
    error: String,
    context: &Context,
) -> Change {
    let mut actions = split::leave_slot(running, pendings);
    for pending in pendings {
        let id = LoadId::of_objects(&running.table(), pending.objects.iter().map(|waiting| &waiting.object));
        let item = Quarantined {
            key: SortKey::failed(context.now, &id),
            objects: pending.objects.clone(),
            source: pending.source.clone(),
            class,
            error: error.clone(),
            statement_id: running.statement_id().map(ToOwned::to_owned),
            remedy: class.remedy().to_owned(),
        };
        actions.push(WriteAction::put(Item::Failed(item), Condition::Always));
    }
    let n_objects = pendings.iter().map(|pending| pending.objects.len()).sum();
    let note = Note::Quarantined { n_objects, class, reason: error };
    Change { transaction: Transaction::new(running.table(), actions), note }
}

/// The slot is freed, exactly the pending loads of this load are removed, history is written: one transaction.
fn finished(running: &RunningLoad, rows: Option<i64>, context: &Context) -> Change {
    let (prepared, statement_id) = match &running.step {
        Step::Submitted { prepared, statement_id, .. } => (Some(prepared), statement_id.as_str()),
        Step::Prepared(prepared) => (Some(prepared), ""),
        Step::Claimed | Step::Waiting { .. } => (None, ""),
    };
    let history = History {
        key: SortKey::loaded(context.now, &running.load_id),
        load_id: running.load_id.clone(),
        statement_id: statement_id.to_owned(),
        statement_name: prepared.map(|prepared| prepared.statement_name.clone()).unwrap_or_default(),
        manifest: prepared.map(|prepared| prepared.manifest.clone()).unwrap_or_default(),
        n_objects: prepared.map_or(0, |prepared| prepared.n_objects),
        size_bytes: prepared.map_or(0, |prepared| prepared.size_bytes),
        rows,
        queue_wait_millis: running.claimed_millis - running.recorded_millis,
        load_millis: context.now - running.claimed_millis,
        attempts: running.attempt,
        expires_at: (context.now + context.timing.history_millis) / 1000,
    };
    let note = Note::Finished {
        n_objects: history.n_objects,
        rows,
        queue_wait_millis: history.queue_wait_millis,
        load_millis: history.load_millis,
    };
    let removed = running.pending_keys.iter().map(|key| WriteAction::Delete(key.clone(), Condition::Always));
    let mut actions = vec![WriteAction::Delete(SortKey::running(), Condition::slot(running))];
    actions.extend(removed);
    actions.push(WriteAction::put(Item::Loaded(history), Condition::Always));
    Change { transaction: Transaction::new(running.table(), actions), note }
}

/// Doubles with every failure up to the cap; the jitter comes from the load id, so it needs no chance.
fn backoff_millis(load_id: &LoadId, failures: u32, context: &Context) -> i64 {
    let doubled = Duration::from_millis(context.timing.backoff_base_millis.unsigned_abs())
        .saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    let full = i64::try_from(doubled.as_millis()).unwrap_or(i64::MAX).min(context.timing.backoff_cap_millis);
    let seed =
        load_id.0.bytes().fold(u64::from(failures), |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let percent = 50 + i64::try_from(seed % 51).unwrap_or(0);
    full * percent / 100
}
