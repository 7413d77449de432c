//! The heart: from what the tracker says about one table to the one next action. Total, pure, no memory.
//!
//! Crash windows are no special cases here: whoever comes next reads the same state and decides the same.
//! What follows from what an action saw is decided in `prepare` (objects) and `settle` (submits and statements).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::item::{ConfigSource, Item, Millis, PendingLoad, Prepared, RunningLoad, Step};
use super::write::{Condition, Transaction, WriteAction};
use crate::config::LoadConfig;
use crate::ids::{DbTable, LoadId};
use crate::limits::{
    CLIENT_TOKEN_MILLIS, INVOCATION_MILLIS_MAX, LOAD_METADATA_BYTES_MAX, LOAD_PENDINGS_MAX, STATEMENT_MILLIS,
};
use crate::outcome::FailureClass;
use crate::settings::Timing;

/// Clocks of two environments may differ by minutes: what the service remembers for hours is believed for less.
/// The last submit that was decided before this has arrived, or never will, when the service forgets the token.
const TOKEN_BELIEVED_MILLIS: i64 = CLIENT_TOKEN_MILLIS - 2 * INVOCATION_MILLIS_MAX;
const STATEMENT_BELIEVED_MILLIS: i64 = STATEMENT_MILLIS - 60 * 60_000;

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
}

/// What the tracker says about one table.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The slot.
    pub running: Option<RunningLoad>,
    /// The oldest waiting loads, oldest first; read only while the slot is free.
    pub backlog: Vec<PendingLoad>,
    /// The queue configurations that the backlog or the running load names, as they are now. Missing: not readable.
    pub configs: BTreeMap<String, Arc<LoadConfig>>,
}

/// Why there is nothing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Nothing waits.
    Empty,
    /// Everything that waits may not start yet; this is when.
    NotBefore(Millis),
    /// The configuration says so.
    Paused,
    /// Another invocation is at it.
    Held,
    /// The statement runs.
    StatementRuns,
}

/// The one next thing to do.
#[derive(Clone, Debug)]
pub enum Action {
    /// Nothing, for this reason.
    Idle(Idle),
    /// Apply this write, then look again.
    Write(Change),
    /// Look at the objects (and the target's columns), then ask `prepare`.
    Look,
    /// Submit the prepared statement batch, then ask `settle::after_submit`.
    Submit(Prepared),
    /// Ask the Data API for a statement with this name, then ask `settle::after_find`.
    Find(Prepared),
    /// Ask the Data API how the statement is, then ask `settle::after_status`.
    Ask {
        /// The statement.
        statement_id: String,
    },
    /// Nobody can know any more whether the rows were committed: ask `settle::outcome_unknown`.
    GiveUp,
    /// Ask the ledger in the warehouse whether this load was committed, then ask `settle::after_ledger`.
    AskLedger,
}

/// A write, and what it means once it succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The write.
    pub transaction: Transaction,
    /// What happened, for the log and the metrics.
    pub note: Note,
}

/// What happened, in the words of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The slot was taken.
    Claimed {
        /// Objects chosen.
        n_objects: usize,
    },
    /// Another attempt begins.
    Again {
        /// Its number.
        attempt: u32,
    },
    /// The manifest is written.
    Prepared {
        /// Objects listed.
        n_objects: u64,
        /// Objects gone since, now in quarantine.
        n_deleted: usize,
    },
    /// Nothing was left to load.
    Emptied {
        /// Objects gone since, now in quarantine.
        n_deleted: usize,
    },
    /// The statement id is known.
    Submitted {
        /// It.
        statement_id: String,
    },
    /// Another invocation prepared the load and went quiet; this one submits it.
    TakenOver {
        /// The other.
        from: String,
    },
    /// A submit was refused or not answered.
    NotSubmitted {
        /// Why.
        reason: String,
    },
    /// The attempt failed and will be repeated.
    Failed {
        /// What it asks for.
        class: FailureClass,
        /// Why.
        reason: String,
    },
    /// The load was divided.
    Split {
        /// Objects on either side.
        parts: [usize; 2],
        /// Why.
        reason: String,
    },
    /// One object was set aside for a failure that nobody could explain.
    SetAside {
        /// Why.
        reason: String,
    },
    /// Objects went to quarantine.
    Quarantined {
        /// How many.
        n_objects: usize,
        /// What it asks for.
        class: FailureClass,
        /// Why.
        reason: String,
    },
    /// The rows are committed.
    Finished {
        /// Objects loaded.
        n_objects: u64,
        /// Rows, where the service says so.
        rows: Option<i64>,
        /// From the first object recorded to the claim.
        queue_wait_millis: i64,
        /// From the claim to the settlement.
        load_millis: i64,
    },
}

/// The next action for a table.
pub fn decide(table: &DbTable, view: &View, context: &Context) -> Action {
    let Some(running) = &view.running else { return claim(table, view, context) };
    let others =
        running.holder != context.holder && running.touched_millis + context.timing.patience_millis > context.now;
    match &running.step {
        Step::Claimed | Step::Prepared(_) if others => Action::Idle(Idle::Held),
        // No statement is on its way: a paused table stands still.
        Step::Claimed | Step::Waiting { .. } if current_config(&running.source, &view.configs).paused => {
            Action::Idle(Idle::Paused)
        }
        Step::Claimed => Action::Look,
        Step::Waiting { not_before_millis, .. } if *not_before_millis > context.now => {
            Action::Idle(Idle::NotBefore(*not_before_millis))
        }
        Step::Waiting { .. } => Action::Write(again(running, context)),
        Step::Prepared(prepared) => with_prepared(running, prepared, context),
        Step::Submitted { statement_id, submitted_millis, .. } => {
            let hinted = context.ended == Some(statement_id);
            if hinted || submitted_millis + context.timing.poll_millis <= context.now {
                Action::Ask { statement_id: statement_id.clone() }
            } else {
                Action::Idle(Idle::StatementRuns)
            }
        }
    }
}

/// A failed attempt is followed by the next: objects are looked at again, the configuration is read again.
fn again(running: &RunningLoad, context: &Context) -> Change {
    let next = RunningLoad { attempt: running.attempt + 1, ..running.next(context.holder, context.now, Step::Claimed) };
    let note = Note::Again { attempt: next.attempt };
    let put = WriteAction::put(Item::Running(next), Condition::slot(running));
    Change { transaction: Transaction::new(running.table(), vec![put]), note }
}

/// The service answers the same token with the same statement for hours. Then nobody submits, until no submit can be on its
/// way any more: only then "there is no such statement" can be believed, so only then the name is looked up. Then nobody can know.
fn with_prepared(running: &RunningLoad, prepared: &Prepared, context: &Context) -> Action {
    let age_millis = context.now - prepared.prepared_millis;
    if age_millis >= STATEMENT_BELIEVED_MILLIS {
        return match running.source.recorded.ledger_table {
            Some(_) => Action::AskLedger,
            None => Action::GiveUp,
        };
    }
    if prepared.not_before_millis > context.now {
        return Action::Idle(Idle::NotBefore(prepared.not_before_millis));
    }
    if (TOKEN_BELIEVED_MILLIS..CLIENT_TOKEN_MILLIS).contains(&age_millis) {
        return Action::Idle(Idle::NotBefore(prepared.prepared_millis + CLIENT_TOKEN_MILLIS));
    }
    if running.holder != context.holder {
        return Action::Write(take_over(running, prepared, context));
    }
    if age_millis >= TOKEN_BELIEVED_MILLIS { Action::Find(prepared.clone()) } else { Action::Submit(prepared.clone()) }
}

/// A submit cannot be fenced, so it is announced: who submits what another prepared becomes the holder first. Without this,
/// one of two could be refused and begin the next attempt while the other's submit is still on its way.
/// From then on a statement may exist, because the other may have submitted before.
fn take_over(running: &RunningLoad, prepared: &Prepared, context: &Context) -> Change {
    let prepared = Prepared { uncertain: true, ..prepared.clone() };
    let next = running.next(context.holder, context.now, Step::Prepared(prepared));
    let note = Note::TakenOver { from: running.holder.clone() };
    let put = WriteAction::put(Item::Running(next), Condition::slot(running));
    Change { transaction: Transaction::new(running.table(), vec![put]), note }
}

/// The configuration that holds for a load now.
pub fn current_config<'a>(
    source: &'a ConfigSource,
    configs: &'a BTreeMap<String, Arc<LoadConfig>>,
) -> &'a Arc<LoadConfig> {
    source
        .queue
        .as_ref()
        .and_then(|queue| configs.get(queue))
        .filter(|fresh| fresh.target == source.recorded.target)
        .unwrap_or(&source.recorded)
}

fn claim(table: &DbTable, view: &View, context: &Context) -> Action {
    let config = |pending: &PendingLoad| current_config(&pending.source, &view.configs).clone();
    let startable: Vec<&PendingLoad> = view.backlog.iter().filter(|pending| !config(pending).paused).collect();
    if view.backlog.is_empty() {
        return Action::Idle(Idle::Empty);
    }
    let Some(soonest) = startable.iter().map(|pending| pending.not_before_millis).min() else {
        return Action::Idle(Idle::Paused);
    };
    let Some(head) = startable.iter().find(|pending| pending.not_before_millis <= context.now) else {
        return Action::Idle(Idle::NotBefore(soonest));
    };
    let head_config = config(head);
    let alike = |pending: &&&PendingLoad| {
        pending.not_before_millis <= context.now && pending.group == head.group && config(pending) == head_config
    };
    let (chosen, full) = within_limits(&head_config, startable.iter().filter(alike).copied());
    let ripe_millis = head.recorded_millis + i64::from(head_config.limits.age_seconds) * 1000;
    if head.group.is_none() && !full && ripe_millis > context.now {
        return Action::Idle(Idle::NotBefore(ripe_millis));
    }
    Action::Write(take(table, &chosen, head_config, context))
}

/// The oldest loads that fit one load; always at least the first. Says whether a bound was reached.
fn within_limits<'a>(
    config: &LoadConfig,
    loads: impl Iterator<Item = &'a PendingLoad>,
) -> (Vec<&'a PendingLoad>, bool) {
    let (mut files, mut bytes, mut metadata) = (0_u64, 0_u64, 0_usize);
    let mut chosen: Vec<&PendingLoad> = Vec::new();
    for pending in loads {
        files += pending.objects.len() as u64;
        bytes = bytes.saturating_add(pending.size_bytes());
        metadata += pending.metadata_bytes();
        let fits = files <= config.limits.files_max
            && bytes <= config.limits.bytes_max
            && metadata <= LOAD_METADATA_BYTES_MAX
            && chosen.len() < LOAD_PENDINGS_MAX;
        if !fits && !chosen.is_empty() {
            return (chosen, true);
        }
        chosen.push(pending);
    }
    let full = files >= config.limits.files_max || bytes >= config.limits.bytes_max;
    (chosen, full)
}

/// Takes the slot for exactly these loads. Each must still be there: a stale look at the backlog can claim nothing.
fn take(table: &DbTable, chosen: &[&PendingLoad], config: Arc<LoadConfig>, context: &Context) -> Change {
    let head = chosen[0];
    let running = RunningLoad {
        load_id: LoadId::of_pendings(table, chosen.iter().map(|pending| pending.key.0.as_str())),
        version: 1,
        holder: context.holder.to_owned(),
        touched_millis: context.now,
        claimed_millis: context.now,
        recorded_millis: chosen.iter().map(|pending| pending.recorded_millis).min().unwrap_or(context.now),
        attempt: 1,
        failures: 0,
        refreshes: 0,
        pending_keys: chosen.iter().map(|pending| pending.key.clone()).collect(),
        source: ConfigSource { queue: head.source.queue.clone(), recorded: config },
        step: Step::Claimed,
    };
    let checks = chosen.iter().map(|pending| WriteAction::Check(pending.key.clone(), Condition::Present));
    let note = Note::Claimed { n_objects: chosen.iter().map(|pending| pending.objects.len()).sum() };
    let put = WriteAction::put(Item::Running(running), Condition::Absent);
    Change { transaction: Transaction::new(table.clone(), std::iter::once(put).chain(checks).collect()), note }
}
