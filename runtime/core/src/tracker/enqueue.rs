//! Recording objects: they become pending loads, each with one unconditional put.
//!
//! The ledger is not read here. It is read later by the invocation that takes the slot, because only then can no other load change it. A
//! duplicate waits in the backlog and is dropped when its load is prepared.

use super::item::{ConfigSource, Item, Millis, PendingLoad};
use super::pack;
use super::write::{Condition, Transaction, WriteAction};
use crate::ids::{LoadId, WaitingObject};

/// The pending loads for these objects. Each is as large as an item and the limits of one load allow.
pub fn pendings(objects: Vec<WaitingObject>, source: &ConfigSource, now: Millis) -> Vec<PendingLoad> {
    let table = source.recorded.db_table();
    let groups = pack::groups(objects, &source.recorded.document, Some(source.recorded.limits));
    let pending = |objects: Vec<WaitingObject>| PendingLoad {
        key: source.pending_key(now, &LoadId::of_objects(&table, objects.iter().map(|waiting| &waiting.object))),
        objects,
        source: source.clone(),
        recorded_millis: now,
        created_millis: None,
        group: None,
        not_before_millis: 0,
        set_aside: 0,
        entered: false,
        recorded_by: None,
    };
    groups.into_iter().map(pending).collect()
}

/// The write that records a pending load. If it is refused, the same objects were recorded in the same millisecond, so they are already
/// waiting.
pub fn record(pending: PendingLoad) -> Transaction {
    let table = pending.source.recorded.db_table();
    Transaction::new(table, vec![WriteAction::put(Item::Pending(pending), Condition::Absent)])
}
