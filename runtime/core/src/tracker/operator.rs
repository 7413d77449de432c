//! What a person may ask of the tracker: quarantined objects once more or no more, a waiting table at once.

use super::change::put_slot;
use super::item::{Item, Millis, PendingLoad, Quarantined, SortKey};
use super::settle;
use super::slot::{Held, Prepared, RunningLoad, Slot, Step};
use super::write::{Condition, Transaction, WriteAction};
use crate::ids::LoadId;
use crate::outcome::FailureClass;

/// Sends quarantined objects back to the backlog, alone. Done at most once: the quarantine item goes in the same transaction.
pub fn retry(quarantined: &Quarantined, now: Millis) -> Transaction {
    let table = quarantined.source.recorded.db_table();
    let id = LoadId::of_objects(&table, quarantined.objects.iter().map(|waiting| &waiting.object));
    let pending = PendingLoad {
        key: SortKey::pending(now, &id),
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
    let next = load.at(settle::cancelled(&load.step, now)?, holder, now);
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
