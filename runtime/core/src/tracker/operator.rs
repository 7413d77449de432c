//! What a person may ask of the tracker: quarantined objects once more or no more, a waiting table at once, a table to stand still, the
//! ledger to forget. Each is one transaction, so that it is safe while loads run, and each can hold a record of who asked and why.

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

/// Ledger entries that one transaction forgets at most: the check of the slot and the audit record are part of it.
pub const FORGOTTEN_MAX: usize = TRANSACTION_ACTIONS_MAX - 2;

/// Sends quarantined objects back to the backlog, alone. Done at most once: the quarantine item goes in the same transaction.
pub fn retry(quarantined: &Quarantined, now: Millis) -> Transaction {
    let table = quarantined.source.recorded.db_table();
    let id = LoadId::of_objects(&table, quarantined.objects.iter().map(|waiting| &waiting.object));
    let pending = PendingLoad {
        key: quarantined.source.pending_key(now, &id),
        objects: quarantined.objects.clone(),
        source: quarantined.source.clone(),
        recorded_millis: now,
        group: Some(format!("retry-{id}")),
        not_before_millis: 0,
        set_aside: 0,
        // Deleted objects are not in the ledger: uploaded again, they may have been loaded by their own notification since.
        entered: quarantined.class != FailureClass::Deleted,
    };
    let actions = vec![
        WriteAction::Delete(quarantined.key.clone(), Condition::Present),
        WriteAction::put(Item::Pending(pending), Condition::Absent),
    ];
    Transaction::new(table, actions)
}

/// Takes objects out of quarantine for good: somebody saw to their rows. They stay in the ledger and are not loaded again.
pub fn dismiss(quarantined: &Quarantined) -> Transaction {
    let gone = WriteAction::Delete(quarantined.key.clone(), Condition::Present);
    Transaction::new(quarantined.source.recorded.db_table(), vec![gone])
}

/// Cancels the statement that runs: the loader does it, and its status decides how it ended. The attempt is repeated after a wait, so
/// pause the table first if it must not be. `None` when no statement runs.
pub fn cancel(slot: &Slot, holder: &str, now: Millis) -> Option<Transaction> {
    let load = slot.load.as_ref()?;
    let next = load.at(cancelled(&load.step, now)?, holder, now);
    Some(Transaction::new(load.table(), vec![put_slot(Held { slot, load }, Some(next))]))
}

/// Lets a table that waits after a failure try again at once. `None` when it does not wait.
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

/// Lets a table stand still: no load of it starts until [`unpause`]. One that is submitted ends, files are recorded. `None` when an
/// operator has paused it already. Refused when the slot was written since it was read.
pub fn pause(table: &DbTable, slot: &Slot, pause: Pause) -> Option<Transaction> {
    let next = Slot { pause: Some(pause), ..slot.again() };
    slot.pause.is_none().then(|| rewrite(table, slot, next))
}

/// Lets a table go on that [`pause`] has stopped; `None` where no operator has.
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
    /// It waits: it would be loaded when its turn comes.
    Waits,
    /// It is part of the running load, which may be about to enter it.
    Runs,
    /// It is in quarantine, and what is in quarantine is in the ledger.
    Quarantined,
}

/// Makes the ledger forget object versions, so that the same versions may be loaded again; nothing is loaded by this alone. The state, with
/// the whole backlog, and the quarantine must have been read before the entries, the slot first: the transaction is refused when the slot
/// was written since, so no load can have begun or ended. At most [`FORGOTTEN_MAX`] entries, at least one.
///
/// An error names what is in use.
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

/// Who does what to a table, when and why: what an audit record says.
#[derive(Clone, Debug)]
pub struct Act<'a> {
    /// Who.
    pub by: &'a str,
    /// The command.
    pub command: String,
    /// What it is done to, for people.
    pub what: String,
    /// Why, where that was said.
    pub why: Option<String>,
    /// When.
    pub now: Millis,
    /// How long the record is kept, in milliseconds.
    pub keep_millis: i64,
}

/// The same transaction with its audit record: both are written, or neither.
pub fn audited(transaction: Transaction, act: &Act) -> Transaction {
    let Transaction { table, mut actions } = transaction;
    let record = record(act, actions.iter().map(|action| action.key().0));
    actions.push(WriteAction::put(Item::Audit(record), Condition::Absent));
    Transaction::new(table, actions)
}

/// Only the record, of something that was done outside the tracker.
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
