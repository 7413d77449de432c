//! What one invocation sees of the stage: every port, with the dice before every call.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, pending, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use loader_core::bulk_request::Position;
use loader_core::config::LoadConfig;
use loader_core::copy_options::CopyOptions;
use loader_core::ids::{DbTable, StatementName, WaitingObject};
use loader_core::limits::{BATCH_GET_KEYS_MAX, BATCH_WRITE_ITEMS_MAX, LOAD_PENDINGS_MAX};
use loader_core::outcome::FailureClass;
use loader_core::parquet::FileColumn;
use loader_core::tracker::item::{Item, LedgerEntry, LedgerMark, Millis, PendingLoad, SortKey};
use loader_core::tracker::listing::Listing;
use loader_core::tracker::prepare::ObjectState;
use loader_core::tracker::settle::StatementStatus;
use loader_core::tracker::view::{TableState, Work};
use loader_core::tracker::wire;
use loader_core::tracker::write::{Condition, Items, Transaction, WriteAction, Written, apply, slot_of};
use loader_reconcile::ports::{
    ConfigError, Configs, DataApi, Listed, Objects, Page, PortError, PortResult, Surroundings, Tracker,
};
use loader_reconcile::report::Event;
use rand::Rng;

use super::faults::{Fate, throw};
use super::happenings;
use super::stage::{Happening, Stage, TaskId, Wake};
use crate::exhaustive::state::{slot, slot_key};
use crate::exhaustive::world::{entered_of, ledger_of, pendings_at, pendings_of};
use crate::fixture::{Blob, MANIFEST_ROOT, slot_put};
use crate::mutant::{Mutant, Writer};

/// Waiting loads that one read of the slot returns with it, the newest.
const PAGE: usize = 8;

/// One invocation's world.
#[derive(Clone)]
pub struct Port {
    /// The stage.
    pub stage: Arc<Mutex<Stage>>,
    /// The invocation.
    pub id: TaskId,
    /// How far its clock is off.
    pub skew_millis: Millis,
    /// Whether an event brought it.
    pub hinted: bool,
}

impl Port {
    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holder(&self) -> String {
        format!("i{}", self.id)
    }

    async fn wait(&self, millis: Millis) {
        let until = self.lock().now + millis;
        poll_fn(|context| {
            let mut stage = self.lock();
            let left = until - stage.now;
            if left <= 0 {
                return Poll::Ready(());
            }
            stage.after(left, Wake::Task(self.id, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    async fn die(&self) {
        self.lock().dead.insert(self.id);
        pending::<()>().await;
    }

    /// A call: the dice say how it goes.
    async fn call<T: Send>(
        &self,
        operation: &'static str,
        perform: impl FnOnce(&mut Stage) -> PortResult<T> + Send,
    ) -> PortResult<T> {
        let throw = {
            let mut stage = self.lock();
            let per_mille = if stage.rough { stage.options.faults_per_mille } else { 0 };
            let outage = stage.rough && stage.is_out();
            let throw = throw(&mut stage.rng, per_mille, outage);
            stage.calls += 1;
            stage.faults +=
                usize::from(throw.fate != Fate::Answered || throw.before_millis.max(throw.after_millis) > 500);
            stage.trace((self.id, operation, throw));
            throw
        };
        let error = |unknown, class| PortError { operation, unknown, class, message: "simulated".to_owned() };
        self.wait(throw.before_millis).await;
        match throw.fate {
            Fate::Refused(class) => return Err(error(false, class)),
            Fate::LostBefore => return Err(error(true, FailureClass::RetryLater)),
            Fate::CrashBefore => self.die().await,
            Fate::Answered | Fate::LostAfter | Fate::CrashAfter => {}
        }
        let answer = perform(&mut self.lock());
        if throw.fate == Fate::CrashAfter {
            self.die().await;
        }
        self.wait(throw.after_millis).await;
        if throw.fate == Fate::LostAfter { Err(error(true, FailureClass::RetryLater)) } else { answer }
    }

    /// Applies it; a write about the slot must have been decided from the slot as it is.
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
}

/// Objects of one page of a listing.
const LIST_PAGE: usize = 40;

/// What is wrong with an item that is not read as it is written.
fn unread(table: &DbTable, action: &WriteAction) -> Option<String> {
    let WriteAction::Put(item, _) = action else { return None };
    match wire::decode(wire::encode(table, item)) {
        Ok(read) if read == **item => None,
        read => Some(format!("1 nothing lost: {item:?} is read as {read:?}")),
    }
}

impl Port {
    /// Reads something of a table's items.
    async fn items<T: Send>(
        &self,
        operation: &'static str,
        table: &DbTable,
        read: impl FnOnce(&Items) -> T + Send,
    ) -> PortResult<T> {
        self.call(operation, |stage| Ok(read(stage.items.entry(table.clone()).or_default()))).await
    }
}

impl Tracker for Port {
    /// In two pages, so that others write between the slot and the loads that wait.
    async fn state(&self, table: &DbTable) -> PortResult<TableState> {
        let slot = self.items("state", table, slot_of).await?;
        let newest = |items: &Items| {
            let mut backlog: Vec<PendingLoad> = pendings_of(items).cloned().collect();
            let older = backlog.len().saturating_sub(PAGE);
            (backlog.split_off(older), older == 0)
        };
        let (backlog, complete) = self.items("state", table, newest).await?;
        self.lock().seen.insert((self.id, table.clone()), slot_key(&slot));
        Ok(TableState { slot, backlog, complete })
    }

    async fn backlog(&self, table: &DbTable, limit: usize) -> PortResult<(Vec<PendingLoad>, bool)> {
        let oldest = |items: &Items| {
            let mut backlog: Vec<PendingLoad> = pendings_of(items).take(limit).cloned().collect();
            let complete = backlog.len() == pendings_of(items).count();
            if !complete && backlog.last().is_some_and(|last| !last.key.is_requested()) {
                let requested = pendings_of(items).filter(|pending| pending.key.is_requested());
                backlog.extend(requested.take(LOAD_PENDINGS_MAX).cloned());
            }
            (backlog, complete)
        };
        self.items("backlog", table, oldest).await
    }

    async fn waiting(
        &self,
        table: &DbTable,
        after: Option<SortKey>,
    ) -> PortResult<(Vec<PendingLoad>, Option<SortKey>)> {
        let page = |items: &Items| {
            let later = pendings_of(items).filter(|pending| after.as_ref().is_none_or(|after| pending.key > *after));
            let page: Vec<PendingLoad> = later.take(PAGE + 1).cloned().collect();
            let last = (page.len() > PAGE).then(|| page[PAGE - 1].key.clone());
            (page.into_iter().take(PAGE).collect(), last)
        };
        self.items("waiting", table, page).await
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

    /// In batches: where one fails, those before it are written.
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

impl Objects for Port {
    async fn object(&self, _: &str, key: &str) -> PortResult<ObjectState> {
        self.call("object", |stage| Ok(stage.bucket.get(key).map_or(ObjectState::Missing, Blob::state))).await
    }

    async fn columns(&self, file: &WaitingObject, _: &CopyOptions) -> Result<Vec<FileColumn>, String> {
        let key = &file.object.key;
        let read = |stage: &mut Stage| {
            let blob = stage.bucket.get(key).filter(|blob| blob.version(key) == file.object);
            Ok(blob.map_or_else(|| Err("another version".to_owned()), Blob::columns))
        };
        self.call("columns", read).await.unwrap_or_else(|error| Err(error.to_string()))
    }

    async fn put_manifest(&self, key: &str, content: &str) -> PortResult<()> {
        self.call("put_manifest", |stage| {
            let url = stage.options.mutant.manifest(&format!("{MANIFEST_ROOT}{key}"));
            stage.manifests.insert(url, content.to_owned());
            Ok(())
        })
        .await
    }

    fn manifest_root(&self) -> String {
        MANIFEST_ROOT.to_owned()
    }

    async fn list(&self, _: &str, prefix: &str, after: Option<Position>) -> PortResult<Page> {
        self.call("list", |stage| {
            let is_after = |key: &str| after.as_ref().is_none_or(|after| key > after.key.as_str());
            let below = stage.bucket.iter().filter(|(key, _)| key.starts_with(prefix) && is_after(key));
            let listed = |(key, blob): (&String, &Blob)| Listed { waiting: blob.waiting(key), modified_millis: 0 };
            let mut objects: Vec<Listed> = below.map(listed).take(LIST_PAGE + 1).collect();
            let more = objects.len() > LIST_PAGE;
            objects.truncate(LIST_PAGE);
            let last = objects.last().map(|listed| listed.waiting.object.key.clone());
            let next = last.filter(|_| more).map(|key| Position { key, version_id: None });
            Ok(Page { objects, next })
        })
        .await
    }
}

impl DataApi for Port {
    async fn submit(&self, _: &LoadConfig, name: &StatementName, sql: &[String]) -> PortResult<String> {
        let mut answer = self
            .call("submit", |stage| {
                let items = stage.items.entry(name.table.clone()).or_default();
                let token = stage.options.mutant.token(name, &self.holder(), items);
                let known = stage.warehouse.statements.len();
                let id = stage.warehouse.submit(name, &token, sql, stage.now);
                if stage.warehouse.statements.len() > known {
                    let slow = stage.rng.random_range(0..40) == 0;
                    let runs = stage.rng.random_range(500..if slow { 3_600_000 } else { 60_000 });
                    stage.happen(runs, Happening::StatementEnds(known));
                    if stage.warehouse.unfinished().values().any(|statements| *statements > 1) {
                        stage.violation(format!("3 one load per table: {name} beside another"));
                    }
                }
                Ok(id)
            })
            .await;
        if let Err(error) = &mut answer
            && error.unknown
            && self.lock().options.mutant == Mutant::UnknownIsRefused
        {
            (error.unknown, error.class) = (false, FailureClass::OperatorsTurn);
        }
        answer
    }

    async fn status(&self, _: &LoadConfig, statement_id: &str) -> PortResult<StatementStatus> {
        self.call("status", |stage| {
            let status = stage.warehouse.status(statement_id, stage.now);
            Ok(stage.options.mutant.status(status, self.hinted))
        })
        .await
    }

    async fn cancel(&self, statement_id: &str) -> PortResult<()> {
        self.call("cancel", |stage| {
            happenings::cancel(stage, statement_id);
            Ok(())
        })
        .await
    }

    async fn find(&self, _: &LoadConfig, name: &StatementName) -> PortResult<Option<String>> {
        self.call("find", |stage| Ok(stage.warehouse.find(name, stage.now))).await
    }

    async fn query(&self, _: &LoadConfig, sql: &str) -> PortResult<Vec<Vec<Option<String>>>> {
        self.call("query", |stage| {
            if sql.contains("information_schema") {
                return Ok(stage.warehouse.catalog());
            }
            let load_id = sql.rsplit('\'').nth(1).unwrap_or_default();
            let count = usize::from(stage.warehouse.ledger.contains(load_id));
            Ok(vec![vec![Some(count.to_string())]])
        })
        .await
    }
}

impl Configs for Port {
    fn queue(&self, queue: &str) -> impl Future<Output = Result<Arc<LoadConfig>, ConfigError>> + Send {
        let queue = queue.to_owned();
        async move {
            self.call("queue", |stage| Ok(stage.configs.get(&queue).cloned()))
                .await
                .map_err(ConfigError::Port)?
                .ok_or(ConfigError::Missing(queue))
        }
    }
}

impl Surroundings for Port {
    fn now(&self) -> Millis {
        self.lock().now + self.skew_millis
    }

    async fn sleep(&self, millis: u64) {
        self.wait(i64::try_from(millis).unwrap_or(0)).await;
    }

    fn report(&self, event: &Event) {
        let text = format!("{event:?}");
        let mut stage = self.lock();
        if text.contains("without an end") {
            stage.violation(format!("4 never stuck: {text}"));
        }
        stage.trace((self.id, text));
    }
}
