//! What is known of one table: read once, then carried on through one's own writes.
//!
//! A conditional write that succeeded tells the whole new state, so nothing is read after it. A view is read again when a write was
//! refused, after a wait, and before a free slot is left alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::change::Change;
use super::item::{ConfigSource, Item, Millis, PendingLoad, SortKey};
use super::slot::Slot;
use super::write::WriteAction;
use crate::config::LoadConfig;

/// The slot and the loads that wait, as one read of the tracker returns them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TableState {
    /// The slot; read before the loads that wait.
    pub slot: Slot,
    /// Waiting loads, oldest first; those of the running load are among them.
    pub backlog: Vec<PendingLoad>,
    /// Whether these are all loads that wait.
    pub complete: bool,
}

/// Why a table is in the index of tables with work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Whether a load holds its slot.
    pub held: bool,
    /// Since when its oldest pending load waits, those of the running load included.
    pub since_millis: Option<Millis>,
    /// Whether a folder is being listed for it.
    pub lists: bool,
}

impl Work {
    /// With one more item of the table.
    pub fn add(&mut self, key: &SortKey) {
        self.held |= *key == SortKey::slot();
        self.lists |= key.0.starts_with(SortKey::LISTING);
        self.since_millis = self.since_millis.into_iter().chain(key.since_millis()).min();
    }
}

/// What is known of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct View {
    /// The slot and the loads that wait.
    pub state: TableState,
    /// Whether the backlog was read after the slot was last freed. Who records a load looks at the slot afterwards, and who frees the
    /// slot looks at the backlog afterwards: one of the two sees the other.
    pub fresh: bool,
    /// The queue configurations that were read, as they are now. Missing: not read yet, or not readable.
    pub configs: BTreeMap<String, Arc<LoadConfig>>,
}

impl View {
    /// Of a state that was read just now.
    pub fn read(state: TableState) -> Self {
        Self { state, fresh: true, configs: BTreeMap::new() }
    }

    /// The same table once this change was written.
    #[must_use]
    pub fn after(mut self, change: &Change) -> Self {
        for action in &change.transaction.actions {
            match action {
                WriteAction::Put(item, _) => self.put(item),
                WriteAction::Delete(key, _) => self.state.backlog.retain(|pending| pending.key != *key),
                WriteAction::Check(..) => {}
            }
        }
        self
    }

    fn put(&mut self, item: &Item) {
        match item {
            Item::Slot(slot) => {
                self.fresh &= slot.load.is_some();
                self.state.slot = slot.clone();
            }
            Item::Pending(pending) => {
                let backlog = &mut self.state.backlog;
                match backlog.binary_search_by(|known| known.key.cmp(&pending.key)) {
                    Ok(at) => backlog[at] = pending.clone(),
                    Err(at) => backlog.insert(at, pending.clone()),
                }
            }
            Item::File(_) | Item::Failed(_) | Item::Loaded(_) | Item::Audit(_) | Item::Listing(_) => {}
        }
    }

    /// These waiting loads, in this order; `None` where one of them is not known.
    pub fn pendings(&self, keys: &[SortKey]) -> Option<Vec<PendingLoad>> {
        let find = |key: &SortKey| self.state.backlog.iter().find(|pending| pending.key == *key).cloned();
        keys.iter().map(find).collect()
    }

    /// The waiting loads that do not belong to the running load.
    pub fn others(&self) -> impl Iterator<Item = &PendingLoad> {
        let own = self.state.slot.load.as_ref().map_or(&[][..], |load| &load.pending_keys);
        self.state.backlog.iter().filter(move |pending| !own.contains(&pending.key))
    }

    /// Whether no attempt of such a load may start: an operator stopped the table, or its queue's file says so.
    pub fn is_paused(&self, source: &ConfigSource) -> bool {
        self.state.slot.pause.is_some() || self.config(source).paused
    }

    /// The configuration that holds for a load now.
    pub fn config<'a>(&'a self, source: &'a ConfigSource) -> &'a Arc<LoadConfig> {
        let fresh = source.queue.as_ref().and_then(|queue| self.configs.get(queue));
        fresh.filter(|fresh| fresh.target == source.recorded.target).unwrap_or(&source.recorded)
    }
}
