//! A [`loader_reconcile::ports::World`] in memory for the model checker: answers of this round are replayed, then one call is made,
//! then reads are answered at once, until the next call that is a step of its own: there the future is dropped, and the state remembers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::pending;
use std::sync::Mutex;

use loader_core::ids::DbTable;
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::{Item, LedgerMark, Millis, SortKey};
use loader_core::tracker::view::TableState;
use loader_core::tracker::write::{Items, Transaction, Written, apply, slot_of};

use super::configuration::Configuration;
use super::state::{Ask, BugMemory, Durable, Reply, SlotKey, slot, slot_key};
use crate::fixture::slot_put;
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
    pub(super) now: Millis,
    /// Every call is made at once: the drain.
    pub(super) direct: bool,
    pub(super) mutant: Mutant,
    pub(super) holder: String,
    pub(super) hinted: bool,
    /// Waiting loads that one read of the slot returns with it.
    pub(super) page: usize,
}

/// What changes while a world is polled.
pub struct Inner {
    /// The durable state.
    pub durable: Durable,
    replay: VecDeque<(Millis, Reply)>,
    /// All answers of this round.
    pub replies: Vec<(Millis, Reply)>,
    /// The instant of the latest answer: what was decided then is not decided again now.
    pub(super) clock: Millis,
    permit: Option<Effect>,
    /// The call at which the future stopped.
    pub ask: Option<Ask>,
    /// The slot as this invocation read or wrote it last.
    pub slot: Option<SlotKey>,
    /// What must never happen, once it did.
    pub broken: Option<&'static str>,
    /// Whether a write was refused.
    pub refused: bool,
    /// What a seeded bug remembers.
    pub bug: BugMemory,
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
    /// The slot as it read or wrote it last.
    pub slot: Option<SlotKey>,
    /// What a seeded bug remembers.
    pub bug: BugMemory,
}

impl ModelWorld {
    /// Replays, makes one call with this effect, goes on to the next.
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
        }
    }

    /// Every call is made at once and answered.
    pub fn direct(durable: Durable, now: Millis, of: &Configuration, holder: &str) -> Self {
        let caller = Caller { holder, hinted: false, began: now, replies: &[], slot: None, bug: BugMemory::default() };
        Self { direct: true, ..Self::stepping(durable, now, of, caller, None) }
    }

    /// What it has become.
    pub fn into_inner(self) -> Inner {
        self.inner.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A read that is part of the step before it. Beside a call that is about to be made it waits for that step.
    pub(super) async fn read(&self, answer: impl FnOnce(&mut Inner) -> Reply) -> Reply {
        let reply = {
            let mut inner = self.lock();
            let now = self.now.max(inner.clock);
            if inner.ask.is_some() {
                None
            } else {
                let timed = inner.replay.pop_front().unwrap_or_else(|| (now, answer(&mut inner)));
                Some(inner.take(timed))
            }
        };
        match reply {
            Some(reply) => reply,
            None => pending().await,
        }
    }

    /// A call that is a step of its own.
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

    /// The slot and the loads that wait.
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
        let older = backlog.len().saturating_sub(self.page);
        TableState { slot, backlog: backlog.split_off(older), complete: older == 0 }
    }

    /// Applies it; and notes when a write that was decided from an old state of the slot took effect.
    pub(super) fn perform_write(&self, inner: &mut Inner, transaction: &Transaction) -> Reply {
        let known = inner.slot.clone();
        let items = inner.durable.of(&transaction.table);
        let before = slot(items);
        let writer = Writer { holder: &self.holder, items };
        let real = self.mutant.transaction(transaction.clone(), &writer);
        for entry in self.mutant.early_entries(transaction, items) {
            items.insert(SortKey::file(&entry.object), Item::File(entry));
        }
        if let Written::Refused(refused) = apply(items, &real) {
            inner.refused = true;
            return Reply::Written(refused);
        }
        if let Some(next) = slot_put(transaction) {
            if known.as_ref() != Some(&before) {
                inner.broken = Some("a write decided from an old state of the slot took effect");
            }
            inner.slot = Some(slot_key(next));
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

/// The waiting loads among a table's items, oldest first.
pub fn pendings_of(items: &Items) -> impl Iterator<Item = &loader_core::tracker::item::PendingLoad> {
    items.values().filter_map(|item| match item {
        Item::Pending(pending) => Some(pending),
        Item::Slot(_) | Item::File(_) | Item::Failed(_) | Item::Loaded(_) | Item::Audit(_) | Item::Listing(_) => None,
    })
}

/// These waiting loads, in this order, without those that are not there.
pub fn pendings_at(items: &Items, keys: &[SortKey]) -> Vec<loader_core::tracker::item::PendingLoad> {
    let of = |key: &SortKey| match items.get(key) {
        Some(Item::Pending(pending)) => Some(pending.clone()),
        _ => None,
    };
    keys.iter().filter_map(of).collect()
}

/// What the ledger knows of these object versions.
pub fn ledger_of(items: &Items, ids: &BTreeSet<String>) -> BTreeMap<String, LedgerMark> {
    let mark = |id: &String| match items.get(&SortKey::file_of(id)) {
        Some(Item::File(entry)) => Some((id.clone(), entry.mark.clone())),
        _ => None,
    };
    ids.iter().filter_map(mark).collect()
}

/// When the ledger learned of these object versions.
pub fn entered_of(items: &Items, ids: &BTreeSet<String>) -> BTreeMap<String, Millis> {
    let time = |id: &String| match items.get(&SortKey::file_of(id)) {
        Some(Item::File(entry)) => Some((id.clone(), entry.entered_millis)),
        _ => None,
    };
    ids.iter().filter_map(time).collect()
}

/// Everything that the ledger knows.
pub fn whole_ledger(items: &Items) -> BTreeMap<String, LedgerMark> {
    let mark = |item: &Item| match item {
        Item::File(entry) => Some((entry.object.id(), entry.mark.clone())),
        Item::Slot(_) | Item::Pending(_) | Item::Failed(_) | Item::Loaded(_) | Item::Audit(_) | Item::Listing(_) => {
            None
        }
    };
    items.values().filter_map(mark).collect()
}
