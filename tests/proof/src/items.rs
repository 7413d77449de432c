//! Reads of a table's items in memory, which the model and the simulation share.

use std::collections::{BTreeMap, BTreeSet};

use loader_core::tracker::item::{Item, LedgerEntry, LedgerMark, Millis, PendingLoad, SortKey};
use loader_core::tracker::write::Items;

/// The pending loads, oldest first.
pub fn pendings_of(items: &Items) -> impl Iterator<Item = &PendingLoad> {
    items.values().filter_map(|item| match item {
        Item::Pending(pending) => Some(pending),
        Item::Slot(_) | Item::File(_) | Item::Failed(_) | Item::Loaded(_) | Item::Audit(_) | Item::Listing(_) => None,
    })
}

/// The last `limit` of these pending loads, and whether these are all.
pub fn newest(mut pendings: Vec<PendingLoad>, limit: usize) -> (Vec<PendingLoad>, bool) {
    let older = pendings.len().saturating_sub(limit);
    (pendings.split_off(older), older == 0)
}

/// The first `limit` pending loads after this key, and the key after which the rest begins, if there is a rest.
pub fn oldest_of(items: &Items, after: Option<&SortKey>, limit: usize) -> (Vec<PendingLoad>, Option<SortKey>) {
    let mut pendings = pendings_of(items).filter(|pending| after.is_none_or(|after| pending.key > *after));
    let oldest: Vec<PendingLoad> = pendings.by_ref().take(limit).cloned().collect();
    let rest = pendings.next().and(oldest.last()).map(|last| last.key.clone());
    (oldest, rest)
}

/// The pending loads with these keys that exist, in the order of the keys.
pub fn pendings_at(items: &Items, keys: &[SortKey]) -> Vec<PendingLoad> {
    let pending = |key: &SortKey| match items.get(key) {
        Some(Item::Pending(pending)) => Some(pending.clone()),
        _ => None,
    };
    keys.iter().filter_map(pending).collect()
}

/// The marks of these object versions in the ledger.
pub fn ledger_of(items: &Items, ids: &BTreeSet<String>) -> BTreeMap<String, LedgerMark> {
    entries_at(items, ids).map(|(id, entry)| (id.clone(), entry.mark.clone())).collect()
}

/// When these object versions entered the ledger.
pub fn entered_of(items: &Items, ids: &BTreeSet<String>) -> BTreeMap<String, Millis> {
    entries_at(items, ids).map(|(id, entry)| (id.clone(), entry.entered_millis)).collect()
}

fn entries_at<'a>(items: &'a Items, ids: &'a BTreeSet<String>) -> impl Iterator<Item = (&'a String, &'a LedgerEntry)> {
    ids.iter().filter_map(|id| match items.get(&SortKey::file_of(id)) {
        Some(Item::File(entry)) => Some((id, entry)),
        _ => None,
    })
}

/// All marks in the ledger.
pub fn whole_ledger(items: &Items) -> BTreeMap<String, LedgerMark> {
    let mark = |item: &Item| match item {
        Item::File(entry) => Some((entry.object.id(), entry.mark.clone())),
        Item::Slot(_) | Item::Pending(_) | Item::Failed(_) | Item::Loaded(_) | Item::Audit(_) | Item::Listing(_) => {
            None
        }
    };
    items.values().filter_map(mark).collect()
}
