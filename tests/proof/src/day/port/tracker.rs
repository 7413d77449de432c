//! The tracker's reads and writes, with the units that they take.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use loader_core::ids::DbTable;
use loader_core::limits::{BATCH_GET_KEYS_MAX, BATCH_WRITE_ITEMS_MAX, LOAD_METADATA_BYTES_MAX};
use loader_core::tracker::item::{Item, LedgerEntry, LedgerMark, Millis, PendingLoad, SortKey};
use loader_core::tracker::listing::Listing;
use loader_core::tracker::pack;
use loader_core::tracker::view::{TableState, Work};
use loader_core::tracker::write::{Transaction, Written};
use loader_reconcile::ports::{PortResult, Tracker};

use super::{Call, Port};
use crate::day::stage::Stage;

/// Pending loads that a read of a table returns with the slot: the newest.
const STATE_PENDINGS: usize = 9;
/// Bytes of a page of a query or scan, of a read unit, and of a key in the index of tables with work.
const PAGE_BYTES: u64 = 1 << 20;
const READ_UNIT_BYTES: u64 = 4096;
const INDEX_KEY_BYTES: u64 = 200;

/// Counts the read units of a consistent read, at least one.
fn read(stage: &mut Stage, bytes: u64) {
    stage.counts.read_units += bytes.div_ceil(READ_UNIT_BYTES).max(1);
}

/// The oldest pending loads after this key, as many as two loads take, and the key after which the rest begins.
fn oldest(
    stage: &mut Stage,
    table: &DbTable,
    after: Option<SortKey>,
    limit: usize,
) -> (Vec<PendingLoad>, Option<SortKey>) {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut later = stage.shelf(table).pendings.range((from, Bound::Unbounded)).map(|(_, pending)| pending);
    let (mut found, mut metadata, mut bytes) = (Vec::new(), 0, 0);
    for (pending, item_bytes) in later.by_ref().take(limit) {
        metadata += pack::item_bytes(pending);
        bytes += item_bytes;
        found.push(pending.clone());
        if metadata > 2 * LOAD_METADATA_BYTES_MAX {
            break;
        }
    }
    let rest = later.next().and(found.last()).map(|last| last.key.clone());
    read(stage, bytes);
    stage.count("dynamodb:Query backlog", bytes / PAGE_BYTES);
    (found, rest)
}

impl Tracker for Port {
    async fn state(&self, table: &DbTable) -> PortResult<TableState> {
        let state = |stage: &mut Stage| {
            let items = stage.shelf(table);
            let slot = items.slot.clone();
            let newest: Vec<&(PendingLoad, u64)> = items.pendings.values().rev().take(STATE_PENDINGS).collect();
            let bytes = items.slot_bytes() + newest.iter().map(|(_, bytes)| bytes).sum::<u64>();
            let complete = newest.len() == items.pendings.len();
            let backlog = newest.into_iter().rev().map(|(pending, _)| pending.clone()).collect();
            read(stage, bytes);
            TableState { slot, backlog, complete }
        };
        Ok(self.free(Call::one("dynamodb:Query state"), state).await)
    }

    async fn backlog(&self, table: &DbTable, limit: usize) -> PortResult<(Vec<PendingLoad>, Option<SortKey>)> {
        Ok(self.free(Call::one("dynamodb:Query backlog"), |stage| oldest(stage, table, None, limit)).await)
    }

    async fn waiting(
        &self,
        table: &DbTable,
        after: Option<SortKey>,
    ) -> PortResult<(Vec<PendingLoad>, Option<SortKey>)> {
        let page = |stage: &mut Stage| oldest(stage, table, after, usize::MAX);
        Ok(self.free(Call::one("dynamodb:Query backlog"), page).await)
    }

    async fn listings(&self, _: &DbTable) -> PortResult<Vec<Listing>> {
        Ok(Vec::new())
    }

    async fn pendings(&self, table: &DbTable, keys: &[SortKey]) -> PortResult<Vec<PendingLoad>> {
        let of = |stage: &mut Stage| {
            let items = stage.shelf(table);
            let found: Vec<&(PendingLoad, u64)> = keys.iter().filter_map(|key| items.pendings.get(key)).collect();
            let units: u64 = found.iter().map(|(_, bytes)| bytes.div_ceil(READ_UNIT_BYTES)).sum();
            let pendings = found.into_iter().map(|(pending, _)| pending.clone()).collect();
            stage.counts.read_units += units;
            pendings
        };
        Ok(self.free(Call::batches("dynamodb:BatchGetItem waiting", keys.len(), BATCH_GET_KEYS_MAX), of).await)
    }

    async fn ledger(
        &self,
        table: &DbTable,
        object_ids: &BTreeSet<String>,
        _: Millis,
    ) -> PortResult<BTreeMap<String, LedgerMark>> {
        let known = |stage: &mut Stage| {
            stage.counts.read_units += object_ids.len() as u64;
            stage.shelf(table).known(object_ids)
        };
        Ok(self.free(Call::batches("dynamodb:BatchGetItem ledger", object_ids.len(), BATCH_GET_KEYS_MAX), known).await)
    }

    async fn entered(&self, _: &DbTable, _: &BTreeSet<String>) -> PortResult<BTreeMap<String, Millis>> {
        Ok(BTreeMap::new())
    }

    /// Writes entries in batches, one after the other, so that a large load does not exceed a partition's write units at once. A refused batch
    /// stands for the service's unprocessed items, which the adapter writes again.
    async fn enter(&self, table: &DbTable, entries: &[LedgerEntry]) -> PortResult<()> {
        for batch in entries.chunks(BATCH_WRITE_ITEMS_MAX * 8) {
            let call = Call::batches("dynamodb:BatchWriteItem ledger", batch.len(), BATCH_WRITE_ITEMS_MAX);
            let units = batch.len() as u64;
            let enter = |stage: &mut Stage| {
                let items = stage.shelf(table);
                for entry in batch {
                    items.put(table, &Item::File(entry.clone()));
                }
            };
            self.units(call, table, |_| units, enter).await?;
        }
        Ok(())
    }

    async fn write(&self, transaction: &Transaction) -> PortResult<Written> {
        let table = &transaction.table;
        let operation = if transaction.actions.len() == 1 { "dynamodb:PutItem" } else { "dynamodb:TransactWriteItems" };
        let apply = |stage: &mut Stage| {
            let written = stage.shelf(table).apply(transaction);
            stage.note_work(table);
            written
        };
        let units = |stage: &mut Stage| stage.shelf(table).write_units(table, transaction);
        self.units(Call::one(operation), table, units, apply).await
    }

    async fn tables_with_work(&self) -> PortResult<BTreeMap<DbTable, Work>> {
        let scan = |stage: &mut Stage| {
            let pendings: usize =
                stage.work.iter().map(|table| stage.tables[stage.numbers[table]].pendings.len()).sum();
            let bytes = (pendings + stage.work.len()) as u64 * INDEX_KEY_BYTES;
            stage.counts.read_units += bytes.div_ceil(2 * READ_UNIT_BYTES).max(1);
            stage.count("dynamodb:Scan", bytes / PAGE_BYTES);
            let work = |table: &DbTable| (table.clone(), stage.tables[stage.numbers[table]].work());
            stage.work.iter().map(work).collect()
        };
        Ok(self.free(Call::one("dynamodb:Scan"), scan).await)
    }
}
