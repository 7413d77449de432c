//! Everything that the invocations of a simulation share: the clock, the dice, the services, what was noticed.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::task::Waker;

use loader_core::config::LoadConfig;
use loader_core::ids::{DbTable, ObjectVersion, WaitingObject};
use loader_core::tracker::item::{Item, Millis};
use loader_core::tracker::write::Items;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

use super::Options;
use super::faults::Fate;
use super::queues::Queues;
use crate::exhaustive::state::SlotKey;
use crate::fixture::{Blob, START_MILLIS};
use crate::warehouse::{Bucket, Manifests, Warehouse};

/// Number of an invocation.
pub type TaskId = usize;

/// Something happens.
#[derive(Clone, Debug)]
pub enum Happening {
    /// An object is put, overwritten or deleted.
    Change,
    /// The source queues are polled.
    Poll,
    /// The schedule fires.
    Sweep,
    /// A statement ends.
    StatementEnds(usize),
    /// An event arrives.
    Event(Value),
    /// Somebody asks for a folder.
    Bulk(usize),
    /// A folder is filled without a notification, and then asked for.
    Folder(usize),
    /// A configuration is paused, or goes on.
    Pause(usize, bool),
    /// The target tables get one more column.
    AddColumn,
    /// An operator sees to the quarantine.
    Retry,
}

/// What a timer sets going.
#[derive(Debug)]
pub enum Wake {
    /// An invocation goes on.
    Task(TaskId, Waker),
    /// Something happens in the world.
    World(Happening),
}

/// A version that was put under a key, in the order of the puts.
#[derive(Clone, Debug)]
pub struct Written {
    /// The table whose queue hears of it.
    pub table: usize,
    /// The key.
    pub key: String,
    /// What was put.
    pub blob: Blob,
}

impl Written {
    /// As a notification tells of it.
    pub fn waiting(&self) -> WaitingObject {
        self.blob.waiting(&self.key)
    }
}

/// The stage.
pub struct Stage {
    /// How rough.
    pub options: Options,
    /// The true time.
    pub now: Millis,
    /// The dice.
    pub rng: StdRng,
    /// Whether calls may fail.
    pub rough: bool,
    /// Until when every call fails.
    pub outage: Option<(Millis, Millis)>,
    /// How the next calls of an operation go, in this order, instead of what the dice say.
    pub script: Vec<(&'static str, Fate)>,
    /// What is to come.
    pub timers: BTreeMap<(Millis, u64), Wake>,
    sequence: u64,
    trace: DefaultHasher,
    /// The tracker.
    pub items: BTreeMap<DbTable, Items>,
    /// The objects.
    pub bucket: Bucket,
    /// The manifests.
    pub manifests: Manifests,
    /// The warehouse.
    pub warehouse: Warehouse,
    /// Configurations by queue.
    pub configs: BTreeMap<String, Arc<LoadConfig>>,
    /// The source queues.
    pub queues: Queues,
    /// Everything that was put.
    pub written: Vec<Written>,
    /// Target tables, by number.
    pub tables: Vec<DbTable>,
    /// Positions in `written` of each key.
    pub positions: BTreeMap<String, Vec<usize>>,
    /// Invocations that are dead.
    pub dead: BTreeSet<TaskId>,
    /// The slot as each invocation read or wrote it last.
    pub seen: BTreeMap<(TaskId, DbTable), SlotKey>,
    /// Requests for folders under way: their tables.
    pub requests: BTreeMap<TaskId, usize>,
    /// What an operator sent back from quarantine.
    pub sent_back: BTreeSet<(DbTable, ObjectVersion)>,
    /// Violations so far.
    pub violations: BTreeSet<String>,
    /// Faults so far.
    pub faults: usize,
    /// Calls so far.
    pub calls: usize,
}

impl Stage {
    /// An empty stage.
    pub fn new(seed: u64, options: Options) -> Self {
        Self {
            options,
            now: START_MILLIS,
            rng: StdRng::seed_from_u64(seed),
            rough: true,
            outage: None,
            script: Vec::new(),
            timers: BTreeMap::new(),
            sequence: 0,
            trace: DefaultHasher::new(),
            items: BTreeMap::new(),
            bucket: Bucket::new(),
            manifests: Manifests::new(),
            warehouse: Warehouse { columns: ["id", "at"].map(str::to_owned).to_vec(), ..Warehouse::default() },
            configs: BTreeMap::new(),
            queues: Queues::default(),
            written: Vec::new(),
            tables: Vec::new(),
            positions: BTreeMap::new(),
            dead: BTreeSet::new(),
            seen: BTreeMap::new(),
            requests: BTreeMap::new(),
            sent_back: BTreeSet::new(),
            violations: BTreeSet::new(),
            faults: 0,
            calls: 0,
        }
    }

    /// Something is to happen after a while.
    pub fn after(&mut self, millis: Millis, wake: Wake) {
        self.sequence += 1;
        self.timers.insert((self.now + millis.max(0), self.sequence), wake);
    }

    /// Something is to happen in the world after a while.
    pub fn happen(&mut self, millis: Millis, happening: Happening) {
        self.after(millis, Wake::World(happening));
    }

    /// Notes something in the trace.
    pub fn trace(&mut self, what: impl Hash) {
        (self.now, what).hash(&mut self.trace);
    }

    /// The trace so far, as one number.
    pub fn trace_hash(&self) -> u64 {
        self.trace.finish()
    }

    /// Whether an invocation has stored how far it is with a folder of a table.
    pub fn is_listed(&self, table: usize, holder: &str) -> bool {
        let is_its = |item: &Item| matches!(item, Item::Listing(listing) if listing.holder == holder);
        self.items.get(&self.tables[table]).is_some_and(|items| items.values().any(is_its))
    }

    /// Whether every call fails now.
    pub fn is_out(&self) -> bool {
        self.outage.is_some_and(|(from, to)| (from..to).contains(&self.now))
    }

    /// Notes a violation.
    pub fn violation(&mut self, what: impl Into<String>) {
        self.violations.insert(what.into());
    }
}
