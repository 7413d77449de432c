//! Merges many small pending loads into one, so that their number neither ends a wait nor makes a load small.
//!
//! The same write raises the slot's version, so an invocation that read the old pending loads and takes the slot afterwards is refused.

use super::change::{Change, Note};
use super::item::{Item, PendingLoad};
use super::pack;
use super::slot::Slot;
use super::write::{Condition, WriteAction};
use crate::config::LoadLimits;
use crate::ids::{DbTable, LoadId};
use crate::limits::{PENDING_BYTES_MAX, TRANSACTION_ACTIONS_MAX};

/// Maximum number of pending loads merged by one write. The transaction also writes the slot and the merged load.
pub const GATHERED_MAX: usize = TRANSACTION_ACTIONS_MAX - 2;
/// Larger pending loads, in bytes, are not merged: rewriting them costs more than it saves.
const BYTES_MAX: usize = PENDING_BYTES_MAX / 8;

/// Selects the pending loads to merge, from loads that could share a COPY: at least two, or none.
///
/// Parts of a divided load, loads that were set aside, and loads whose objects are already in the ledger are left out, because looking at
/// objects treats them differently. All selected loads come from the same source as the first one, and together
/// they stay within the limits of one load.
pub fn gatherable<'a>(alike: impl Iterator<Item = &'a PendingLoad>, limits: LoadLimits) -> Vec<&'a PendingLoad> {
    let small = |pending: &&PendingLoad| {
        pending.group.is_none() && pending.set_aside == 0 && !pending.entered && pack::item_bytes(pending) <= BYTES_MAX
    };
    let mut alike = alike.peekable();
    let queue = alike.peek().map(|head| &head.source.queue).cloned().unwrap_or_default();
    let (mut item_bytes, mut files, mut bytes) = (0, 0, 0_u64);
    let fits = |pending: &&PendingLoad| {
        item_bytes += pack::item_bytes(pending);
        files += pending.objects.len() as u64;
        bytes = bytes.saturating_add(pending.size_bytes());
        item_bytes <= PENDING_BYTES_MAX && files <= limits.files_max && bytes <= limits.bytes_max
    };
    let gathered: Vec<&PendingLoad> = alike
        .filter(small)
        .filter(|pending| pending.source.queue == queue)
        .take(GATHERED_MAX)
        .take_while(fits)
        .collect();
    if gathered.len() < 2 { Vec::new() } else { gathered }
}

/// The write that merges these pending loads, the oldest first. The merged load has waited since the oldest of them was recorded.
pub fn gather(table: &DbTable, slot: &Slot, pendings: &[&PendingLoad]) -> Option<Change> {
    let (oldest, newest) = (pendings.first()?, pendings.last()?);
    let keys = pendings.iter().map(|pending| pending.key.0.as_str());
    let id = LoadId::of_pendings(table, slot.version + 1, keys);
    let one = PendingLoad {
        key: oldest.source.pending_key(oldest.key.since_millis().unwrap_or(oldest.recorded_millis), &id),
        objects: pendings.iter().flat_map(|pending| pending.objects.iter().cloned()).collect(),
        recorded_millis: pendings.iter().map(|pending| pending.recorded_millis).min()?,
        created_millis: pendings.iter().filter_map(|pending| pending.created_millis).min(),
        recorded_by: PendingLoad::recorder_of(pendings.iter().copied()),
        ..(*newest).clone()
    };
    let note = Note::Gathered { n_loads: pendings.len(), n_objects: one.objects.len() };
    let mut actions = vec![WriteAction::put(Item::Slot(slot.freed()), slot.condition())];
    actions.extend(pendings.iter().map(|pending| WriteAction::Delete(pending.key.clone(), Condition::Present)));
    actions.push(WriteAction::put(Item::Pending(one), Condition::Absent));
    Some(Change::new(table.clone(), actions, note))
}
