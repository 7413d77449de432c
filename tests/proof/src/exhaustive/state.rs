//! What the model checker sees of the world: everything durable, the invocations that are under way, what faults are left.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use loader_core::ids::{DbTable, LoadId, StatementName};
use loader_core::outcome::FailureClass;
use loader_core::parquet::FileColumn;
use loader_core::tracker::item::{Item, LedgerEntry, LedgerMark, Millis, PendingLoad, SortKey};
use loader_core::tracker::prepare::ObjectState;
use loader_core::tracker::settle::StatementStatus;
use loader_core::tracker::slot::Slot;
use loader_core::tracker::view::TableState;
use loader_core::tracker::write::{Items, Transaction, slot_of};
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

/// Faults that are left, and what people may still do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Invocations that may die.
    pub crashes: u8,
    /// Submits that may be refused.
    pub refusals: u8,
    /// Submits that may get no answer.
    pub lost_answers: u8,
    /// Statements that may fail without a fault of their files.
    pub failures: u8,
    /// Quarantine items that an operator may send back.
    pub retries: u8,
    /// Loads that loader 0.1 may still run, while it is replaced.
    pub old_loads: u8,
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

/// The slot's version and the load that holds it: what a write must have been decided from.
pub type SlotKey = (u64, Option<LoadId>);

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
    /// What it keeps from round to round: the view that it carries is among it.
    pub memory: Memory,
    /// When this round began.
    pub began: Millis,
    /// Answers in this round so far, each with its instant.
    pub replies: Vec<(Millis, Reply)>,
    /// The call it is about to make; `None`: at the start of a round.
    pub ask: Option<Ask>,
    /// The slot as it read or wrote it last.
    pub slot: Option<SlotKey>,
    /// The instant, by its position, at which it is dead whatever it does: Lambda ends every invocation.
    pub dies: Option<usize>,
    /// What seeded bugs remember.
    pub bug: BugMemory,
}

/// What seeded bugs remember; empty without a bug.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BugMemory {
    /// The ledger when the invocation started.
    pub ledger: Option<BTreeMap<String, LedgerMark>>,
    /// The loads that waited when it first read them.
    pub backlog: Option<BTreeSet<SortKey>>,
}

impl Local {
    /// Before a write of a reconcile, which ends the round, only what makes the next view counts: the backlog as it was read, and
    /// whether it has submitted.
    fn answers_are_over(&self) -> bool {
        !matches!(self.work, Work::Recording(_)) && matches!(self.ask, Some(Ask::Write(_)))
    }
}

impl Hash for Local {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (&self.holder, &self.ended, &self.work, self.table, &self.memory, &self.ask, &self.slot, &self.dies, &self.bug)
            .hash(hasher);
        if matches!(self.work, Work::Recording(_)) {
            self.began.hash(hasher);
        }
        if !self.answers_are_over() {
            self.replies.hash(hasher);
            return;
        }
        self.replies.iter().any(|(_, reply)| matches!(reply, Reply::Submitted(_))).hash(hasher);
        for (_, reply) in &self.replies {
            match reply {
                Reply::State(state) => (&state.backlog, state.complete).hash(hasher),
                Reply::Backlog(backlog, complete) => (backlog, complete).hash(hasher),
                _ => {}
            }
        }
    }
}

/// A call that is a step of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ask {
    /// The oldest of many waiting loads.
    Backlog(usize),
    /// What does the ledger know of these? The objects are looked at in the same step.
    Ledger(BTreeSet<String>),
    /// Write these ledger entries.
    Enter(Vec<LedgerEntry>),
    /// Apply this.
    Write(Transaction),
    /// Submit this.
    Submit {
        /// Statement name.
        name: StatementName,
        /// The batch.
        sql: Vec<String>,
    },
    /// How is this statement?
    Status(String),
    /// Is there a statement of this name?
    Find(StatementName),
    /// Write a manifest.
    PutManifest(String, String),
    /// Wait until then.
    Sleep(Millis),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// The slot and the newest waiting loads.
    State(Box<TableState>),
    /// The oldest waiting loads, and whether these are all.
    Backlog(Vec<PendingLoad>, bool),
    /// Waiting loads.
    Pendings(Vec<PendingLoad>),
    /// What the ledger knows.
    Ledger(BTreeMap<String, LedgerMark>),
    /// Empty: done; else the refused actions.
    Written(Vec<usize>),
    /// An object.
    Object(ObjectState),
    /// The columns of a file, or why nothing tells them.
    Columns(Result<Vec<FileColumn>, String>),
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
        for item in self.durable.items.values().filter_map(|items| items.get(&SortKey::slot())) {
            if let Item::Slot(Slot { load: Some(load), .. }) = item {
                used.insert(&load.holder);
            }
        }
        // A view that is carried on names only the invocation itself.
        let remembering = self.locals.iter().filter(|local| !local.answers_are_over());
        for (_, reply) in remembering.flat_map(|local| &local.replies) {
            if let Reply::State(state) = reply
                && let Some(load) = &state.slot.load
            {
                used.insert(&load.holder);
            }
        }
        (0..=used.len())
            .map(|number| format!("h{number}"))
            .find(|name| !used.contains(name.as_str()))
            .unwrap_or_default()
    }
}

/// The slot as it is.
pub fn slot(items: &Items) -> SlotKey {
    slot_key(&slot_of(items))
}

/// What identifies a write of the slot.
pub fn slot_key(slot: &Slot) -> SlotKey {
    (slot.version, slot.load.as_ref().map(|load| load.load_id.clone()))
}
