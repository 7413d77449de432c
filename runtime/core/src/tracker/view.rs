//! What an invocation knows about one table: read once, then updated by the invocation's own writes.
//!
//! A conditional write that succeeds establishes the whole new state, so nothing is read after it. The table is read again when a write was
//! refused, after a wait, and before a free slot is left alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::change::Change;
use super::item::{ConfigSource, Item, Millis, PendingLoad, SortKey};
use super::slot::Slot;
use super::write::WriteAction;
use crate::config::LoadConfig;

/// The slot and the backlog, as one read of the tracker returns them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TableState {
    /// The slot, read before the backlog.
    pub slot: Slot,
    /// Pending loads, oldest first, including those of the running load.
    pub backlog: Vec<PendingLoad>,
    /// Whether the backlog is complete.
    pub complete: bool,
}

/// What the index of tables with work shows about a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Work {
    /// Whether a load holds its slot.
    pub held: bool,
    /// Since when its oldest pending load has waited, including those of the running load.
    pub since_millis: Option<Millis>,
    /// Whether a folder is being listed for it.
    pub lists: bool,
}

impl Work {
    /// Adds an item of the table.
    pub fn add(&mut self, key: &SortKey) {
        self.held |= *key == SortKey::slot();
        self.lists |= key.0.starts_with(SortKey::LISTING);
        self.since_millis = self.since_millis.into_iter().chain(key.since_millis()).min();
    }
}

/// What is known about one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct View {
    /// The slot and the backlog.
    pub state: TableState,
    /// Whether the backlog was read after the slot was last freed. An invocation that records a load reads the slot afterwards, and one
    /// that frees the slot reads the backlog afterwards, so at least one of them sees the other's write.
    pub fresh: bool,
    /// The current queue configurations that have been read. A missing one has not been read yet or cannot be read.
    pub configs: BTreeMap<String, Arc<LoadConfig>>,
}

impl View {
    /// The view of a state that was just read.
    pub fn read(state: TableState) -> Self {
        Self { state, fresh: true, configs: BTreeMap::new() }
    }

    /// The view after this change has been written.
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

    /// Adds pending loads that were just read.
    pub fn add(&mut self, mut read: Vec<PendingLoad>) {
        let backlog = &mut self.state.backlog;
        read.append(backlog);
        read.sort_by(|one, other| one.key.cmp(&other.key));
        read.dedup_by(|later, kept| later.key == kept.key);
        *backlog = read;
    }

    /// These pending loads, in this order; `None` if one of them is not known.
    pub fn pendings(&self, keys: &[SortKey]) -> Option<Vec<PendingLoad>> {
        let find = |key: &SortKey| self.state.backlog.iter().find(|pending| pending.key == *key).cloned();
        keys.iter().map(find).collect()
    }

    /// The pending loads that do not belong to the running load.
    pub fn others(&self) -> impl Iterator<Item = &PendingLoad> {
        let own = self.state.slot.load.as_ref().map_or(&[][..], |load| &load.pending_keys);
        self.state.backlog.iter().filter(move |pending| !own.contains(&pending.key))
    }

    /// Whether no attempt of such a load may start, because an operator or the queue's file has paused it.
    pub fn is_paused(&self, source: &ConfigSource) -> bool {
        self.state.slot.pause.is_some() || self.config(source).paused
    }

    /// The configuration that currently applies to a load.
    pub fn config<'a>(&'a self, source: &'a ConfigSource) -> &'a Arc<LoadConfig> {
        let fresh = source.queue.as_ref().and_then(|queue| self.configs.get(queue));
        fresh.filter(|fresh| fresh.target == source.recorded.target).unwrap_or(&source.recorded)
    }
}
