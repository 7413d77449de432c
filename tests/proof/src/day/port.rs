//! The ports of an invocation: each call has its latency, price and quota.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use loader_core::bulk_request::Position;
use loader_core::config::LoadConfig;
use loader_core::copy_options::CopyOptions;
use loader_core::ids::{DbTable, StatementName, WaitingObject};
use loader_core::limits::{BATCH_GET_KEYS_MAX, BATCH_WRITE_ITEMS_MAX, LOAD_METADATA_BYTES_MAX};
use loader_core::outcome::FailureClass;
use loader_core::parquet::FileColumn;
use loader_core::tracker::change::Committed;
use loader_core::tracker::item::{Item, LedgerEntry, LedgerMark, Millis, PendingLoad, SortKey};
use loader_core::tracker::listing::Listing;
use loader_core::tracker::pack;
use loader_core::tracker::prepare::ObjectState;
use loader_core::tracker::settle::StatementStatus;
use loader_core::tracker::view::{TableState, Work};
use loader_core::tracker::write::{Transaction, Written};
use loader_reconcile::ports::{
    ConfigError, Configs, DataApi, Objects, Page, PortError, PortResult, Surroundings, Tracker,
};
use loader_reconcile::report::Event;
use rand::Rng;

use super::stage::{Stage, Wake};
use super::{file_of, object_state};
use crate::fixture::MANIFEST_ROOT;

/// Pending loads that a read of a table returns with the slot: the newest.
const STATE_PENDINGS: usize = 9;
/// Batches that are read or written concurrently.
const BATCHES_AT_ONCE: u64 = 8;
/// Bytes of a page of a query or scan, of a read unit, and of a key in the index of tables with work.
const PAGE_BYTES: u64 = 1 << 20;
const READ_UNIT_BYTES: u64 = 4096;
const INDEX_KEY_BYTES: u64 = 200;
/// How long a function caches a queue's configuration.
const CONFIG_CACHE_MILLIS: i64 = 60_000;
/// Longest backoff of the SDK.
const SDK_WAIT_MILLIS_MAX: u64 = 20_000;

/// The ports of an invocation.
#[derive(Clone)]
pub struct Port {
    /// The shared state.
    pub stage: Arc<Mutex<Stage>>,
    /// The invocation.
    pub id: usize,
    /// Whether the invocation is a sweep.
    pub sweep: bool,
}

/// One or more calls of an operation, and the number of consecutive round trips they take.
#[derive(Clone, Copy)]
struct Call {
    operation: &'static str,
    calls: u64,
    trips: u64,
}

impl Call {
    const fn one(operation: &'static str) -> Self {
        Self { operation, calls: 1, trips: 1 }
    }

    /// The calls for all batches of these items, some of them concurrent.
    fn batches(operation: &'static str, items: usize, per_batch: usize) -> Self {
        let calls = items.div_ceil(per_batch) as u64;
        Self { operation, calls, trips: calls.div_ceil(BATCHES_AT_ONCE) }
    }
}

impl Port {
    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait(&self, millis: Millis) {
        let until = self.lock().now + millis;
        let mut set = false;
        poll_fn(|context| {
            let mut stage = self.lock();
            let left = until - stage.now;
            if left <= 0 {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut set, true) {
                stage.after(left, Wake::Task(self.id, context.waker().clone()));
            }
            Poll::Pending
        })
        .await;
    }

    fn latency_millis(&self, operation: &str) -> i64 {
        let cost = &self.lock().cost;
        match operation.split(':').next() {
            Some("dynamodb") => cost.dynamodb_millis,
            Some("s3") => cost.s3_millis,
            _ => cost.data_api_millis,
        }
    }

    /// A call without a quota.
    async fn free<T: Send>(&self, call: Call, perform: impl FnOnce(&mut Stage) -> T + Send) -> T {
        let millis = self.latency_millis(call.operation) * i64::try_from(call.trips).unwrap_or(1);
        self.wait(millis).await;
        let mut stage = self.lock();
        stage.count(call.operation, call.calls);
        if self.sweep {
            stage.count_sweep(call.calls);
        }
        perform(&mut stage)
    }

    /// A call with a quota. The SDK retries it a few times if it is refused.
    async fn limited<T: Send>(
        &self,
        call: Call,
        admit: impl Fn(&mut Stage) -> bool + Send + Sync,
        perform: impl FnOnce(&mut Stage) -> T + Send,
    ) -> PortResult<T> {
        let attempts = self.lock().cost.sdk_attempts;
        for attempt in 0..attempts {
            if self.free(call, &admit).await {
                return Ok(perform(&mut self.lock()));
            }
            let most = (1000 << attempt).min(SDK_WAIT_MILLIS_MAX);
            let millis = self.lock().rng.random_range(0..most);
            if attempt + 1 < attempts {
                self.wait(i64::try_from(millis).unwrap_or(0)).await;
            }
        }
        let message = "ThrottlingException: Rate exceeded".to_owned();
        Err(PortError { operation: call.operation, unknown: false, class: FailureClass::RetryLater, message })
    }

    /// A write that takes write units of a table's partition key.
    async fn units<T: Send>(
        &self,
        call: Call,
        table: &DbTable,
        units: impl Fn(&mut Stage) -> u64 + Send + Sync,
        perform: impl FnOnce(&mut Stage) -> T + Send,
    ) -> PortResult<T> {
        let admit = |stage: &mut Stage| {
            let (number, per_second) = (stage.numbers[table], stage.cost.partition_write_units_per_second);
            let units = units(stage);
            let admitted = stage.admits("DynamoDB write units of a partition key", number, units, per_second);
            stage.counts.write_units += if admitted { units } else { 0 };
            admitted
        };
        self.limited(call, admit, perform).await
    }
}

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

impl Objects for Port {
    async fn object(&self, _: &str, key: &str) -> PortResult<ObjectState> {
        let look = |stage: &mut Stage| {
            file_of(key).map_or(ObjectState::Missing, |file| object_state(file, stage.files[file].size_bytes))
        };
        Ok(self.free(Call::one("s3:HeadObject"), look).await)
    }

    async fn columns(&self, _: &WaitingObject, _: &CopyOptions) -> PortResult<Result<Vec<FileColumn>, String>> {
        unreachable!("no configuration of the day compares files")
    }

    async fn put_manifest(&self, key: &str, content: &str) -> PortResult<()> {
        let files = content.split("\"url\":").skip(1).filter_map(|rest| file_of(rest.split('"').nth(1)?)).collect();
        let put = |stage: &mut Stage| stage.manifests.insert(format!("{MANIFEST_ROOT}{key}"), files).map_or((), drop);
        self.free(Call::one("s3:PutObject"), put).await;
        Ok(())
    }

    fn manifest_root(&self) -> String {
        MANIFEST_ROOT.to_owned()
    }

    async fn part(&self, _: &str, _: &str, _: u64, _: u64) -> PortResult<Vec<u8>> {
        Ok(Vec::new())
    }

    async fn list(&self, _: &str, _: &str, _: Option<Position>) -> PortResult<Page> {
        Ok(Page::default())
    }
}

impl DataApi for Port {
    async fn submit(&self, _: &LoadConfig, name: &StatementName, sql: &[String]) -> PortResult<String> {
        let copy = sql.iter().find_map(|text| text.split_once(" FROM '")?.1.split('\'').next());
        let manifest = copy.unwrap_or_default();
        let admit = |stage: &mut Stage| {
            if stage.active >= stage.cost.active_statements_max {
                stage.refuse("Data API active statements");
                return false;
            }
            let per_second = stage.cost.submits_per_second;
            stage.admits("Data API BatchExecuteStatement per second", 0, 1, per_second)
        };
        let submit = |stage: &mut Stage| format!("s{}", stage.submit(name.to_string(), manifest));
        self.limited(Call::one("redshift-data:BatchExecuteStatement"), admit, submit).await
    }

    async fn status(&self, _: &LoadConfig, statement_id: &str) -> PortResult<StatementStatus> {
        let admit = |stage: &mut Stage| {
            let per_second = stage.cost.describes_per_second;
            stage.admits("Data API DescribeStatement per second", 0, 1, per_second)
        };
        let status = |stage: &mut Stage| {
            let index: usize = statement_id.trim_start_matches('s').parse().unwrap_or(usize::MAX);
            match stage.statements.get(index).map(|statement| statement.ended) {
                None => StatementStatus::Forgotten,
                Some(false) => StatementStatus::Running,
                Some(true) => StatementStatus::Finished(Committed::default()),
            }
        };
        self.limited(Call::one("redshift-data:DescribeStatement"), admit, status).await
    }

    async fn cancel(&self, _: &str) -> PortResult<()> {
        Ok(())
    }

    async fn find(&self, _: &LoadConfig, _: &StatementName) -> PortResult<Option<String>> {
        Ok(None)
    }

    async fn query(&self, _: &LoadConfig, _: &str) -> PortResult<Vec<Vec<Option<String>>>> {
        Ok(Vec::new())
    }
}

impl Configs for Port {
    /// Configurations are cached for a minute. All invocations share the cache, which is the best case of warm functions.
    fn queue(&self, queue: &str) -> impl Future<Output = Result<Arc<LoadConfig>, ConfigError>> + Send {
        let table: usize = queue.trim_start_matches('q').parse().unwrap_or(0);
        async move {
            let known = {
                let stage = self.lock();
                stage.configs_read[table] + CONFIG_CACHE_MILLIS > stage.now
            };
            let get = |stage: &mut Stage| {
                stage.configs_read[table] = stage.now;
                stage.configs[table].clone()
            };
            if known {
                Ok(self.lock().configs[table].clone())
            } else {
                Ok(self.free(Call::one("s3:GetObject"), get).await)
            }
        }
    }
}

impl Surroundings for Port {
    fn now(&self) -> Millis {
        self.lock().now
    }

    async fn sleep(&self, millis: u64) {
        self.wait(i64::try_from(millis).unwrap_or(0)).await;
    }

    fn report(&self, event: &Event) {
        if let Event::Refused { why, .. } | Event::NotOurs { why } = event {
            self.lock().violations.insert(why.clone());
        }
        if let Event::Awake { at_millis, .. } = event {
            self.lock().minutes_awake.insert(at_millis / 60_000);
        }
        if let Event::Recorded { .. } = event {
            let mut stage = self.lock();
            let minute = stage.now / 60_000;
            stage.minutes_recorded.insert(minute);
        }
    }
}
