//! What the model checker sees of the world: everything durable, the invocations that are under way, what faults are left.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use loader_core::ids::{DbTable, LoadId};
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::{Item, Millis, PendingLoad, RunningLoad, SortKey};
use loader_core::tracker::prepare::Look;
use loader_core::tracker::settle::StatementStatus;
use loader_core::tracker::write::{Items, Transaction};
use loader_reconcile::reconcile::Memory;

use crate::warehouse::{Bucket, Manifests, Warehouse};

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Position in the configuration's list of instants.
    pub tick: usize,
    /// What survives a crash.
    pub durable: Arc<Durable>,
    /// Invocations under way, by the name of their holder.
    pub locals: Vec<Arc<Local>>,
    /// Faults that are left.
    pub budget: Budget,
    /// What must never happen, once it did.
    pub broken: Option<&'static str>,
}

/// What survives a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Durable {
    /// The tracker's items, per table.
    pub items: BTreeMap<DbTable, Items>,
    /// What is under each key.
    pub bucket: Bucket,
    /// Manifests by URL.
    pub manifests: Manifests,
    /// The warehouse.
    pub warehouse: Warehouse,
    /// Steps of the configuration's script that were done.
    pub scripted: usize,
    /// Per message: how often it was delivered.
    pub delivered: Vec<u8>,
    /// Per message: whether it was acknowledged.
    pub acknowledged: Vec<bool>,
    /// Per statement that ended: how often its completion event was delivered.
    pub notified: Vec<u8>,
}

/// Faults that are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Invocations that may die.
    pub crashes: u8,
    /// Submits that may be refused.
    pub refusals: u8,
    /// Submits that may get no answer.
    pub lost_answers: u8,
    /// Statements that may fail without a fault of their files.
    pub failures: u8,
}

/// What an invocation does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// Records the objects of a message.
    Recording(usize),
    /// Reconciles the table.
    Reconciling,
    /// Reconciles the table and only then records the message: a bug.
    LookingBefore(usize),
}

/// An invocation under way: what it knows, and the call it is about to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// Its name.
    pub holder: String,
    /// The statement that its event named.
    pub ended: Option<String>,
    /// What it does.
    pub work: Work,
    /// The table that it works on, by its position.
    pub table: usize,
    /// What it keeps from round to round.
    pub memory: Memory,
    /// When this round began.
    pub began: Millis,
    /// Answers in this round so far, each with its instant.
    pub replies: Vec<(Millis, Reply)>,
    /// The call it is about to make; `None`: at the start of a round.
    pub ask: Option<Ask>,
    /// The slot that this round's decision is about.
    pub slot: Option<(LoadId, u64)>,
    /// The instant, by its position, at which it is dead whatever it does: Lambda ends every invocation.
    pub dies: Option<usize>,
}

impl Local {
    /// Before a write of a reconcile, which ends the round, one thing of its answers matters: whether it has submitted.
    fn answers_are_over(&self) -> bool {
        !matches!(self.work, Work::Recording(_)) && matches!(self.ask, Some(Ask::Write(_)))
    }
}

impl Hash for Local {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (&self.holder, &self.ended, &self.work, self.table, &self.memory, &self.ask, &self.slot, &self.dies)
            .hash(hasher);
        if matches!(self.work, Work::Recording(_)) {
            self.began.hash(hasher);
        }
        if self.answers_are_over() {
            self.replies.iter().any(|(_, reply)| matches!(reply, Reply::Submitted(_))).hash(hasher);
        } else {
            self.replies.hash(hasher);
        }
    }
}

/// A call that is a step of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ask {
    /// Apply this.
    Write(Transaction),
    /// Submit this.
    Submit {
        /// Statement name.
        name: String,
        /// Client token.
        token: String,
        /// The batch.
        sql: Vec<String>,
    },
    /// How is this statement?
    Status(String),
    /// Is there a statement of this name?
    Find(String),
    /// Look at the objects.
    Look(Vec<SortKey>),
    /// Write a manifest.
    PutManifest(String, String),
    /// Wait until then.
    Sleep(Millis),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// The slot.
    Running(Option<Box<RunningLoad>>),
    /// Waiting loads.
    Pendings(Vec<PendingLoad>),
    /// Ledger entries.
    Existing(BTreeSet<SortKey>),
    /// Empty: done; else the refused actions.
    Written(Vec<usize>),
    /// An object.
    Look(Look),
    /// A statement id, or why not.
    Submitted(Result<String, NotSubmitted>),
    /// A status.
    Status(StatementStatus),
    /// A statement id.
    Found(Option<String>),
    /// Rows of a query.
    Rows(Vec<Vec<Option<String>>>),
    /// Done, nothing to tell.
    Done,
}

/// Why there is no statement id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotSubmitted {
    /// Refused.
    Refused(FailureClass),
    /// No answer.
    Unknown,
}

impl Durable {
    /// All items of all tables.
    pub fn all_items(&self) -> impl Iterator<Item = &Item> {
        self.items.values().flat_map(BTreeMap::values)
    }

    /// The items of a table.
    pub fn of(&mut self, table: &DbTable) -> &mut Items {
        self.items.entry(table.clone()).or_default()
    }
}

impl State {
    /// The lowest name that nobody remembers: names of holders are unique among those who can be compared.
    pub fn fresh_holder(&self) -> String {
        let mut used: BTreeSet<&str> = self.locals.iter().map(|local| local.holder.as_str()).collect();
        for items in self.durable.items.values() {
            if let Some(Item::Running(running)) = items.get(&SortKey::running()) {
                used.insert(&running.holder);
            }
        }
        let remembering = self.locals.iter().filter(|local| !local.answers_are_over());
        for (_, reply) in remembering.flat_map(|local| &local.replies) {
            if let Reply::Running(Some(running)) = reply {
                used.insert(&running.holder);
            }
        }
        (0..=used.len())
            .map(|number| format!("h{number}"))
            .find(|name| !used.contains(name.as_str()))
            .unwrap_or_default()
    }
}

/// The slot as it is.
pub fn slot(items: &Items) -> Option<(LoadId, u64)> {
    match items.get(&SortKey::running()) {
        Some(Item::Running(running)) => Some((running.load_id.clone(), running.version)),
        _ => None,
    }
}
