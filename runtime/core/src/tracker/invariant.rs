//! What always holds of one table's items. Checked by the model, the simulation and the end-to-end tests.

use std::collections::{BTreeMap, BTreeSet};

use super::item::{Item, SortKey};
use super::write::Items;
use crate::outcome::FailureClass;

/// Problems with the items themselves; empty when all is well.
///
/// - A running load names only pending loads that are there (so all its objects are known).
/// - An object version is in one place only: one pending load or one quarantine item.
/// - Everything that waits is in the ledger. (A deleted object waits for nothing, and has left it.)
pub fn violations(items: &Items) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(Item::Running(running)) = items.get(&SortKey::running()) {
        for key in &running.pending_keys {
            if !items.contains_key(key) {
                found.push(format!("the running load names {key}, which is not there"));
            }
        }
        let distinct: BTreeSet<&SortKey> = running.pending_keys.iter().collect();
        if distinct.len() != running.pending_keys.len() {
            found.push("the running load names a pending load twice".to_owned());
        }
    }
    let mut places: BTreeMap<String, Vec<&SortKey>> = BTreeMap::new();
    for (key, item) in items {
        let objects = match item {
            Item::Pending(pending) => &pending.objects,
            Item::Failed(quarantined) if quarantined.class != FailureClass::Deleted => &quarantined.objects,
            Item::Failed(_) | Item::Running(_) | Item::File(_) | Item::Loaded(_) => continue,
        };
        for waiting in objects {
            places.entry(waiting.object.id()).or_default().push(key);
            if !items.contains_key(&SortKey::file(&waiting.object)) {
                found.push(format!("{} waits in {key} but is not in the ledger", waiting.object));
            }
        }
    }
    for (id, keys) in places {
        if keys.len() > 1 {
            found.push(format!("object version {id} is in {} places", keys.len()));
        }
    }
    found
}
