//! The progress of a table's loads, read from its items.

use loader_core::outcome::FailureClass;
use loader_core::tracker::item::Item;
use loader_core::tracker::slot::Step;
use loader_core::tracker::write::Items;

/// The step of the running load.
fn step(items: &Items) -> Option<&Step> {
    items.values().find_map(Item::load).map(|load| &load.step)
}

/// Whether the statement of the running load is submitted.
pub fn is_submitted(items: &Items) -> bool {
    matches!(step(items), Some(Step::Submitted { .. }))
}

/// Whether an attempt of the running load has failed, even if the next one has begun.
pub fn has_failed(items: &Items) -> bool {
    let load = items.values().find_map(Item::load);
    load.is_some_and(|load| load.attempt > 1 || matches!(load.step, Step::Waiting { .. }))
}

/// Whether an attempt of the running load has failed with this class.
pub fn waits_for(class: FailureClass) -> impl Fn(&Items) -> bool {
    move |items| matches!(step(items), Some(Step::Waiting { class: found, .. }) if *found == class)
}

/// Whether there is a pending load.
pub fn is_recorded(items: &Items) -> bool {
    items.values().any(|item| matches!(item, Item::Pending(_)))
}

/// Number of objects in pending loads.
pub fn n_waiting(items: &Items) -> usize {
    items.values().map(|item| if let Item::Pending(pending) = item { pending.objects.len() } else { 0 }).sum()
}

/// Number of objects in the history.
pub fn n_loaded(items: &Items) -> usize {
    let loaded = |item: &Item| if let Item::Loaded(history) = item { history.n_objects } else { 0 };
    usize::try_from(items.values().map(loaded).sum::<u64>()).unwrap_or(usize::MAX)
}

/// Number of objects in quarantine.
pub fn n_quarantined(items: &Items) -> usize {
    items.values().map(|item| if let Item::Failed(failed) = item { failed.objects.len() } else { 0 }).sum()
}

/// Whether something is in quarantine.
pub fn in_quarantine(items: &Items) -> bool {
    n_quarantined(items) > 0
}
