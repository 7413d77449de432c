//! What one invocation sees of the stage: every port, with the dice before every call.

use std::collections::BTreeSet;
use std::future::{Future, pending, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use loader_core::config::LoadConfig;
use loader_core::ids::DbTable;
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::{Item, Millis, PendingLoad, RunningLoad, SortKey, WaitingObject};
use loader_core::tracker::prepare::Look;
use loader_core::tracker::settle::StatementStatus;
use loader_core::tracker::wire;
use loader_core::tracker::write::{Transaction, WriteAction, Written, apply};
use loader_reconcile::ports::{Answer, ConfigError, Configs, Objects, PortError, Surroundings, Tracker, Warehouse};
use loader_reconcile::report::Event;
use rand::Rng;

use super::faults::{Fate, throw};
use super::happenings::Happening;
use super::stage::{Stage, TaskId, Wake};
use crate::exhaustive::state::slot;
use crate::fixture::MANIFEST_ROOT;
use crate::mutant::Writer;

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
        perform: impl FnOnce(&mut Stage) -> Answer<T> + Send,
    ) -> Answer<T> {
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
        let about_slot = transaction.actions.iter().any(|action| action.key() == SortKey::running());
        if written == Written::Done && about_slot {
            let seen = stage.seen.get(&(self.id, transaction.table.clone())).cloned().flatten();
            if seen != before {
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

/// What is wrong with an item that is not read as it is written.
fn unread(table: &DbTable, action: &WriteAction) -> Option<String> {
    let WriteAction::Put(item, _) = action else { return None };
    match wire::decode(wire::encode(table, item)) {
        Ok(read) if read == **item => None,
        read => Some(format!("1 nothing lost: {item:?} is read as {read:?}")),
    }
}

impl Tracker for Port {
    async fn running(&self, table: &DbTable) -> Answer<Option<RunningLoad>> {
        self.call("running", |stage| {
            let running = match stage.items.get(table).and_then(|items| items.get(&SortKey::running())) {
                Some(Item::Running(running)) => Some(running.clone()),
                _ => None,
            };
            let seen = running.as_ref().map(|running| (running.load_id.clone(), running.version));
            stage.seen.insert((self.id, table.clone()), seen);
            Ok(running)
        })
        .await
    }

    async fn backlog(&self, table: &DbTable, limit: usize) -> Answer<Vec<PendingLoad>> {
        self.call("backlog", |stage| {
            let items = stage.items.get(table).into_iter().flat_map(|items| items.values());
            let pendings = items.filter_map(|item| match item {
                Item::Pending(pending) => Some(pending.clone()),
                _ => None,
            });
            Ok(pendings.take(limit).collect())
        })
        .await
    }

    async fn pendings(&self, table: &DbTable, keys: &[SortKey]) -> Answer<Vec<PendingLoad>> {
        self.call("pendings", |stage| {
            let items = stage.items.entry(table.clone()).or_default();
            let of = |key: &SortKey| match items.get(key) {
                Some(Item::Pending(pending)) => Some(pending.clone()),
                _ => None,
            };
            Ok(keys.iter().filter_map(of).collect())
        })
        .await
    }

    async fn existing(&self, table: &DbTable, keys: &BTreeSet<SortKey>, _: Millis) -> Answer<BTreeSet<SortKey>> {
        self.call("existing", |stage| {
            let items = stage.items.entry(table.clone()).or_default();
            Ok(keys.iter().filter(|key| items.contains_key(key)).cloned().collect())
        })
        .await
    }

    async fn write(&self, transaction: &Transaction) -> Answer<Written> {
        self.call("write", |stage| Ok(self.perform_write(stage, transaction))).await
    }

    async fn tables_with_work(&self) -> Answer<BTreeSet<DbTable>> {
        self.call("tables_with_work", |stage| {
            let works = |item: &Item| matches!(item, Item::Running(_) | Item::Pending(_));
            let tables = stage.items.iter().filter(|(_, items)| items.values().any(works));
            Ok(tables.map(|(table, _)| table.clone()).collect())
        })
        .await
    }
}

impl Objects for Port {
    async fn look(&self, _: &str, key: &str) -> Answer<Look> {
        self.call("look", |stage| Ok(stage.bucket.get(key).map_or(Look::Missing, crate::fixture::Blob::look))).await
    }

    async fn put_manifest(&self, key: &str, content: &str) -> Answer<()> {
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

    async fn list(&self, _: &str, prefix: &str) -> Answer<Vec<WaitingObject>> {
        self.call("list", |stage| {
            let below = stage.bucket.iter().filter(|(key, _)| key.starts_with(prefix));
            Ok(below.map(|(key, blob)| blob.waiting(key)).collect())
        })
        .await
    }
}

impl Warehouse for Port {
    async fn submit(&self, _: &LoadConfig, name: &str, token: &str, sql: &[String]) -> Answer<String> {
        let mut answer = self
            .call("submit", |stage| {
                let token = stage.options.mutant.token(token, &self.holder());
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
            && self.lock().options.mutant == crate::mutant::Mutant::UnknownIsRefused
        {
            (error.unknown, error.class) = (false, FailureClass::OperatorsTurn);
        }
        answer
    }

    async fn status(&self, _: &LoadConfig, statement_id: &str) -> Answer<StatementStatus> {
        self.call("status", |stage| {
            let status = stage.warehouse.status(statement_id, stage.now);
            Ok(stage.options.mutant.status(status, self.hinted))
        })
        .await
    }

    async fn find(&self, _: &LoadConfig, name: &str) -> Answer<Option<String>> {
        self.call("find", |stage| Ok(stage.warehouse.find(name, stage.now))).await
    }

    async fn query(&self, _: &LoadConfig, sql: &str) -> Answer<Vec<Vec<Option<String>>>> {
        self.call("query", |stage| {
            if sql.contains("information_schema") {
                return Ok(["id", "at"].map(|name| vec![Some(name.to_owned()), None]).to_vec());
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
