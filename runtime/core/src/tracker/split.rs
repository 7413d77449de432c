//! Dividing a failed load, so that a bad file ends up alone and all others are loaded.
//!
//! The parts are new pending loads with keys of their own and a group each, so that no part is joined with another load.

use std::collections::BTreeSet;

use super::decide::{Change, Context, Note};
use super::item::{ConfigSource, Item, Millis, PendingLoad, RunningLoad, SortKey, WaitingObject};
use super::write::{Condition, Transaction, WriteAction};
use crate::ids::LoadId;
use crate::limits::TRANSACTION_ACTIONS_MAX;

/// Divides in the middle. At least two objects.
pub fn halves(running: &RunningLoad, pendings: &[PendingLoad], reason: &str, context: &Context) -> Change {
    let n_objects: usize = pendings.iter().map(|pending| pending.objects.len()).sum();
    let mut position = 0;
    divide(running, pendings, reason, context, |_| {
        position += 1;
        position > n_objects / 2
    })
}

/// Divides into the objects that the warehouse named, and the others. Both sides must have one at least. A pending load of
/// which some objects are named becomes two; where one transaction cannot hold them all, the rest is for the next attempt.
pub fn apart(
    running: &RunningLoad,
    pendings: &[PendingLoad],
    named: &BTreeSet<String>,
    reason: &str,
    context: &Context,
) -> Change {
    let is_named = |waiting: &WaitingObject| named.contains(&waiting.object.id());
    let mut n_room = TRANSACTION_ACTIONS_MAX.saturating_sub(1 + 2 * pendings.len());
    let mut chosen = BTreeSet::new();
    for pending in pendings {
        let becomes_two = pending.objects.iter().any(is_named) && !pending.objects.iter().all(is_named);
        if becomes_two && n_room == 0 {
            continue;
        }
        n_room -= usize::from(becomes_two);
        chosen.extend(pending.objects.iter().filter(|waiting| is_named(waiting)).map(|waiting| waiting.object.id()));
    }
    divide(running, pendings, reason, context, |waiting| chosen.contains(&waiting.object.id()))
}

fn divide(
    running: &RunningLoad,
    pendings: &[PendingLoad],
    reason: &str,
    context: &Context,
    mut second: impl FnMut(&WaitingObject) -> bool,
) -> Change {
    let mut parts = [0, 0];
    let mut actions = leave_slot(running, pendings);
    for pending in pendings {
        let (right, left): (Vec<_>, Vec<_>) = pending.objects.iter().cloned().partition(&mut second);
        for (side, objects) in [left, right].into_iter().enumerate() {
            if objects.is_empty() {
                continue;
            }
            parts[side] += objects.len();
            let group = Some(format!("{}-{}", running.load_id, side + 1));
            let item = PendingLoad { group, ..again(pending, objects, running, context.now) };
            actions.push(WriteAction::put(Item::Pending(item), Condition::Absent));
        }
    }
    let note = Note::Split { parts, reason: reason.to_owned() };
    Change { transaction: Transaction::new(running.table(), actions), note }
}

/// A waiting load under a new key, with the configuration that was used last. The new key is later than the old one
/// whatever the clock says: clocks differ, and a key that came twice would make one identity of two loads.
pub fn again(pending: &PendingLoad, objects: Vec<WaitingObject>, running: &RunningLoad, now: Millis) -> PendingLoad {
    let id = LoadId::of_objects(&running.table(), objects.iter().map(|waiting| &waiting.object));
    let since = pending.key.since_millis().map_or(now, |old| now.max(old + 1));
    PendingLoad {
        key: SortKey::pending(since, &id),
        objects,
        source: ConfigSource { recorded: running.source.recorded.clone(), ..pending.source.clone() },
        ..pending.clone()
    }
}

/// Frees the slot and removes the pending loads of the running load; something else must be written in their place.
pub fn leave_slot(running: &RunningLoad, pendings: &[PendingLoad]) -> Vec<WriteAction> {
    let pending_deletes = pendings.iter().map(|pending| WriteAction::Delete(pending.key.clone(), Condition::Always));
    std::iter::once(WriteAction::Delete(SortKey::running(), Condition::slot(running))).chain(pending_deletes).collect()
}
