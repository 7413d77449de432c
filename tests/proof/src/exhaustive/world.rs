//! A [`loader_reconcile::ports::World`] in memory for the model checker.
//!
//! A poll replays the replies of this round, makes one call, and then performs reads at once until the next call that is a separate step.
//! There the future is dropped, and the state keeps the replies and the call.

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::sync::Mutex;

use loader_core::ids::DbTable;
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::{Item, Millis, SortKey};
use loader_core::tracker::slot::RunningLoad;
use loader_core::tracker::view::{TableState, Work};
use loader_core::tracker::write::{Items, Transaction, WriteAction, Written, apply, slot_of};

use super::configuration::Configuration;
use super::state::{Ask, BugMemory, Durable, Reply, SlotKey, slot, slot_key};
use crate::fixture::slot_put;
use crate::items::{newest, pendings_of};
use crate::mutant::{Mutant, Writer};

/// The outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It is done, and the reply arrives.
    Done,
    /// It is refused.
    Refused(FailureClass),
    /// It is done, but the reply is lost.
    DoneUnanswered,
    /// It is not done, and there is no reply.
    LostUnanswered,
}

/// What must never happen.
pub const OLD_STATE: &str = "a write decided from an old state of the slot took effect";
/// See [`OLD_STATE`].
pub const OUT_OF_TURN: &str = "a load took the slot out of turn";
/// See [`OLD_STATE`].
pub const ASKED_FOR_NOTHING: &str = "the warehouse was asked for columns, and nothing was to be loaded";

/// The world during a poll.
pub struct ModelWorld {
    inner: Mutex<Inner>,
    pub(super) now: Millis,
    /// Whether every call is made at once, as in a drain.
    pub(super) direct: bool,
    pub(super) mutant: Mutant,
    pub(super) holder: String,
    pub(super) hinted: bool,
    /// Pending loads that a read of the slot returns with it.
    pub(super) page: usize,
    /// Whether a bulk request is among the messages.
    requests: bool,
}

/// The part of the world that changes during a poll.
pub struct Inner {
    /// The durable state.
    pub durable: Durable,
    replay: VecDeque<(Millis, Reply)>,
    /// All replies of this round.
    pub replies: Vec<(Millis, Reply)>,
    /// The instant of the latest reply. A replay must make its decisions with the time at which they were made.
    pub(super) clock: Millis,
    permit: Option<Effect>,
    /// The call at which the future has stopped.
    pub ask: Option<Ask>,
    /// The slot as this invocation last read or wrote it.
    pub slot: Option<SlotKey>,
    /// A violation, if there was one.
    pub broken: Option<&'static str>,
    /// Whether a write was refused.
    pub refused: bool,
    /// The memory of a seeded bug.
    pub bug: BugMemory,
}

/// The calling invocation and its progress in the round.
pub struct Caller<'a> {
    /// Name of the invocation.
    pub holder: &'a str,
    /// Whether an event started it.
    pub hinted: bool,
    /// When the round began.
    pub began: Millis,
    /// The replies of this round.
    pub replies: &'a [(Millis, Reply)],
    /// The slot as it last read or wrote it.
    pub slot: Option<SlotKey>,
    /// The memory of a seeded bug.
    pub bug: BugMemory,
}

impl ModelWorld {
    /// A world that replays the replies, makes one call with this effect, and stops at the next.
    pub fn stepping(
        durable: Durable,
        now: Millis,
        of: &Configuration,
        caller: Caller<'_>,
        effect: Option<Effect>,
    ) -> Self {
        let inner = Inner {
            durable,
            replay: caller.replies.iter().cloned().collect(),
            replies: Vec::new(),
            clock: caller.began,
            permit: effect,
            ask: None,
            slot: caller.slot,
            broken: None,
            refused: false,
            bug: caller.bug,
        };
        Self {
            inner: Mutex::new(inner),
            now,
            direct: false,
            mutant: of.mutant,
            holder: caller.holder.to_owned(),
            hinted: caller.hinted,
            page: of.page,
            requests: !of.requested.is_empty(),
        }
    }

    /// A world in which every call is made at once and succeeds.
    pub fn direct(durable: Durable, now: Millis, of: &Configuration, holder: &str) -> Self {
        let caller = Caller { holder, hinted: false, began: now, replies: &[], slot: None, bug: BugMemory::default() };
        Self { direct: true, ..Self::stepping(durable, now, of, caller, None) }
    }

    /// The result of the poll.
    pub fn into_inner(self) -> Inner {
        self.inner.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A read that belongs to the step before it. If a concurrent call has already stopped, the read waits for that step.
    pub(super) async fn read(&self, perform: impl FnOnce(&mut Inner) -> Reply) -> Reply {
        let reply = {
            let mut inner = self.lock();
            let now = self.now.max(inner.clock);
            if inner.ask.is_some() {
                None
            } else {
                let timed = inner.replay.pop_front().unwrap_or_else(|| (now, perform(&mut inner)));
                Some(inner.take(timed))
            }
        };
        match reply {
            Some(reply) => reply,
            None => pending().await,
        }
    }

    /// A call that is a separate step.
    pub(super) async fn call(&self, ask: Ask, perform: impl FnOnce(&mut Inner, Effect) -> Reply) -> Reply {
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

    /// The slot and the newest pending loads.
    pub(super) fn table_state(&self, inner: &mut Inner, table: &DbTable) -> TableState {
        let items = inner.durable.of(table);
        let slot = slot_of(items);
        let mut backlog: Vec<_> = pendings_of(items).cloned().collect();
        if self.mutant == Mutant::NoFreshRead {
            let own = slot.load.is_none() && inner.slot == Some(slot_key(&slot));
            match &inner.bug.backlog {
                Some(known) if own => backlog.retain(|pending| known.contains(&pending.key)),
                _ => inner.bug.backlog = Some(backlog.iter().map(|pending| pending.key.clone()).collect()),
            }
        }
        self.mutant.backlog(&mut backlog, inner.clock);
        let (backlog, complete) = newest(backlog, self.page);
        TableState { slot, backlog, complete }
    }

    /// Applies a transaction. It is a violation if a write takes effect that was decided from an old state of the slot.
    pub(super) fn perform_write(&self, inner: &mut Inner, transaction: &Transaction) -> Reply {
        let known = inner.slot.clone();
        let items = inner.durable.of(&transaction.table);
        let before = slot(items);
        let writer = Writer { holder: &self.holder, items };
        let real = self.mutant.transaction(transaction.clone(), &writer);
        let turn = slot_put(transaction).and_then(|next| next.load.as_ref()).filter(|_| self.requests);
        let turn =
            turn.filter(|load| before.1.as_ref() != Some(&load.load_id)).map(|load| (load, others_wait(items, load)));
        let early = self.mutant.early_entries(transaction, items);
        let items = inner.durable.change(&transaction.table);
        for entry in early {
            items.insert(SortKey::file(&entry.object), Item::File(entry));
        }
        if let Written::Refused(refused) = apply(items, &real) {
            inner.refused = true;
            return Reply::Written(refused);
        }
        if let Some(next) = slot_put(transaction) {
            if known.as_ref() != Some(&before) {
                inner.broken = Some(OLD_STATE);
            }
            let has_asked = inner.replies.iter().any(|(_, reply)| matches!(reply, Reply::Rows(_)));
            if next.load.is_none() && has_asked && !quarantines(transaction) {
                inner.broken = Some(ASKED_FOR_NOTHING);
            }
            inner.slot = Some(slot_key(next));
        }
        if let Some((load, others_wait)) = turn {
            let is_requested = load.source.is_requested();
            let last = inner.durable.requested.insert(transaction.table.clone(), is_requested);
            if others_wait && last == Some(is_requested) {
                inner.broken = Some(OUT_OF_TURN);
            }
        }
        Reply::Written(Vec::new())
    }
}

impl Inner {
    fn take(&mut self, (at, reply): (Millis, Reply)) -> Reply {
        self.clock = at;
        self.replies.push((at, reply.clone()));
        reply
    }
}

/// Whether, where a load takes the slot, loads of the other kind wait: live files beside those of a bulk request, or the reverse.
fn others_wait(items: &Items, load: &RunningLoad) -> bool {
    pendings_of(items).any(|pending| pending.source.is_requested() != load.source.is_requested())
}

/// Whether files that do not fit go into quarantine.
fn quarantines(transaction: &Transaction) -> bool {
    let is_misfit = |item: &Item| matches!(item, Item::Failed(quarantined) if quarantined.is_misfit);
    transaction.actions.iter().any(|action| matches!(action, WriteAction::Put(item, _) if is_misfit(item)))
}

/// The index of tables with work.
pub fn work_of(durable: &Durable) -> BTreeMap<DbTable, Work> {
    let mut tables: BTreeMap<DbTable, Work> = BTreeMap::new();
    for (table, items) in &durable.items {
        for item in items.values().filter(|item| item.is_work()) {
            tables.entry(table.clone()).or_default().add(&item.key());
        }
    }
    tables
}
