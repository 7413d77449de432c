//! A [`World`] in memory for the model checker: answers of this round are replayed, then one call is made, then reads are
//! answered at once, until the next call that is a step of its own: there the future is dropped, and the state remembers.

use std::collections::{BTreeSet, VecDeque};
use std::future::pending;
use std::sync::{Arc, Mutex};

use loader_core::config::LoadConfig;
use loader_core::ids::DbTable;
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::{Item, Millis, PendingLoad, RunningLoad, SortKey, WaitingObject};
use loader_core::tracker::prepare::Look;
use loader_core::tracker::settle::StatementStatus;
use loader_core::tracker::write::{Condition, Items, Transaction, WriteAction, Written, apply};
use loader_reconcile::ports::{Answer, ConfigError, Configs, Objects, PortError, Surroundings, Tracker, Warehouse};
use loader_reconcile::report::Event;

use super::state::{Ask, Durable, NotSubmitted, Reply, slot};
use crate::fixture::{CONFIGS, MANIFEST_ROOT, TABLES, queue};
use crate::mutant::{Mutant, Writer};

/// How a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It is done and answered.
    Done,
    /// It is refused.
    Refused(FailureClass),
    /// It is done; the answer is lost.
    DoneUnanswered,
    /// It is not done, and nobody says so.
    LostUnanswered,
}

/// The world of one poll.
pub struct ModelWorld {
    inner: Mutex<Inner>,
    now: Millis,
    /// Every call is made at once: the drain.
    direct: bool,
    mutant: Mutant,
    holder: String,
    hinted: bool,
}

/// What changes while a world is polled.
pub struct Inner {
    /// The durable state.
    pub durable: Durable,
    replay: VecDeque<(Millis, Reply)>,
    /// All answers of this round.
    pub replies: Vec<(Millis, Reply)>,
    /// The instant of the latest answer: what was decided then is not decided again now.
    clock: Millis,
    permit: Option<Effect>,
    /// The call at which the future stopped.
    pub ask: Option<Ask>,
    /// The slot as read in this round.
    pub slot: Option<(loader_core::ids::LoadId, u64)>,
    /// What must never happen, once it did.
    pub broken: Option<&'static str>,
    /// Whether a write was refused.
    pub refused: bool,
}

/// Who asks, and how far they are.
pub struct Caller<'a> {
    /// Name.
    pub holder: &'a str,
    /// Whether an event brought it.
    pub hinted: bool,
    /// When the round began.
    pub began: Millis,
    /// Answers of this round.
    pub replies: &'a [(Millis, Reply)],
    /// The slot as read in this round.
    pub slot: Option<(loader_core::ids::LoadId, u64)>,
}

impl ModelWorld {
    /// Replays, makes one call with this effect, goes on to the next.
    pub fn stepping(durable: Durable, now: Millis, mutant: Mutant, caller: &Caller, effect: Option<Effect>) -> Self {
        Self::new(durable, now, mutant, caller, effect, false)
    }

    /// Every call is made at once and answered.
    pub fn direct(durable: Durable, now: Millis, mutant: Mutant, holder: &str) -> Self {
        let caller = Caller { holder, hinted: false, began: now, replies: &[], slot: None };
        Self::new(durable, now, mutant, &caller, None, true)
    }

    fn new(
        durable: Durable,
        now: Millis,
        mutant: Mutant,
        caller: &Caller,
        permit: Option<Effect>,
        direct: bool,
    ) -> Self {
        let inner = Inner {
            durable,
            replay: caller.replies.iter().cloned().collect(),
            replies: Vec::new(),
            clock: caller.began,
            permit,
            ask: None,
            slot: caller.slot.clone(),
            broken: None,
            refused: false,
        };
        Self { inner: Mutex::new(inner), now, direct, mutant, holder: caller.holder.to_owned(), hinted: caller.hinted }
    }

    /// What it has become.
    pub fn into_inner(self) -> Inner {
        self.inner.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A read that is part of the step before it.
    fn read(&self, answer: impl FnOnce(&mut Inner) -> Reply) -> Reply {
        let mut inner = self.lock();
        let now = self.now.max(inner.clock);
        let timed = inner.replay.pop_front().unwrap_or_else(|| (now, answer(&mut inner)));
        inner.take(timed)
    }

    /// A call that is a step of its own.
    async fn call(&self, ask: Ask, perform: impl FnOnce(&mut Inner, Effect) -> Reply) -> Reply {
        let done = {
            let mut inner = self.lock();
            let permitted = if self.direct { Some(Effect::Done) } else { inner.permit };
            let timed = match (inner.replay.pop_front(), permitted) {
                (Some(timed), _) => Some(timed),
                (None, Some(effect)) => {
                    inner.permit = None;
                    let now = self.now.max(inner.clock);
                    Some((now, perform(&mut inner, effect)))
                }
                (None, None) => {
                    inner.ask = Some(ask);
                    None
                }
            };
            timed.map(|timed| inner.take(timed))
        };
        match done {
            Some(reply) => reply,
            None => pending().await,
        }
    }
}

impl Inner {
    fn take(&mut self, (at, reply): (Millis, Reply)) -> Reply {
        self.clock = at;
        self.replies.push((at, reply.clone()));
        reply
    }
}

fn pendings_of(items: &Items) -> impl Iterator<Item = &PendingLoad> {
    items.values().filter_map(|item| match item {
        Item::Pending(pending) => Some(pending),
        _ => None,
    })
}

fn wrong(reply: &Reply) -> PortError {
    PortError { operation: "model", unknown: false, class: FailureClass::Unexplained, message: format!("{reply:?}") }
}

impl Tracker for ModelWorld {
    async fn running(&self, table: &DbTable) -> Answer<Option<RunningLoad>> {
        let reply = self.read(|inner| {
            Reply::Running(match inner.durable.of(table).get(&SortKey::running()) {
                Some(Item::Running(running)) => Some(Box::new(running.clone())),
                _ => None,
            })
        });
        let Reply::Running(running) = reply else { return Err(wrong(&reply)) };
        self.lock().slot = running.as_ref().map(|running| (running.load_id.clone(), running.version));
        Ok(running.map(|running| *running))
    }

    async fn backlog(&self, table: &DbTable, limit: usize) -> Answer<Vec<PendingLoad>> {
        let reply =
            self.read(|inner| Reply::Pendings(pendings_of(inner.durable.of(table)).take(limit).cloned().collect()));
        match reply {
            Reply::Pendings(pendings) => Ok(pendings),
            reply => Err(wrong(&reply)),
        }
    }

    async fn pendings(&self, table: &DbTable, keys: &[SortKey]) -> Answer<Vec<PendingLoad>> {
        let answer = |inner: &mut Inner| {
            let items = inner.durable.of(table);
            let of = |key: &SortKey| match items.get(key) {
                Some(Item::Pending(pending)) => Some(pending.clone()),
                _ => None,
            };
            Reply::Pendings(keys.iter().filter_map(of).collect())
        };
        let after_call = self.lock().replies.last().is_some_and(|(_, reply)| matches!(reply, Reply::Status(_)));
        let reply = if after_call {
            self.read(answer)
        } else {
            self.call(Ask::Look(keys.to_vec()), |inner, _| answer(inner)).await
        };
        match reply {
            Reply::Pendings(pendings) => Ok(pendings),
            reply => Err(wrong(&reply)),
        }
    }

    async fn existing(&self, table: &DbTable, keys: &BTreeSet<SortKey>, _: Millis) -> Answer<BTreeSet<SortKey>> {
        let there = |inner: &mut Inner| {
            let items = inner.durable.of(table);
            keys.iter().filter(|key| items.contains_key(key)).cloned().collect()
        };
        match self.read(|inner| Reply::Existing(there(inner))) {
            Reply::Existing(keys) => Ok(keys),
            reply => Err(wrong(&reply)),
        }
    }

    async fn write(&self, transaction: &Transaction) -> Answer<Written> {
        let ask = Ask::Write(transaction.clone());
        let reply = self.call(ask, |inner, _| self.perform_write(inner, transaction)).await;
        match reply {
            Reply::Written(refused) if refused.is_empty() => Ok(Written::Done),
            Reply::Written(refused) => Ok(Written::Refused(refused)),
            reply => Err(wrong(&reply)),
        }
    }

    async fn tables_with_work(&self) -> Answer<BTreeSet<DbTable>> {
        Ok(TABLES.iter().cloned().collect())
    }
}

impl ModelWorld {
    /// Applies it; and notes when a write of somebody who was overtaken took effect.
    fn perform_write(&self, inner: &mut Inner, transaction: &Transaction) -> Reply {
        let items = inner.durable.of(&transaction.table);
        let before = slot(items);
        let writer = Writer { holder: &self.holder, items };
        let real = self.mutant.transaction(transaction.clone(), &writer);
        if let Written::Refused(refused) = apply(items, &real) {
            inner.refused = true;
            return Reply::Written(refused);
        }
        let about_slot = transaction.actions.iter().any(|action| action.key() == SortKey::running());
        if about_slot && before != inner.slot {
            inner.broken = Some("a write decided from an old state of the slot took effect");
        }
        let claims = transaction.actions.iter().any(
            |action| matches!(action, WriteAction::Put(item, Condition::Absent) if matches!(**item, Item::Running(_))),
        );
        if claims && before.is_some() {
            inner.broken = Some("a held slot was claimed");
        }
        Reply::Written(Vec::new())
    }
}

impl Objects for ModelWorld {
    async fn look(&self, _: &str, key: &str) -> Answer<Look> {
        let reply = self
            .read(|inner| Reply::Look(inner.durable.bucket.get(key).map_or(Look::Missing, crate::fixture::Blob::look)));
        match reply {
            Reply::Look(look) => Ok(look),
            reply => Err(wrong(&reply)),
        }
    }

    async fn put_manifest(&self, key: &str, content: &str) -> Answer<()> {
        let url = self.mutant.manifest(&format!("{MANIFEST_ROOT}{key}"));
        let put = |inner: &mut Inner| {
            inner.durable.manifests.insert(url, content.to_owned());
            Reply::Done
        };
        if self.mutant.manifest_is_a_step() {
            self.call(Ask::PutManifest(key.to_owned(), content.to_owned()), |inner, _| put(inner)).await;
        } else {
            self.read(put);
        }
        Ok(())
    }

    fn manifest_root(&self) -> String {
        MANIFEST_ROOT.to_owned()
    }

    async fn list(&self, _: &str, prefix: &str) -> Answer<Vec<WaitingObject>> {
        let inner = self.lock();
        let below = inner.durable.bucket.iter().filter(|(key, _)| key.starts_with(prefix));
        Ok(below.map(|(key, blob)| blob.waiting(key)).collect())
    }
}

impl Warehouse for ModelWorld {
    async fn submit(&self, _: &LoadConfig, name: &str, token: &str, sql: &[String]) -> Answer<String> {
        let ask = Ask::Submit { name: name.to_owned(), token: token.to_owned(), sql: sql.to_vec() };
        let token = self.mutant.token(token, &self.holder);
        let sql: Vec<String> = sql.iter().map(|text| self.mutant.manifest(text)).collect();
        let reply = self
            .call(ask, |inner, effect| {
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
        let error = |unknown, class| PortError { operation: "submit", unknown, class, message: "model".to_owned() };
        match reply {
            Reply::Submitted(Ok(id)) => Ok(id),
            Reply::Submitted(Err(NotSubmitted::Refused(class))) => Err(error(false, class)),
            Reply::Submitted(Err(NotSubmitted::Unknown)) if self.mutant == Mutant::UnknownIsRefused => {
                Err(error(false, FailureClass::OperatorsTurn))
            }
            Reply::Submitted(Err(NotSubmitted::Unknown)) => Err(error(true, FailureClass::RetryLater)),
            reply => Err(wrong(&reply)),
        }
    }

    async fn status(&self, _: &LoadConfig, statement_id: &str) -> Answer<StatementStatus> {
        let reply = self
            .call(Ask::Status(statement_id.to_owned()), |inner, _| {
                let status = inner.durable.warehouse.status(statement_id, self.now);
                Reply::Status(self.mutant.status(status, self.hinted))
            })
            .await;
        match reply {
            Reply::Status(status) => Ok(status),
            reply => Err(wrong(&reply)),
        }
    }

    async fn find(&self, _: &LoadConfig, name: &str) -> Answer<Option<String>> {
        let reply = self
            .call(Ask::Find(name.to_owned()), |inner, _| Reply::Found(inner.durable.warehouse.find(name, self.now)))
            .await;
        match reply {
            Reply::Found(found) => Ok(found),
            reply => Err(wrong(&reply)),
        }
    }

    async fn query(&self, _: &LoadConfig, _: &str) -> Answer<Vec<Vec<Option<String>>>> {
        Ok(Vec::new())
    }
}

impl Configs for ModelWorld {
    async fn queue(&self, name: &str) -> Result<Arc<LoadConfig>, ConfigError> {
        let table = (0..CONFIGS.len()).find(|table| queue(*table) == name);
        table.map(|table| CONFIGS[table].clone()).ok_or_else(|| ConfigError::Missing(name.to_owned()))
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
