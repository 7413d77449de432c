//! What a person may ask of the tracker: quarantined objects once more or no more, a waiting table at once.

use super::item::{Item, LedgerEntry, Millis, PendingLoad, Quarantined, RunningLoad, SortKey, Step};
use super::write::{Condition, Transaction, WriteAction};
use crate::ids::LoadId;
use crate::outcome::FailureClass;

/// Sends quarantined objects back to the backlog, alone. Done at most once: the quarantine item goes in the same transaction.
pub fn retry(quarantined: &Quarantined, ledger_millis: i64, now: Millis) -> Transaction {
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
    };
    let mut actions = vec![
        WriteAction::Delete(quarantined.key.clone(), Condition::Present),
        WriteAction::put(Item::Pending(pending), Condition::Absent),
    ];
    if quarantined.class == FailureClass::Deleted {
        // These left the ledger: uploaded again, they may have been loaded by their own notification since.
        let expires_at = (now + ledger_millis) / 1000;
        actions.extend(quarantined.objects.iter().map(|waiting| {
            let entry = LedgerEntry { object: waiting.object.clone(), accepted_millis: now, expires_at };
            WriteAction::put(Item::File(entry), Condition::Absent)
        }));
    }
    Transaction::new(table, actions)
}

/// Takes objects out of quarantine for good: somebody saw to their rows. They stay in the ledger and are not loaded again.
pub fn dismiss(quarantined: &Quarantined) -> Transaction {
    let gone = WriteAction::Delete(quarantined.key.clone(), Condition::Present);
    Transaction::new(quarantined.source.recorded.db_table(), vec![gone])
}

/// Lets a table that waits after a failure try again at once. `None` when it does not wait.
pub fn resume(running: &RunningLoad, holder: &str, now: Millis) -> Option<Transaction> {
    let step = match &running.step {
        Step::Waiting { class, reason, .. } => {
            Step::Waiting { not_before_millis: now, class: *class, reason: reason.clone() }
        }
        Step::Prepared(prepared) => {
            Step::Prepared(super::item::Prepared { not_before_millis: now, ..prepared.clone() })
        }
        Step::Claimed | Step::Submitted { .. } => return None,
    };
    let next = RunningLoad { touched_millis: 0, ..running.next(holder, now, step) };
    Some(Transaction::new(running.table(), vec![WriteAction::put(Item::Running(next), Condition::slot(running))]))
}
