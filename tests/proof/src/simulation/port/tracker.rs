//! The tracker's reads and conditional writes.

use std::collections::{BTreeMap, BTreeSet};

use loader_core::ids::DbTable;
use loader_core::limits::{BATCH_GET_KEYS_MAX, BATCH_WRITE_ITEMS_MAX, LOAD_PENDINGS_MAX};
use loader_core::tracker::item::{Item, LedgerEntry, LedgerMark, Millis, PendingLoad, SortKey};
use loader_core::tracker::listing::Listing;
use loader_core::tracker::view::{TableState, Work};
use loader_core::tracker::wire;
use loader_core::tracker::write::{Condition, Items, Transaction, WriteAction, Written, apply, slot_of};
use loader_reconcile::ports::{PortResult, Tracker};

use super::Port;
use crate::exhaustive::state::{slot, slot_key};
use crate::fixture::slot_put;
use crate::items::{entered_of, ledger_of, newest, oldest_of, pendings_at, pendings_of};
use crate::mutant::{Mutant, Writer};
use crate::simulation::stage::Stage;

/// Pending loads that a read of the slot returns with it: the newest.
pub const PAGE: usize = 8;
/// Maximum number of the oldest pending loads that are read at once, as if they were large.
pub const WINDOW: usize = 16;

impl Port {
    /// Applies a transaction. It is a violation if a write takes effect that was decided from an old state of the slot.
    fn perform_write(&self, stage: &mut Stage, transaction: &Transaction) -> Written {
        let items = stage.items.entry(transaction.table.clone()).or_default();
        let before = slot(items);
        let real =
            stage.options.mutant.transaction(transaction.clone(), &Writer { holder: &self.holder(), items: &*items });
        let broken = real.actions.iter().find_map(|action| unread(&transaction.table, action));
        let written = apply(items, &real);
        if let (Written::Done, Some(next)) = (&written, slot_put(transaction)) {
            let seen = stage.seen.insert((self.id, transaction.table.clone()), slot_key(next));
            if seen.as_ref() != Some(&before) {
                stage.violation("6 fencing: a write decided from an old state of the slot took effect");
            }
        }
        if let Some(broken) = broken {
            stage.violation(broken);
        }
        stage.trace((self.id, "wrote", format!("{written:?}")));
        written
    }

    /// A call that reads a table's items.
    async fn items<T: Send>(
        &self,
        operation: &'static str,
        table: &DbTable,
        read: impl FnOnce(&Items) -> T + Send,
    ) -> PortResult<T> {
        self.call(operation, |stage| Ok(read(stage.items.entry(table.clone()).or_default()))).await
    }
}

/// A violation, if an item is not decoded as it was encoded. Who recorded it may be left out.
fn unread(table: &DbTable, action: &WriteAction) -> Option<String> {
    let WriteAction::Put(item, _) = action else { return None };
    match wire::decode(wire::encode(table, item)) {
        Ok(read) if read == **item || read == without_recorder(item) => None,
        read => Some(format!("1 nothing lost: {item:?} is read as {read:?}")),
    }
}

/// The item as it is stored where who recorded it would take a write unit of its own.
fn without_recorder(item: &Item) -> Item {
    match item.clone() {
        Item::Pending(pending) => Item::Pending(PendingLoad { recorded_by: None, ..pending }),
        Item::File(entry) => Item::File(LedgerEntry { recorded: None, ..entry }),
        other @ (Item::Slot(_) | Item::Failed(_) | Item::Loaded(_) | Item::Audit(_) | Item::Listing(_)) => other,
    }
}

impl Tracker for Port {
    /// Reads the slot and the pending loads in two calls, so that others can write in between.
    async fn state(&self, table: &DbTable) -> PortResult<TableState> {
        let slot = self.items("state", table, slot_of).await?;
        let read = |items: &Items| newest(pendings_of(items).cloned().collect(), PAGE);
        let (backlog, complete) = self.items("state", table, read).await?;
        self.lock().seen.insert((self.id, table.clone()), slot_key(&slot));
        Ok(TableState { slot, backlog, complete })
    }

    async fn backlog(&self, table: &DbTable, limit: usize) -> PortResult<(Vec<PendingLoad>, Option<SortKey>)> {
        let oldest = |items: &Items| {
            let (mut backlog, rest) = oldest_of(items, None, limit.min(WINDOW));
            if rest.as_ref().is_some_and(|last| !last.is_requested()) {
                let requested = pendings_of(items).filter(|pending| pending.key.is_requested());
                backlog.extend(requested.take(LOAD_PENDINGS_MAX).cloned());
            }
            (backlog, rest)
        };
        self.items("backlog", table, oldest).await
    }

    async fn waiting(
        &self,
        table: &DbTable,
        after: Option<SortKey>,
    ) -> PortResult<(Vec<PendingLoad>, Option<SortKey>)> {
        self.items("waiting", table, |items| oldest_of(items, after.as_ref(), PAGE)).await
    }

    async fn listings(&self, table: &DbTable) -> PortResult<Vec<Listing>> {
        let listing = |item: &Item| if let Item::Listing(listing) = item { Some(listing.clone()) } else { None };
        self.items("listings", table, |items| items.values().filter_map(listing).collect()).await
    }

    async fn pendings(&self, table: &DbTable, keys: &[SortKey]) -> PortResult<Vec<PendingLoad>> {
        self.items("pendings", table, |items| pendings_at(items, keys)).await
    }

    async fn ledger(
        &self,
        table: &DbTable,
        object_ids: &BTreeSet<String>,
        _: Millis,
    ) -> PortResult<BTreeMap<String, LedgerMark>> {
        let mutant = self.lock().options.mutant;
        let mut ledger = BTreeMap::new();
        for ids in object_ids.iter().collect::<Vec<_>>().chunks(BATCH_GET_KEYS_MAX) {
            let ids: BTreeSet<String> = ids.iter().map(|id| (*id).clone()).collect();
            let known = self.items("ledger", table, |items| ledger_of(items, &ids)).await?;
            ledger.extend(mutant.ledger(known, None));
        }
        Ok(ledger)
    }

    async fn entered(&self, table: &DbTable, object_ids: &BTreeSet<String>) -> PortResult<BTreeMap<String, Millis>> {
        self.items("entered", table, |items| entered_of(items, object_ids)).await
    }

    /// Writes entries in batches. If one fails, those before it have been written.
    async fn enter(&self, table: &DbTable, entries: &[LedgerEntry]) -> PortResult<()> {
        if self.lock().options.mutant == Mutant::EntriesAfterRelease {
            return Ok(());
        }
        for batch in entries.chunks(BATCH_WRITE_ITEMS_MAX) {
            self.call("enter", |stage| {
                for entry in batch {
                    let action = WriteAction::put(Item::File(entry.clone()), Condition::Always);
                    if let Some(broken) = unread(table, &action) {
                        stage.violation(broken);
                    }
                    let items = stage.items.entry(table.clone()).or_default();
                    items.insert(action.key(), Item::File(entry.clone()));
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    async fn write(&self, transaction: &Transaction) -> PortResult<Written> {
        let written = self.call("write", |stage| Ok(self.perform_write(stage, transaction))).await;
        match written {
            Ok(Written::Refused(_)) if self.lock().options.mutant == Mutant::RefusedIsDone => Ok(Written::Done),
            written => written,
        }
    }

    async fn tables_with_work(&self) -> PortResult<BTreeMap<DbTable, Work>> {
        self.call("tables_with_work", |stage| {
            let mut tables: BTreeMap<DbTable, Work> = BTreeMap::new();
            for (table, items) in &stage.items {
                for item in items.values().filter(|item| item.is_work()) {
                    tables.entry(table.clone()).or_default().add(&item.key());
                }
            }
            Ok(tables)
        })
        .await
    }
}
