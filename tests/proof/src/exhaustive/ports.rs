//! The ports of the model: which calls are separate steps, and which belong to the step before them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use loader_core::bulk_request::Position;
use loader_core::config::LoadConfig;
use loader_core::copy_options::CopyOptions;
use loader_core::ids::{DbTable, StatementName, WaitingObject};
use loader_core::outcome::FailureClass;
use loader_core::parquet::FileColumn;
use loader_core::tracker::item::{Item, LedgerEntry, LedgerMark, Millis, PendingLoad, SortKey};
use loader_core::tracker::listing::Listing;
use loader_core::tracker::prepare::ObjectState;
use loader_core::tracker::settle::StatementStatus;
use loader_core::tracker::view::{TableState, Work};
use loader_core::tracker::write::{Transaction, Written};
use loader_reconcile::ports::{
    ConfigError, Configs, DataApi, Objects, Page, PortError, PortResult, Surroundings, Tracker,
};
use loader_reconcile::report::Event;

use super::state::{Ask, NotSubmitted, Reply, slot_key};
use super::world::{Effect, Inner, ModelWorld, work_of};
use crate::fixture::{Blob, CONFIGS, MANIFEST_ROOT, queue, slot_put};
use crate::items::{ledger_of, oldest_of, pendings_at};
use crate::mutant::Mutant;

/// Called when a replayed reply does not belong to the call: the round is not a function of its replies.
fn wrong(reply: &Reply) -> ! {
    panic!("the replay does not match the calls: {reply:?}")
}

/// The error of a call that was refused, or got no reply.
fn not_done(operation: &'static str, why: NotSubmitted) -> PortError {
    let (unknown, class) = match why {
        NotSubmitted::Refused(class) => (false, class),
        NotSubmitted::Unknown => (true, FailureClass::RetryLater),
    };
    PortError { operation, unknown, class, message: "model".to_owned() }
}

impl Tracker for ModelWorld {
    async fn state(&self, table: &DbTable) -> PortResult<TableState> {
        let reply = self.read(|inner| Reply::State(Box::new(self.table_state(inner, table)))).await;
        let Reply::State(state) = reply else { wrong(&reply) };
        self.lock().slot = Some(slot_key(&state.slot));
        Ok(*state)
    }

    async fn backlog(&self, table: &DbTable, limit: usize) -> PortResult<(Vec<PendingLoad>, Option<SortKey>)> {
        let reply = self
            .call(Ask::Backlog(limit), |inner, _| {
                let (backlog, rest) = oldest_of(inner.durable.of(table), None, limit);
                Reply::Backlog(backlog, rest)
            })
            .await;
        match reply {
            Reply::Backlog(backlog, rest) => Ok((backlog, rest)),
            reply => wrong(&reply),
        }
    }

    async fn waiting(&self, table: &DbTable, _: Option<SortKey>) -> PortResult<(Vec<PendingLoad>, Option<SortKey>)> {
        Ok((self.backlog(table, usize::MAX).await?.0, None))
    }

    async fn listings(&self, _: &DbTable) -> PortResult<Vec<Listing>> {
        Ok(Vec::new())
    }

    async fn pendings(&self, table: &DbTable, keys: &[SortKey]) -> PortResult<Vec<PendingLoad>> {
        match self.read(|inner| Reply::Pendings(pendings_at(inner.durable.of(table), keys))).await {
            Reply::Pendings(pendings) => Ok(pendings),
            reply => wrong(&reply),
        }
    }

    async fn ledger(
        &self,
        table: &DbTable,
        object_ids: &BTreeSet<String>,
        _: Millis,
    ) -> PortResult<BTreeMap<String, LedgerMark>> {
        let reply = self
            .call(Ask::Ledger(object_ids.clone()), |inner, _| {
                let known = ledger_of(inner.durable.of(table), object_ids);
                Reply::Ledger(self.mutant.ledger(known, inner.bug.ledger.as_ref()))
            })
            .await;
        match reply {
            Reply::Ledger(ledger) => Ok(ledger),
            reply => wrong(&reply),
        }
    }

    async fn entered(&self, _: &DbTable, _: &BTreeSet<String>) -> PortResult<BTreeMap<String, Millis>> {
        Ok(BTreeMap::new())
    }

    async fn enter(&self, table: &DbTable, entries: &[LedgerEntry]) -> PortResult<()> {
        if self.mutant == Mutant::EntriesAfterRelease {
            return Ok(());
        }
        self.call(Ask::Enter(entries.to_vec()), |inner, _| {
            for entry in entries {
                inner.durable.change(table).insert(SortKey::file(&entry.object), Item::File(entry.clone()));
            }
            Reply::Done
        })
        .await;
        Ok(())
    }

    async fn write(&self, transaction: &Transaction) -> PortResult<Written> {
        let ask = Ask::Write(transaction.clone());
        match self.call(ask, |inner, _| self.perform_write(inner, transaction)).await {
            Reply::Written(refused) if refused.is_empty() => Ok(Written::Done),
            Reply::Written(_) if self.mutant == Mutant::RefusedIsDone && slot_put(transaction).is_some() => {
                Ok(Written::Done)
            }
            Reply::Written(refused) => Ok(Written::Refused(refused)),
            reply => wrong(&reply),
        }
    }

    async fn tables_with_work(&self) -> PortResult<BTreeMap<DbTable, Work>> {
        let index = |inner: &mut Inner| Reply::Work(self.mutant.work(work_of(&inner.durable)));
        match self.read(index).await {
            Reply::Work(work) => Ok(work),
            reply => wrong(&reply),
        }
    }
}

impl Objects for ModelWorld {
    async fn object(&self, _: &str, key: &str) -> PortResult<ObjectState> {
        let state = |blob: Option<&Blob>| blob.map_or(ObjectState::Missing, Blob::state);
        match self.read(|inner| Reply::Object(state(inner.durable.bucket.get(key)))).await {
            Reply::Object(state) => Ok(state),
            reply => wrong(&reply),
        }
    }

    async fn columns(&self, file: &WaitingObject, _: &CopyOptions) -> PortResult<Result<Vec<FileColumn>, String>> {
        let key = &file.object.key;
        let read = |inner: &mut Inner| {
            let bucket = &inner.durable.bucket;
            let blob = bucket.get(key).filter(|blob| blob.version(key) == file.object);
            let described = blob.and_then(|blob| self.mutant.shape_source(blob, bucket));
            Reply::Columns(described.map_or_else(|| Err("another version".to_owned()), Blob::columns))
        };
        match self.read(read).await {
            Reply::Columns(columns) => Ok(columns),
            reply => wrong(&reply),
        }
    }

    async fn put_manifest(&self, key: &str, content: &str) -> PortResult<()> {
        let url = self.mutant.manifest(&format!("{MANIFEST_ROOT}{key}"));
        let put = |inner: &mut Inner| {
            inner.durable.manifests.insert(url, content.to_owned());
            Reply::Done
        };
        if self.mutant.manifest_is_a_step() {
            self.call(Ask::PutManifest(key.to_owned(), content.to_owned()), |inner, _| put(inner)).await;
        } else {
            self.read(put).await;
        }
        Ok(())
    }

    fn manifest_root(&self) -> String {
        MANIFEST_ROOT.to_owned()
    }

    async fn part(&self, _: &str, _: &str, _: u64, _: u64) -> PortResult<Vec<u8>> {
        unreachable!("no invocation of the model reads an inventory")
    }

    async fn list(&self, _: &str, _: &str, _: Option<Position>) -> PortResult<Page> {
        unreachable!("no invocation of the model lists a folder")
    }
}

impl DataApi for ModelWorld {
    async fn submit(&self, _: &LoadConfig, name: &StatementName, sql: &[String]) -> PortResult<String> {
        let ask = Ask::Submit { name: name.clone(), sql: sql.to_vec() };
        let sql: Vec<String> = sql.iter().map(|text| self.mutant.manifest(text)).collect();
        let reply = self
            .call(ask, |inner, effect| {
                let token = self.mutant.token(name, &self.holder, inner.durable.of(&name.table));
                let sql = self.mutant.statements(sql, &mut inner.durable.warehouse);
                let mut accept = || inner.durable.warehouse.submit(name, &token, &sql, self.now);
                Reply::Submitted(match effect {
                    Effect::Done => Ok(accept()),
                    Effect::Refused(class) => Err(NotSubmitted::Refused(class)),
                    Effect::DoneUnanswered => {
                        accept();
                        Err(NotSubmitted::Unknown)
                    }
                    Effect::LostUnanswered => Err(NotSubmitted::Unknown),
                })
            })
            .await;
        match reply {
            Reply::Submitted(Ok(id)) => Ok(id),
            Reply::Submitted(Err(NotSubmitted::Unknown)) if self.mutant == Mutant::UnknownIsRefused => {
                Err(not_done("submit", NotSubmitted::Refused(FailureClass::OperatorsTurn)))
            }
            Reply::Submitted(Err(why)) => Err(not_done("submit", why)),
            reply => wrong(&reply),
        }
    }

    async fn status(&self, _: &LoadConfig, statement_id: &str) -> PortResult<StatementStatus> {
        let reply = self
            .call(Ask::Status(statement_id.to_owned()), |inner, _| {
                let status = inner.durable.warehouse.status(statement_id, self.now);
                Reply::Status(self.mutant.status(status, self.hinted))
            })
            .await;
        match reply {
            Reply::Status(status) => Ok(status),
            reply => wrong(&reply),
        }
    }

    async fn cancel(&self, statement_id: &str) -> PortResult<()> {
        let reply = self
            .call(Ask::Cancel(statement_id.to_owned()), |inner, effect| {
                let warehouse = &mut inner.durable.warehouse;
                let cancelled = self.mutant.cancelled(statement_id, warehouse);
                if matches!(effect, Effect::Done | Effect::DoneUnanswered) {
                    warehouse.cancel(&cancelled);
                }
                match effect {
                    Effect::Done => Reply::Done,
                    Effect::Refused(class) => Reply::NotDone(NotSubmitted::Refused(class)),
                    Effect::DoneUnanswered | Effect::LostUnanswered => Reply::NotDone(NotSubmitted::Unknown),
                }
            })
            .await;
        match reply {
            Reply::Done => Ok(()),
            Reply::NotDone(why) => Err(not_done("cancel", why)),
            reply => wrong(&reply),
        }
    }

    async fn find(&self, _: &LoadConfig, name: &StatementName) -> PortResult<Option<String>> {
        let reply = self
            .call(Ask::Find(name.clone()), |inner, _| Reply::Found(inner.durable.warehouse.find(name, self.now)))
            .await;
        match reply {
            Reply::Found(found) => Ok(found),
            reply => wrong(&reply),
        }
    }

    async fn query(&self, config: &LoadConfig, _: &str) -> PortResult<Vec<Vec<Option<String>>>> {
        match self.read(|inner| Reply::Rows(inner.durable.warehouse.catalog(&config.db_table()))).await {
            Reply::Rows(rows) => Ok(rows),
            reply => wrong(&reply),
        }
    }
}

impl Configs for ModelWorld {
    async fn queue(&self, name: &str) -> Result<Arc<LoadConfig>, ConfigError> {
        let table = (0..CONFIGS.len()).find(|table| queue(*table) == name);
        table.map(|table| self.mutant.config(table)).ok_or_else(|| ConfigError::Missing(name.to_owned()))
    }
}

impl Surroundings for ModelWorld {
    fn now(&self) -> Millis {
        self.lock().clock
    }

    async fn sleep(&self, millis: u64) {
        let millis = i64::try_from(millis).unwrap_or(0);
        if self.direct {
            self.lock().clock += millis;
            return;
        }
        let until = self.now() + millis;
        self.call(Ask::Sleep(until), |_, _| Reply::Done).await;
    }

    fn report(&self, _: &Event) {}
}
