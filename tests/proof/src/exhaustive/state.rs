//! A state of the model: what is durable, the running invocations, and the remaining faults.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use loader_core::ids::{DbTable, LoadId, StatementName};
use loader_core::outcome::FailureClass;
use loader_core::parquet::FileColumn;
use loader_core::tracker::item::{Item, LedgerEntry, LedgerMark, Millis, PendingLoad, SortKey};
use loader_core::tracker::prepare::ObjectState;
use loader_core::tracker::settle::StatementStatus;
use loader_core::tracker::slot::Slot;
use loader_core::tracker::view::{self, TableState};
use loader_core::tracker::write::{Items, Transaction, slot_of};
use loader_reconcile::reconcile::Memory;

use super::shared::Shared;
use super::world::Effect;
use crate::warehouse::{Bucket, Manifests, Warehouse};

/// A state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Index of the current instant in the configuration.
    pub tick: usize,
    /// What survives a crash.
    pub durable: Shared<Durable>,
    /// Running invocations, ordered by name.
    pub locals: Vec<Shared<Local>>,
    /// The remaining faults.
    pub budget: Budget,
    /// A violation, if there was one.
    pub broken: Option<&'static str>,
}

/// What survives a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Durable {
    /// The tracker's items, per table.
    pub items: BTreeMap<DbTable, Shared<Items>>,
    /// The objects in the bucket.
    pub bucket: Shared<Bucket>,
    /// Manifests by URL.
    pub manifests: Shared<Manifests>,
    /// The warehouse.
    pub warehouse: Shared<Warehouse>,
    /// Number of steps of the script that have been done.
    pub scripted: usize,
    /// How often each message was delivered.
    pub delivered: Vec<u8>,
    /// Whether each message was acknowledged.
    pub acknowledged: Vec<bool>,
    /// Where a bulk request is among the messages: whether a table's last load was one of its.
    pub requested: BTreeMap<DbTable, bool>,
    /// How often the completion event of each ended statement was delivered.
    pub notified: Vec<u8>,
}

/// The remaining faults and actions of operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Invocations that may die.
    pub crashes: u8,
    /// Submits that may be refused.
    pub refusals: u8,
    /// Submits that may get no reply.
    pub lost_answers: u8,
    /// Cancellations that may be refused, or get no reply.
    pub cancels: u8,
    /// Statements that may fail although their files are good.
    pub failures: u8,
    /// Quarantine items that an operator may retry.
    pub retries: u8,
    /// Loads that loader 0.1 may run while it is being replaced.
    pub old_loads: u8,
}

/// What an invocation is doing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// Recording the objects of a message.
    Recording(usize),
    /// Reconciling the table.
    Reconciling,
    /// Reconciling the table before it records the message, which is a seeded bug.
    LookingBefore(usize),
}

/// The slot's version and the load that holds it, from which a write must have been decided.
pub type SlotKey = (u64, Option<LoadId>);

/// A running invocation: what it knows, and the call that it is about to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// Its name.
    pub holder: String,
    /// The statement in the event that started it.
    pub ended: Option<String>,
    /// What it is doing.
    pub work: Work,
    /// Index of the table that it works on.
    pub table: usize,
    /// Whether the schedule started it, where that matters.
    pub sweeps: bool,
    /// What it keeps between rounds, including the view.
    pub memory: Memory,
    /// When this round began.
    pub began: Millis,
    /// The replies of this round so far, each with its instant.
    pub replies: Vec<(Millis, Reply)>,
    /// The call that it is about to make; `None` at the start of a round.
    pub ask: Option<Ask>,
    /// The slot as it last read or wrote it.
    pub slot: Option<SlotKey>,
    /// Index of the instant by which Lambda has ended it.
    pub dies: Option<usize>,
    /// The memory of a seeded bug.
    pub bug: BugMemory,
}

/// The memory of a seeded bug; empty without one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BugMemory {
    /// The ledger when the invocation started.
    pub ledger: Option<BTreeMap<String, LedgerMark>>,
    /// The pending loads when it first read them.
    pub backlog: Option<BTreeSet<SortKey>>,
}

impl Local {
    /// Whether the invocation is about to make a reconcile's write, which ends the round. Then only those replies matter that determine the
    /// next view: the backlog as it was read, and whether a statement was submitted.
    fn is_before_final_write(&self) -> bool {
        !matches!(self.work, Work::Recording(_)) && matches!(self.ask, Some(Ask::Write(_)))
    }
}

impl Hash for Local {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (
            &self.holder,
            &self.ended,
            &self.work,
            self.table,
            self.sweeps,
            &self.memory,
            &self.ask,
            &self.slot,
            &self.dies,
            &self.bug,
        )
            .hash(hasher);
        if matches!(self.work, Work::Recording(_)) {
            self.began.hash(hasher);
        }
        if !self.is_before_final_write() {
            self.replies.hash(hasher);
            return;
        }
        self.replies.iter().any(|(_, reply)| matches!(reply, Reply::Submitted(_))).hash(hasher);
        for (_, reply) in &self.replies {
            match reply {
                Reply::State(state) => (&state.backlog, state.complete).hash(hasher),
                Reply::Backlog(backlog, rest) => (backlog, rest).hash(hasher),
                _ => {}
            }
        }
    }
}

/// A call that is a separate step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ask {
    /// Read the oldest pending loads.
    Backlog(usize),
    /// Read the ledger for these objects. The objects are looked at in the same step.
    Ledger(BTreeSet<String>),
    /// Write these ledger entries.
    Enter(Vec<LedgerEntry>),
    /// Apply this transaction.
    Write(Transaction),
    /// Submit this statement.
    Submit {
        /// Statement name.
        name: StatementName,
        /// The SQL statements.
        sql: Vec<String>,
    },
    /// Describe this statement.
    Status(String),
    /// Cancel this statement.
    Cancel(String),
    /// Find the statement with this name.
    Find(StatementName),
    /// Write a manifest.
    PutManifest(String, String),
    /// Sleep until this instant.
    Sleep(Millis),
}

/// The reply to a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// The slot and the newest pending loads.
    State(Box<TableState>),
    /// The oldest pending loads, and whether these are all.
    Backlog(Vec<PendingLoad>, Option<SortKey>),
    /// Pending loads.
    Pendings(Vec<PendingLoad>),
    /// Marks in the ledger.
    Ledger(BTreeMap<String, LedgerMark>),
    /// The refused actions of a transaction; none if it was applied.
    Written(Vec<usize>),
    /// The state of an object.
    Object(ObjectState),
    /// The columns of a file, or why they are not known.
    Columns(Result<Vec<FileColumn>, String>),
    /// A statement id, or why there is none.
    Submitted(Result<String, NotSubmitted>),
    /// The status of a statement.
    Status(StatementStatus),
    /// The id of the statement with a name, if there is one.
    Found(Option<String>),
    /// The tables with work.
    Work(BTreeMap<DbTable, view::Work>),
    /// The rows of a query.
    Rows(Vec<Vec<Option<String>>>),
    /// Done, without a result.
    Done,
    /// Why it is not known to be done.
    NotDone(NotSubmitted),
}

/// Why there is no statement id, or no cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotSubmitted {
    /// The call was refused.
    Refused(FailureClass),
    /// There was no reply.
    Unknown,
}

impl Budget {
    /// Counts the outcome of a call.
    pub fn spend(&mut self, ask: Option<&Ask>, effect: Effect) {
        match (ask, effect) {
            (_, Effect::Done) => {}
            (Some(Ask::Cancel(_)), _) => self.cancels -= 1,
            (_, Effect::Refused(_)) => self.refusals -= 1,
            (_, Effect::DoneUnanswered | Effect::LostUnanswered) => self.lost_answers -= 1,
        }
    }
}

impl Durable {
    /// All items of all tables.
    pub fn all_items(&self) -> impl Iterator<Item = &Item> {
        self.items.values().flat_map(|items| items.values())
    }

    /// The items of a table; none of one that is not in play, which only a seeded bug asks for.
    pub fn of(&self, table: &DbTable) -> &Items {
        static NONE: Items = BTreeMap::new();
        self.items.get(table).map_or(&NONE, |items| items)
    }

    /// The items of a table, which are about to change.
    pub fn change(&mut self, table: &DbTable) -> &mut Items {
        self.items.entry(table.clone()).or_default()
    }
}

impl State {
    /// The first name that no item or invocation contains. Names need to be unique only among those that can be compared.
    pub fn fresh_holder(&self) -> String {
        let mut used: BTreeSet<&str> = self.locals.iter().map(|local| local.holder.as_str()).collect();
        for item in self.durable.items.values().filter_map(|items| items.get(&SortKey::slot())) {
            if let Item::Slot(Slot { load: Some(load), .. }) = item {
                used.insert(&load.holder);
            }
        }
        // A view that is kept between rounds names only the invocation itself.
        let remembering = self.locals.iter().filter(|local| !local.is_before_final_write());
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

/// What identifies the current state of the slot.
pub fn slot(items: &Items) -> SlotKey {
    slot_key(&slot_of(items))
}

/// What identifies a state of the slot.
pub fn slot_key(slot: &Slot) -> SlotKey {
    (slot.version, slot.load.as_ref().map(|load| load.load_id.clone()))
}
