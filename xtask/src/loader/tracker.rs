//! The tracker of a stack, read and written in the same way as by the functions.
//!
//! The core (`tracker::operator`) decides which writes an operator may make, and when; `loader-aws` sends them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use anyhow::{Result, anyhow};
use loader_aws::items::Order;
pub use loader_aws::items::{Keys, Kind};
use loader_core::bulk_request::Position;
use loader_core::ids::{DbTable, WaitingObject};
use loader_core::tracker::item::{Audit, History, Item, LedgerEntry, LedgerMark, PendingLoad, Quarantined};
use loader_core::tracker::listing::Listing;
use loader_core::tracker::prepare::ObjectState;
use loader_core::tracker::slot::Slot;
use loader_core::tracker::view::TableState;
use loader_core::tracker::write::{Transaction, Written};
use loader_reconcile::ports::{Objects as _, Page, PortError, Tracker as _};

use crate::ground::aws::Aws;
use crate::ground::clock::now_millis;
use crate::ground::stack::Stack;
use crate::loader::settings;

/// The tracker of a stack.
#[derive(Debug)]
pub struct Tracker {
    functions: loader_aws::Aws,
}

impl Tracker {
    /// Connects to the tracker of a stack.
    pub fn of_stack(aws: &Aws, stack: &Stack) -> Result<Self> {
        let settings = settings::of_stack(stack)?;
        let functions = loader_aws::Aws::with_clients(settings, aws.dynamodb(), aws.s3(), aws.redshift_data());
        Ok(Self { functions })
    }

    /// At most `limit` items of a table.
    async fn items(&self, db_table: &str, kind: Kind, order: Order, limit: usize) -> Result<Vec<Item>> {
        let items = self.functions.items(&DbTable(db_table.to_owned()), kind, order, limit).await;
        items.map_err(failed(format!("read the tracker of `{db_table}`")))
    }

    /// Items of a table whose keys contain a time in this range, oldest first.
    pub async fn between(&self, db_table: &str, kind: Kind, times: RangeInclusive<i64>) -> Result<Vec<Item>> {
        let items = self.functions.items_of(&DbTable(db_table.to_owned()), kind, times).await;
        items.map_err(failed(format!("read the tracker of `{db_table}`")))
    }

    /// The slot and the whole backlog.
    pub async fn state(&self, db_table: &str) -> Result<TableState> {
        let slot = self.slot(db_table).await?;
        Ok(TableState { slot, backlog: self.backlog(db_table).await?, complete: true })
    }

    /// All pending loads, oldest first.
    pub async fn backlog(&self, db_table: &str) -> Result<Vec<PendingLoad>> {
        let pending = |item| if let Item::Pending(pending) = item { Some(pending) } else { None };
        let items = self.items(db_table, Kind::Pending, Order::OldestFirst, usize::MAX).await?;
        Ok(items.into_iter().filter_map(pending).collect())
    }

    /// The slot; free if no load has taken it yet.
    pub async fn slot(&self, db_table: &str) -> Result<Slot> {
        match self.items(db_table, Kind::Slot, Order::OldestFirst, 1).await?.pop() {
            Some(Item::Slot(slot)) => Ok(slot),
            Some(_) | None => Ok(Slot::default()),
        }
    }

    /// All quarantined items, oldest first.
    pub async fn quarantine(&self, db_table: &str) -> Result<Vec<Quarantined>> {
        let failed = |item| if let Item::Failed(failed) = item { Some(failed) } else { None };
        let items = self.items(db_table, Kind::Failed, Order::OldestFirst, usize::MAX).await?;
        Ok(items.into_iter().filter_map(failed).collect())
    }

    /// The listings of a table, including those that were given up.
    pub async fn listings(&self, db_table: &str) -> Result<Vec<Listing>> {
        let listings = self.functions.listings(&DbTable(db_table.to_owned())).await;
        listings.map_err(failed(format!("read the tracker of `{db_table}`")))
    }

    /// Loads that ended in this time, oldest first.
    pub async fn loaded(&self, db_table: &str, times: RangeInclusive<i64>) -> Result<Vec<History>> {
        let loaded = |item| if let Item::Loaded(history) = item { Some(history) } else { None };
        Ok(self.between(db_table, Kind::Loaded, times).await?.into_iter().filter_map(loaded).collect())
    }

    /// The load that ended last.
    pub async fn last_load(&self, db_table: &str) -> Result<Option<History>> {
        let loaded = |item| if let Item::Loaded(history) = item { Some(history) } else { None };
        Ok(self.items(db_table, Kind::Loaded, Order::NewestFirst, 1).await?.pop().and_then(loaded))
    }

    /// Audit records of this time, oldest first.
    pub async fn audits(&self, db_table: &str, times: RangeInclusive<i64>) -> Result<Vec<Audit>> {
        let audit = |item| if let Item::Audit(audit) = item { Some(audit) } else { None };
        Ok(self.between(db_table, Kind::Audit, times).await?.into_iter().filter_map(audit).collect())
    }

    /// The current state of an object.
    pub async fn object(&self, bucket: &str, key: &str) -> Result<ObjectState> {
        self.functions.object(bucket, key).await.map_err(failed(format!("look at s3://{bucket}/{key}")))
    }

    /// The ledger entries of these objects, in every version.
    pub async fn ledger(&self, db_table: &str, bucket: &str, keys: &Keys) -> Result<Vec<LedgerEntry>> {
        let entries = self.functions.ledger_of(&DbTable(db_table.to_owned()), bucket, keys).await;
        entries.map_err(failed(format!("read the ledger of `{db_table}`")))
    }

    /// Tables with a running load, a pending load or a listing.
    pub async fn tables_with_work(&self) -> Result<BTreeSet<String>> {
        let tables = self.functions.tables_with_work().await.map_err(failed("read the index of the tracker"))?;
        Ok(tables.into_keys().map(|table| table.0).collect())
    }

    /// A page of a folder's objects, as the functions list it.
    pub async fn list(&self, bucket: &str, prefix: &str, after: Option<Position>) -> Result<Page> {
        self.functions.list(bucket, prefix, after).await.map_err(failed(format!("list s3://{bucket}/{prefix}")))
    }

    /// Number of rows in a Parquet file, from its footer.
    pub async fn rows(&self, file: &WaitingObject) -> Result<u64, String> {
        self.functions.rows(file).await
    }

    /// A part of exactly this version of a file.
    pub async fn part(&self, file: &WaitingObject, from: u64, length: u64) -> Result<Vec<u8>, String> {
        self.functions.part_of(file, from, length).await
    }

    /// The ledger marks of these object versions, by their ids.
    pub async fn marks(&self, table: &DbTable, ids: Vec<String>) -> Result<BTreeMap<String, LedgerMark>> {
        let ids: BTreeSet<String> = ids.into_iter().collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let ledger = self.functions.ledger(table, &ids, now_millis()).await;
        ledger.map_err(failed(format!("read the ledger of `{table}`", table = table.0)))
    }

    /// Writes an operator's transaction. Returns `false` if it was refused because the items have changed.
    pub async fn write(&self, transaction: &Transaction) -> Result<bool> {
        match self.functions.write(transaction).await.map_err(failed("write to the tracker"))? {
            Written::Done => Ok(true),
            Written::Refused(_) => Ok(false),
        }
    }
}

fn failed(wanted: impl std::fmt::Display) -> impl FnOnce(PortError) -> anyhow::Error {
    move |error| anyhow!("cannot {wanted}: {}", error.message)
}
