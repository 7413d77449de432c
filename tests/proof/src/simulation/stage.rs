//! The state that the invocations of a simulation share: clock, random numbers, services, violations.

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

/// Something that happens in the world.
#[derive(Clone, Debug)]
pub enum Happening {
    /// An object is put, overwritten or deleted.
    Change,
    /// The source queues are polled.
    Poll,
    /// A sweep starts.
    Sweep,
    /// A statement ends.
    StatementEnds(usize),
    /// A status change arrives.
    Event(Value),
    /// A table's folder is requested.
    Bulk(usize),
    /// A table's folder is filled without notifications, and then requested.
    Folder(usize),
    /// A table's configuration is paused, or no longer.
    Pause(usize, bool),
    /// A column is added to the target tables.
    AddColumn,
    /// An operator retries a quarantine item.
    Retry,
}

/// What happens when a timer expires.
#[derive(Debug)]
pub enum Wake {
    /// An invocation continues.
    Task(TaskId, Waker),
    /// Something happens in the world.
    World(Happening),
}

/// An object version that was put.
#[derive(Clone, Debug)]
pub struct Written {
    /// The table whose queue gets the notification.
    pub table: usize,
    /// The key.
    pub key: String,
    /// The content.
    pub blob: Blob,
}

impl Written {
    /// The waiting object of its notification.
    pub fn waiting(&self) -> WaitingObject {
        self.blob.waiting(&self.key)
    }
}

/// The shared state.
pub struct Stage {
    /// Size and faults of the run.
    pub options: Options,
    /// The true time.
    pub now: Millis,
    /// Random numbers.
    pub rng: StdRng,
    /// Whether calls may fail.
    pub rough: bool,
    /// Begin and end of an outage, in which every call fails.
    pub outage: Option<(Millis, Millis)>,
    /// Outcomes of the next calls of an operation, in this order, in place of random ones.
    pub script: Vec<(&'static str, Fate)>,
    /// Timers by time and sequence number.
    pub timers: BTreeMap<(Millis, u64), Wake>,
    sequence: u64,
    trace: DefaultHasher,
    /// The tracker's items.
    pub items: BTreeMap<DbTable, Items>,
    /// The objects.
    pub bucket: Bucket,
    /// The inventories: their objects, by key.
    pub lists: BTreeMap<String, Vec<u8>>,
    /// When the inventory of a table was published.
    pub checks: BTreeMap<usize, Millis>,
    /// The manifests.
    pub manifests: Manifests,
    /// The warehouse.
    pub warehouse: Warehouse,
    /// Configurations by queue.
    pub configs: BTreeMap<String, Arc<LoadConfig>>,
    /// The source queues.
    pub queues: Queues,
    /// All object versions that were put.
    pub written: Vec<Written>,
    /// Target tables, by number.
    pub tables: Vec<DbTable>,
    /// The positions in `written` of each key.
    pub positions: BTreeMap<String, Vec<usize>>,
    /// Invocations that have died.
    pub dead: BTreeSet<TaskId>,
    /// The slot as each invocation last read or wrote it.
    pub seen: BTreeMap<(TaskId, DbTable), SlotKey>,
    /// The tables of running bulk requests.
    pub requests: BTreeMap<TaskId, usize>,
    /// Object versions that an operator has retried from quarantine.
    pub sent_back: BTreeSet<(DbTable, ObjectVersion)>,
    /// Violations so far.
    pub violations: BTreeSet<String>,
    /// Faults so far.
    pub faults: usize,
    /// Calls so far.
    pub calls: usize,
}

impl Stage {
    /// Creates an empty world.
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
            lists: BTreeMap::new(),
            checks: BTreeMap::new(),
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

    /// Sets a timer.
    pub fn after(&mut self, millis: Millis, wake: Wake) {
        self.sequence += 1;
        self.timers.insert((self.now + millis.max(0), self.sequence), wake);
    }

    /// Schedules something in the world.
    pub fn happen(&mut self, millis: Millis, happening: Happening) {
        self.after(millis, Wake::World(happening));
    }

    /// Adds something to the trace.
    pub fn trace(&mut self, what: impl Hash) {
        (self.now, what).hash(&mut self.trace);
    }

    /// The hash of the trace so far.
    pub fn trace_hash(&self) -> u64 {
        self.trace.finish()
    }

    /// Whether an invocation has stored the progress of a listing for a table.
    pub fn is_listed(&self, table: usize, holder: &str) -> bool {
        let is_its = |item: &Item| matches!(item, Item::Listing(listing) if listing.holder == holder);
        self.items.get(&self.tables[table]).is_some_and(|items| items.values().any(is_its))
    }

    /// Whether there is an outage now.
    pub fn is_out(&self) -> bool {
        self.outage.is_some_and(|(from, to)| (from..to).contains(&self.now))
    }

    /// Records a violation.
    pub fn violation(&mut self, what: impl Into<String>) {
        self.violations.insert(what.into());
    }
}
