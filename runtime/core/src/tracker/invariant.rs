//! What always holds for one table's items. Checked by the model, the simulation and the end-to-end tests.

use std::collections::BTreeSet;

use super::item::{Item, LedgerMark, Millis, SortKey};
use super::slot::Step;
use super::write::{Items, slot_of};
use crate::outcome::FailureClass;

/// Violations in these items; empty if there are none.
///
/// - A running load names only existing pending loads (so all its objects are known), each once.
/// - While its statement may run, the ledger has no object of it as loaded by another load (since the instant of an order to load again).
/// - A quarantined object is in the ledger, so that a repeated notification does not load it. (A deleted object is not.)
/// - An object version is in at most one quarantine item.
pub fn violations(items: &Items) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(load) = &slot_of(items).load {
        for key in &load.pending_keys {
            match items.get(key) {
                Some(Item::Pending(pending)) if matches!(load.step, Step::Prepared(_) | Step::Submitted { .. }) => {
                    let since = pending.source.recorded.again_before_millis.unwrap_or(Millis::MIN);
                    for waiting in &pending.objects {
                        let entry = items.get(&SortKey::file(&waiting.object));
                        if matches!(entry, Some(Item::File(entry)) if entry.entered_millis >= since && is_loaded_by_another(&entry.mark, &load.load_id))
                        {
                            found.push(format!("{} is loaded again", waiting.object));
                        }
                    }
                }
                Some(_) => {}
                None => found.push(format!("the running load names {key}, which is not there")),
            }
        }
        let distinct: BTreeSet<&SortKey> = load.pending_keys.iter().collect();
        if distinct.len() != load.pending_keys.len() {
            found.push("the running load names a pending load twice".to_owned());
        }
    }
    let mut quarantined = BTreeSet::new();
    for (key, item) in items {
        let Item::Failed(failed) = item else { continue };
        if failed.class == FailureClass::Deleted {
            continue;
        }
        for waiting in &failed.objects {
            if !items.contains_key(&SortKey::file(&waiting.object)) {
                found.push(format!("{} is in quarantine in {key} but not in the ledger", waiting.object));
            }
            if !quarantined.insert(waiting.object.id()) {
                found.push(format!("{} is in quarantine twice", waiting.object));
            }
        }
    }
    found
}

fn is_loaded_by_another(mark: &LedgerMark, load_id: &crate::ids::LoadId) -> bool {
    matches!(mark, LedgerMark::Loaded(by) if by != load_id)
}
