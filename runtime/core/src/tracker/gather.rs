//! Many small waiting loads become one, so that their number never ends a wait and never makes a small load.
//!
//! The same write raises the slot's version: an invocation that read the waiting loads before and takes the slot afterwards is refused.

use super::change::{Change, Note};
use super::item::{Item, PendingLoad};
use super::pack;
use super::slot::Slot;
use super::write::{Condition, WriteAction};
use crate::ids::{DbTable, LoadId};
use crate::limits::{PENDING_BYTES_MAX, TRANSACTION_ACTIONS_MAX};

/// Waiting loads that become one with one write: a transaction also writes the slot and the one that they become.
pub const GATHERED_MAX: usize = TRANSACTION_ACTIONS_MAX - 2;
/// Waiting loads of more bytes than this are left alone: it does not pay to write them again.
const BYTES_MAX: usize = PENDING_BYTES_MAX / 8;

/// Of loads that could be one load, those that become one waiting load: at least two, or none.
///
/// Left out are parts of a divided load, loads that were set aside, and those whose objects were in the ledger before: they are told
/// apart when their objects are looked at; and of live and requested objects, those that are not next.
pub fn gatherable<'a>(alike: impl Iterator<Item = &'a PendingLoad>) -> Vec<&'a PendingLoad> {
    let small = |pending: &&PendingLoad| {
        pending.group.is_none() && pending.set_aside == 0 && !pending.entered && pack::item_bytes(pending) <= BYTES_MAX
    };
    let mut alike = alike.peekable();
    let queue = alike.peek().map(|head| &head.source.queue).cloned().unwrap_or_default();
    let mut bytes = 0;
    let fits = |pending: &&PendingLoad| {
        bytes += pack::item_bytes(pending);
        bytes <= PENDING_BYTES_MAX
    };
    let gathered: Vec<&PendingLoad> = alike
        .filter(small)
        .filter(|pending| pending.source.queue == queue)
        .take(GATHERED_MAX)
        .take_while(fits)
        .collect();
    if gathered.len() < 2 { Vec::new() } else { gathered }
}

/// The write that makes one of these waiting loads, the oldest first. It waits since the oldest of them was recorded.
pub fn gather(table: &DbTable, slot: &Slot, pendings: &[&PendingLoad]) -> Option<Change> {
    let (oldest, newest) = (pendings.first()?, pendings.last()?);
    let keys = pendings.iter().map(|pending| pending.key.0.as_str());
    let id = LoadId::of_pendings(table, slot.version + 1, keys);
    let one = PendingLoad {
        key: oldest.source.pending_key(oldest.key.since_millis().unwrap_or(oldest.recorded_millis), &id),
        objects: pendings.iter().flat_map(|pending| pending.objects.iter().cloned()).collect(),
        recorded_millis: pendings.iter().map(|pending| pending.recorded_millis).min()?,
        ..(*newest).clone()
    };
    let note = Note::Gathered { n_loads: pendings.len(), n_objects: one.objects.len() };
    let mut actions = vec![WriteAction::put(Item::Slot(slot.freed()), slot.condition())];
    actions.extend(pendings.iter().map(|pending| WriteAction::Delete(pending.key.clone(), Condition::Present)));
    actions.push(WriteAction::put(Item::Pending(one), Condition::Absent));
    Some(Change::new(table.clone(), actions, note))
}
