//! How facts enter: objects become pending loads, each with its ledger entries, in one transaction.
//!
//! Once the transaction is done, every object of it is in the ledger and in a pending load. A refused condition names the
//! objects that were accepted before: they are left out and the rest is tried again.

use super::item::{ConfigSource, Item, LedgerEntry, Millis, PendingLoad, SortKey, WaitingObject};
use super::write::{Condition, Transaction, WriteAction};
use crate::config::LoadLimits;
use crate::ids::LoadId;
use crate::limits::PENDING_OBJECTS_MAX;

/// Groups of objects that become one pending load each: small enough for a transaction and for the load's own limits.
pub fn chunks(objects: &[WaitingObject], limits: LoadLimits) -> Vec<Vec<WaitingObject>> {
    let files_max = usize::try_from(limits.files_max).unwrap_or(usize::MAX).min(PENDING_OBJECTS_MAX);
    let mut chunks: Vec<Vec<WaitingObject>> = Vec::new();
    let mut bytes = 0_u64;
    for waiting in objects {
        bytes = bytes.saturating_add(waiting.size_bytes);
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < files_max && bytes <= limits.bytes_max => chunk.push(waiting.clone()),
            _ => {
                bytes = waiting.size_bytes;
                chunks.push(vec![waiting.clone()]);
            }
        }
    }
    chunks
}

/// The write that records a chunk. The ledger entry of object `i` is action `i`; the pending load is the last action.
pub fn record(chunk: &[WaitingObject], source: &ConfigSource, ledger_millis: i64, now: Millis) -> Transaction {
    let table = source.recorded.db_table();
    let expires_at = (now + ledger_millis) / 1000;
    let mut actions: Vec<WriteAction> = chunk
        .iter()
        .map(|waiting| {
            let entry = LedgerEntry { object: waiting.object.clone(), accepted_millis: now, expires_at };
            WriteAction::put(Item::File(entry), Condition::AbsentOrExpired(now))
        })
        .collect();
    let pending = PendingLoad {
        key: SortKey::pending(now, &LoadId::of_objects(&table, chunk.iter().map(|waiting| &waiting.object))),
        objects: chunk.to_vec(),
        source: source.clone(),
        recorded_millis: now,
        group: None,
        not_before_millis: 0,
        set_aside: 0,
    };
    actions.push(WriteAction::put(Item::Pending(pending), Condition::Absent));
    Transaction::new(table, actions)
}

/// What remains of a chunk when these actions of [`record`] were refused: the objects that nobody accepted before.
pub fn without(chunk: &[WaitingObject], refused: &[usize]) -> Vec<WaitingObject> {
    chunk.iter().enumerate().filter(|(index, _)| !refused.contains(index)).map(|(_, waiting)| waiting.clone()).collect()
}
