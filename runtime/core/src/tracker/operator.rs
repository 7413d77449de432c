//! What a person may change: retry or dismiss quarantined objects, resume or pause a table, cancel a statement, make the ledger forget.
//! Each change is one transaction, so it is safe while loads run, and can include a record of who made it and why.

use std::collections::{BTreeMap, BTreeSet};

use super::cancel::cancelled;
use super::change::put_slot;
use super::item::{Audit, Item, LedgerEntry, Millis, PendingLoad, Quarantined, SortKey};
use super::slot::{Held, Pause, Prepared, RunningLoad, Slot, Step};
use super::view::TableState;
use super::write::{Condition, Transaction, WriteAction};
use crate::ids::{DbTable, LoadId, ObjectVersion, act_id};
use crate::limits::TRANSACTION_ACTIONS_MAX;
use crate::outcome::FailureClass;

/// Maximum number of ledger entries that one transaction removes. It also checks the slot and writes the audit record.
pub const FORGOTTEN_MAX: usize = TRANSACTION_ACTIONS_MAX - 2;

/// Returns quarantined objects to the backlog, as a load of their own. Takes effect at most once, because the same transaction removes the
/// quarantine item.
pub fn retry(quarantined: &Quarantined, now: Millis) -> Transaction {
    let table = quarantined.source.recorded.db_table();
    let id = LoadId::of_objects(&table, quarantined.objects.iter().map(|waiting| &waiting.object));
    let pending = PendingLoad {
        key: quarantined.source.pending_key(now, &id),
        objects: quarantined.objects.clone(),
        source: quarantined.source.clone(),
        recorded_millis: now,
        created_millis: None,
        group: Some(format!("retry-{id}")),
        not_before_millis: 0,
        set_aside: 0,
        // Deleted objects are not in the ledger. If they were uploaded again, their own notification may have loaded them since.
        entered: quarantined.class != FailureClass::Deleted,
        recorded_by: None,
    };
    let actions = vec![
        WriteAction::Delete(quarantined.key.clone(), Condition::Present),
        WriteAction::put(Item::Pending(pending), Condition::Absent),
    ];
    Transaction::new(table, actions)
}

/// Removes objects from quarantine without loading them. They stay in the ledger, so a repeated notification does not load them.
pub fn dismiss(quarantined: &Quarantined) -> Transaction {
    let gone = WriteAction::Delete(quarantined.key.clone(), Condition::Present);
    Transaction::new(quarantined.source.recorded.db_table(), vec![gone])
}

/// Asks for the running statement to be cancelled. The loader cancels it, and the statement's status shows how it ended. The attempt is
/// repeated after a wait; to prevent that, pause the table first. `None` if no statement is running.
pub fn cancel(slot: &Slot, holder: &str, now: Millis) -> Option<Transaction> {
    let load = slot.load.as_ref()?;
    let next = load.at(cancelled(&load.step, now)?, holder, now);
    Some(Transaction::new(load.table(), vec![put_slot(Held { slot, load }, Some(next))]))
}

/// Lets a table that waits after a failure try again at once. `None` if it is not waiting.
pub fn resume(slot: &Slot, holder: &str, now: Millis) -> Option<Transaction> {
    let load = slot.load.as_ref()?;
    let step = match &load.step {
        Step::Waiting { class, reason, .. } => {
            Step::Waiting { not_before_millis: now, class: *class, reason: reason.clone() }
        }
        Step::Prepared(prepared) => Step::Prepared(Prepared { not_before_millis: now, ..prepared.clone() }),
        Step::Claimed | Step::Submitted { .. } | Step::GivenUp { .. } => return None,
    };
    let next = RunningLoad { touched_millis: 0, ..load.at(step, holder, now) };
    Some(Transaction::new(load.table(), vec![put_slot(Held { slot, load }, Some(next))]))
}

/// Pauses a table: no load of it starts until [`unpause`]. A submitted load runs to its end, and files are still recorded. `None` if an
/// operator has already paused it. The write is refused if the slot has been written since it was read.
pub fn pause(table: &DbTable, slot: &Slot, pause: Pause) -> Option<Transaction> {
    let next = Slot { pause: Some(pause), ..slot.again() };
    slot.pause.is_none().then(|| rewrite(table, slot, next))
}

/// Ends a [`pause`]; `None` if no operator has paused the table.
pub fn unpause(table: &DbTable, slot: &Slot) -> Option<Transaction> {
    slot.pause.as_ref()?;
    Some(rewrite(table, slot, Slot { pause: None, ..slot.again() }))
}

fn rewrite(table: &DbTable, slot: &Slot, next: Slot) -> Transaction {
    Transaction::new(table.clone(), vec![WriteAction::put(Item::Slot(next), slot.condition())])
}

/// Why the ledger may not forget an object version now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InUse {
    /// It is waiting: it would be loaded when its turn comes.
    Waits,
    /// It belongs to the running load, which may be about to enter it.
    Runs,
    /// It is in quarantine, and quarantined objects are in the ledger.
    Quarantined,
}

/// Removes object versions from the ledger, so that they can be loaded again; this alone loads nothing. The state (the slot first, then the
/// whole backlog) and the quarantine must have been read before the entries. The transaction is refused if the slot has been written since,
/// so no load can have begun or ended. `entries` must have from one to [`FORGOTTEN_MAX`] elements.
///
/// An error lists the object versions that are in use.
pub fn forget(
    table: &DbTable,
    state: &TableState,
    quarantine: &[Quarantined],
    entries: &[LedgerEntry],
) -> Result<Transaction, BTreeMap<ObjectVersion, InUse>> {
    let in_use = in_use(state, quarantine);
    let wanted = entries.iter().map(|entry| &entry.object);
    let refused: BTreeMap<ObjectVersion, InUse> =
        wanted.filter_map(|object| Some((object.clone(), *in_use.get(object)?))).collect();
    if !refused.is_empty() {
        return Err(refused);
    }
    let mut actions = vec![WriteAction::Check(SortKey::slot(), state.slot.condition())];
    actions.extend(entries.iter().map(|entry| WriteAction::Delete(SortKey::file(&entry.object), Condition::Always)));
    Ok(Transaction::new(table.clone(), actions))
}

fn in_use<'a>(state: &'a TableState, quarantine: &'a [Quarantined]) -> BTreeMap<&'a ObjectVersion, InUse> {
    let running: BTreeSet<&SortKey> = state.slot.load.iter().flat_map(|load| &load.pending_keys).collect();
    let failed = quarantine.iter().flat_map(|failed| &failed.objects).map(|it| (&it.object, InUse::Quarantined));
    let waiting = state.backlog.iter().flat_map(|pending| {
        let use_of = if running.contains(&pending.key) { InUse::Runs } else { InUse::Waits };
        pending.objects.iter().map(move |it| (&it.object, use_of))
    });
    failed.chain(waiting).collect()
}

/// Who does what to a table, when and why: the content of an audit record.
#[derive(Clone, Debug)]
pub struct Act<'a> {
    /// Who does it.
    pub by: &'a str,
    /// The command.
    pub command: String,
    /// The objects or setting concerned, for people.
    pub what: String,
    /// The reason, if given.
    pub why: Option<String>,
    /// When it happens.
    pub now: Millis,
    /// How long the record is kept, in milliseconds.
    pub keep_millis: i64,
}

/// The same transaction with its audit record. Both are written, or neither.
pub fn audited(transaction: Transaction, act: &Act) -> Transaction {
    let Transaction { table, mut actions } = transaction;
    let record = record(act, actions.iter().map(|action| action.key().0));
    actions.push(WriteAction::put(Item::Audit(record), Condition::Absent));
    Transaction::new(table, actions)
}

/// A transaction that only records something done outside the tracker.
pub fn noted(table: &DbTable, act: &Act) -> Transaction {
    let record = record(act, std::iter::empty());
    Transaction::new(table.clone(), vec![WriteAction::put(Item::Audit(record), Condition::Absent)])
}

fn record(act: &Act, keys: impl Iterator<Item = String>) -> Audit {
    let id = act_id([act.by.to_owned(), act.command.clone(), act.what.clone()].into_iter().chain(keys));
    Audit {
        key: SortKey::audit(act.now, &id),
        by: act.by.to_owned(),
        command: act.command.clone(),
        what: act.what.clone(),
        why: act.why.clone(),
        expires_at: (act.now + act.keep_millis) / 1000,
    }
}
