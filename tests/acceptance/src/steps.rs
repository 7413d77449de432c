//! How far a table's load is, by its items.

use loader_core::outcome::FailureClass;
use loader_core::tracker::item::Item;
use loader_core::tracker::slot::Step;
use loader_core::tracker::write::Items;

/// The step of the load that holds the slot.
fn step(items: &Items) -> Option<&Step> {
    items.values().find_map(Item::load).map(|load| &load.step)
}

/// Whether its statement's id is recorded.
pub fn is_submitted(items: &Items) -> bool {
    matches!(step(items), Some(Step::Submitted { .. }))
}

/// Whether it waits after a failure of this class.
pub fn waits_for(class: FailureClass) -> impl Fn(&Items) -> bool {
    move |items| matches!(step(items), Some(Step::Waiting { class: found, .. }) if *found == class)
}

/// Whether something is in quarantine.
pub fn in_quarantine(items: &Items) -> bool {
    items.values().any(|item| matches!(item, Item::Failed(_)))
}
