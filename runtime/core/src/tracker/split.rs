//! Dividing a failed load, so that a bad file ends up alone and all others are loaded.
//!
//! The parts are new pending loads with keys and groups of their own, so a part never shares a COPY with another load.

use std::collections::BTreeSet;

use super::change::{Change, Note, put_slot};
use super::context::Context;
use super::item::{ConfigSource, Item, Millis, PendingLoad};
use super::pack;
use super::slot::{Held, RunningLoad};
use super::write::{Condition, WriteAction};
use crate::ids::{LoadId, WaitingObject};

/// Divides a load in the middle. It must have at least two objects.
pub fn halves(held: Held, pendings: &[PendingLoad], reason: &str, context: &Context) -> Change {
    let pendings = &distinct(pendings);
    let n_objects: usize = pendings.iter().map(|pending| pending.objects.len()).sum();
    let mut position = 0;
    divide(held, pendings, reason, context, |_| {
        position += 1;
        position > n_objects / 2
    })
}

/// Divides a load into the objects with these ids and the others. Each side must have at least one object.
pub fn apart(
    held: Held,
    pendings: &[PendingLoad],
    named: &BTreeSet<String>,
    reason: &str,
    context: &Context,
) -> Change {
    divide(held, &distinct(pendings), reason, context, |waiting| named.contains(&waiting.object.id()))
}

/// The same pending loads without duplicates: before a load is prepared, it may contain an object twice. The copy that entered the ledger
/// before is kept, because its ledger entry prevents the other from being loaded.
pub fn distinct(pendings: &[PendingLoad]) -> Vec<PendingLoad> {
    let mut seen = BTreeSet::new();
    let mut distinct = pendings.to_vec();
    for entered in [true, false] {
        for pending in distinct.iter_mut().filter(|pending| pending.entered == entered) {
            pending.objects.retain(|waiting| seen.insert(waiting.object.clone()));
        }
    }
    distinct
}

fn divide(
    held: Held,
    pendings: &[PendingLoad],
    reason: &str,
    context: &Context,
    mut second: impl FnMut(&WaitingObject) -> bool,
) -> Change {
    let mut sides = [Vec::new(), Vec::new()];
    for pending in pendings {
        let (right, left): (Vec<_>, Vec<_>) = pending.objects.iter().cloned().partition(&mut second);
        for (side, objects) in sides.iter_mut().zip([left, right]) {
            side.push(PendingLoad { objects, ..pending.clone() });
        }
    }
    let count = |side: &[PendingLoad]| side.iter().map(|pending| pending.objects.len()).sum();
    let note = Note::Split { parts: [count(&sides[0]), count(&sides[1])], reason: reason.to_owned() };
    let mut actions = leave_slot(held, pendings);
    for (number, side) in sides.iter().enumerate() {
        let group = format!("{}-{}", held.load.load_id, number + 1);
        for joined in join(side, held.load, context.now) {
            let part = PendingLoad { group: Some(group.clone()), ..joined };
            actions.push(WriteAction::put(Item::Pending(part), Condition::Absent));
        }
    }
    Change::new(held.load.table(), actions, note)
}

/// The objects of these pending loads in as few pending loads as possible, under new keys. Objects that entered the ledger before stay
/// apart from the others. The objects must be [`distinct`].
pub fn join(pendings: &[PendingLoad], load: &RunningLoad, now: Millis) -> Vec<PendingLoad> {
    let mut joined = Vec::new();
    for entered in [false, true] {
        let alike: Vec<&PendingLoad> = pendings.iter().filter(|pending| pending.entered == entered).collect();
        let Some(oldest) = alike.iter().min_by_key(|pending| pending.recorded_millis) else { continue };
        let newest = alike.iter().max_by_key(|pending| &pending.key).unwrap_or(oldest);
        let set_aside = alike.iter().map(|pending| pending.set_aside).max().unwrap_or(0);
        let model = PendingLoad {
            key: newest.key.clone(),
            recorded_millis: oldest.recorded_millis,
            created_millis: alike.iter().filter_map(|pending| pending.created_millis).min(),
            recorded_by: PendingLoad::recorder_of(alike.iter().copied()),
            set_aside,
            objects: Vec::new(),
            ..(*newest).clone()
        };
        let objects = alike.iter().flat_map(|pending| pending.objects.iter().cloned());
        let groups = pack::groups(objects, &load.source.recorded.document, None);
        joined.extend(groups.into_iter().map(|objects| again(&model, objects, load, now)));
    }
    joined
}

/// A pending load under a new key, with the configuration that was last used. The new key is later than the old one whatever the clock
/// says: clocks differ, and if a key occurred twice, two loads would have the same identity.
pub fn again(pending: &PendingLoad, objects: Vec<WaitingObject>, load: &RunningLoad, now: Millis) -> PendingLoad {
    let id = LoadId::of_objects(&load.table(), objects.iter().map(|waiting| &waiting.object));
    let since = pending.key.since_millis().map_or(now, |old| now.max(old + 1));
    PendingLoad {
        key: pending.source.pending_key(since, &id),
        objects,
        source: ConfigSource { recorded: load.source.recorded.clone(), ..pending.source.clone() },
        ..pending.clone()
    }
}

/// Frees the slot and deletes the running load's pending loads. The caller must write others in their place.
pub fn leave_slot(held: Held, pendings: &[PendingLoad]) -> Vec<WriteAction> {
    let gone = pendings.iter().map(|pending| WriteAction::Delete(pending.key.clone(), Condition::Always));
    std::iter::once(put_slot(held, None)).chain(gone).collect()
}
