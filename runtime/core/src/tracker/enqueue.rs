//! How facts enter: objects become waiting loads, one plain write each.
//!
//! Whether an object was loaded before is not asked here: whoever takes the slot asks the ledger, because only then nobody else can
//! change the answer. A duplicate that waits is dropped when its turn comes.

use super::item::{ConfigSource, Item, Millis, PendingLoad};
use super::pack;
use super::write::{Condition, Transaction, WriteAction};
use crate::ids::{LoadId, WaitingObject};

/// The waiting loads that these objects become, each as large as an item and one load's limits allow.
pub fn pendings(objects: Vec<WaitingObject>, source: &ConfigSource, now: Millis) -> Vec<PendingLoad> {
    let table = source.recorded.db_table();
    let groups = pack::groups(objects, &source.recorded.document, Some(source.recorded.limits));
    let pending = |objects: Vec<WaitingObject>| PendingLoad {
        key: source.pending_key(now, &LoadId::of_objects(&table, objects.iter().map(|waiting| &waiting.object))),
        objects,
        source: source.clone(),
        recorded_millis: now,
        group: None,
        not_before_millis: 0,
        set_aside: 0,
        entered: false,
    };
    groups.into_iter().map(pending).collect()
}

/// The write that records a waiting load. Refused: the same objects were recorded in the same millisecond, so they wait already.
pub fn record(pending: PendingLoad) -> Transaction {
    let table = pending.source.recorded.db_table();
    Transaction::new(table, vec![WriteAction::put(Item::Pending(pending), Condition::Absent)])
}
