//! The state that the invocations of a day share: clock, tracker, warehouse, quotas, counters.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use loader_core::config::LoadConfig;
use loader_core::ids::DbTable;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;

use super::arrivals::Arrival;
use super::cost::Cost;
use super::shelf::Shelf;
use super::{Options, Start, arrivals};
use crate::fixture::{START_MILLIS, config};

/// What happens when a timer expires.
#[derive(Debug)]
pub enum Wake {
    /// An invocation continues.
    Task(usize, Waker),
    /// The message batch of a table's queue is complete.
    Batch(usize),
    /// A statement ends.
    StatementEnds(usize),
    /// The status change of a statement arrives.
    Event(usize),
    /// A sweep starts.
    Sweep,
}

/// An accepted statement.
#[derive(Debug)]
pub struct Statement {
    /// The statement name.
    pub name: String,
    /// The files in its manifest.
    pub files: Vec<usize>,
    /// When it began to run.
    pub began_millis: i64,
    /// Whether it has ended.
    pub ended: bool,
}

/// A source queue with its event source mapping.
#[derive(Debug, Default)]
pub struct Queue {
    /// Files whose messages are waiting.
    pub waiting: VecDeque<usize>,
    /// Running invocations.
    pub in_flight: usize,
    /// Whether a message batch is being collected.
    pub collecting: bool,
}

/// Counts of calls, units and invocations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls by operation.
    pub calls: BTreeMap<&'static str, u64>,
    /// Refused calls, by quota.
    pub throttled: BTreeMap<&'static str, u64>,
    /// DynamoDB write units.
    pub write_units: u64,
    /// DynamoDB read units.
    pub read_units: u64,
    /// Number of invocations.
    pub invocations: u64,
    /// Duration of all invocations together, in milliseconds.
    pub invocation_millis: u64,
    /// Most concurrent invocations.
    pub invocations_at_once: usize,
    /// Most statements that were active at the same time.
    pub statements_at_once: usize,
    /// Calls of sweeps in each quarter of the day; the last includes the time after the day.
    pub sweep_calls: [u64; 4],
}

/// The shared state.
pub struct Stage {
    /// Latencies, quotas and prices.
    pub cost: Cost,
    /// Length of the day.
    hours: i64,
    /// The virtual time.
    pub now: i64,
    /// Random numbers, for the SDK's backoff only.
    pub rng: StdRng,
    /// Timers by time and sequence number.
    pub timers: BTreeMap<(i64, u64), Wake>,
    sequence: u64,
    /// The files, in order of arrival.
    pub files: Vec<Arrival>,
    /// When the rows of each file were committed; 0 if they are not.
    pub committed: Vec<i64>,
    /// The items of the tables.
    pub tables: Vec<Shelf>,
    /// Numbers of the tables.
    pub numbers: HashMap<DbTable, usize>,
    /// Configurations of the tables.
    pub configs: Vec<Arc<LoadConfig>>,
    /// When each configuration was last read.
    pub configs_read: Vec<i64>,
    /// Queues of the tables.
    pub queues: Vec<Queue>,
    /// Tables with a waiting or running load.
    pub work: BTreeSet<DbTable>,
    /// Files in the manifests, by URL.
    pub manifests: HashMap<String, Vec<usize>>,
    /// All statements.
    pub statements: Vec<Statement>,
    /// Statements that wait for the warehouse.
    pub queued: VecDeque<usize>,
    /// Number of statements that the warehouse is running.
    pub running: usize,
    /// Number of statements that have not ended.
    pub active: usize,
    /// Names of the statements that have not ended.
    pub names: HashMap<String, usize>,
    /// The minutes for which the metrics say that the warehouse was awake.
    pub minutes_awake: BTreeSet<i64>,
    /// The minutes in which files were recorded, of which the metrics tell what they would have cost at once.
    pub minutes_recorded: BTreeSet<i64>,
    /// Begin and end of each load.
    pub busy: Vec<(i64, i64)>,
    used: HashMap<(&'static str, usize), (i64, u64)>,
    /// Counts of calls, units and invocations.
    pub counts: Counts,
    /// Violations so far.
    pub violations: BTreeSet<String>,
}

impl Stage {
    /// The state before the day.
    pub fn new(options: &Options) -> Self {
        let files = arrivals::of_day(options.seed, &options.shape, options.files, options.tables, options.hours);
        let mut more = json!({"load": {"write_once": options.write_once}});
        match options.start {
            Start::Age(seconds) => more["load"]["age_seconds"] = json!(seconds),
            Start::Freshness(seconds) => more["warehouse"] = json!({"name": "w", "freshness_seconds": seconds}),
        }
        let configs: Vec<Arc<LoadConfig>> =
            (0..options.tables).map(|table| config(&format!("t{table}"), &more)).collect();
        Self {
            cost: options.cost.clone(),
            hours: options.hours,
            now: START_MILLIS,
            rng: StdRng::seed_from_u64(options.seed),
            timers: BTreeMap::new(),
            sequence: 0,
            committed: vec![0; files.len()],
            files,
            tables: configs.iter().map(|_| Shelf::default()).collect(),
            numbers: configs.iter().enumerate().map(|(number, config)| (config.db_table(), number)).collect(),
            configs_read: vec![0; configs.len()],
            queues: configs.iter().map(|_| Queue::default()).collect(),
            configs,
            work: BTreeSet::new(),
            manifests: HashMap::new(),
            statements: Vec::new(),
            queued: VecDeque::new(),
            running: 0,
            active: 0,
            names: HashMap::new(),
            minutes_awake: BTreeSet::new(),
            minutes_recorded: BTreeSet::new(),
            busy: Vec::new(),
            used: HashMap::new(),
            counts: Counts::default(),
            violations: BTreeSet::new(),
        }
    }

    /// Sets a timer.
    pub fn after(&mut self, millis: i64, wake: Wake) {
        self.sequence += 1;
        self.timers.insert((self.now + millis.max(0), self.sequence), wake);
    }

    /// The items of a table.
    pub fn shelf(&mut self, table: &DbTable) -> &mut Shelf {
        let number = self.numbers[table];
        &mut self.tables[number]
    }

    /// Updates whether a table has work.
    pub fn note_work(&mut self, table: &DbTable) {
        if self.shelf(table).has_work() {
            self.work.insert(table.clone());
        } else {
            self.work.remove(table);
        }
    }

    /// Counts calls.
    pub fn count(&mut self, operation: &'static str, calls: u64) {
        *self.counts.calls.entry(operation).or_default() += calls;
    }

    /// Counts calls of a sweep.
    pub fn count_sweep(&mut self, calls: u64) {
        let quarter = (self.now - START_MILLIS) * 4 / (self.hours * 3_600_000);
        self.counts.sweep_calls[usize::try_from(quarter).unwrap_or(0).min(3)] += calls;
    }

    /// Uses `units` of this second's quota, or counts a refusal. Returns whether the quota allowed it.
    pub fn admits(&mut self, quota: &'static str, of: usize, units: u64, per_second: u32) -> bool {
        let second = self.now / 1000;
        let used = self.used.entry((quota, of)).or_default();
        if used.0 != second {
            *used = (second, 0);
        }
        let fits = used.1 == 0 || used.1 + units <= u64::from(per_second);
        if fits {
            used.1 += units;
        } else {
            self.refuse(quota);
        }
        fits
    }

    /// Counts a refusal.
    pub fn refuse(&mut self, quota: &'static str) {
        *self.counts.throttled.entry(quota).or_default() += 1;
    }

    /// Accepts a statement, or returns the known one of this name.
    pub fn submit(&mut self, name: String, manifest: &str) -> usize {
        if let Some(known) = self.names.get(&name) {
            return *known;
        }
        let files = self.manifests.remove(manifest).unwrap_or_default();
        if files.is_empty() {
            self.violations.insert(format!("{name}: a COPY without files"));
        }
        let index = self.statements.len();
        self.names.insert(name.clone(), index);
        self.statements.push(Statement { name, files, began_millis: 0, ended: false });
        self.active += 1;
        self.counts.statements_at_once = self.counts.statements_at_once.max(self.active);
        self.queued.push_back(index);
        self.run_queued();
        index
    }

    /// Starts as many waiting statements as the warehouse can run.
    fn run_queued(&mut self) {
        while self.running < self.cost.statements_at_once {
            let Some(index) = self.queued.pop_front() else { return };
            self.running += 1;
            let size_bytes = self.statements[index].files.iter().map(|file| self.files[*file].size_bytes).sum();
            self.statements[index].began_millis = self.now;
            self.after(self.cost.load_millis(size_bytes), Wake::StatementEnds(index));
        }
    }

    /// Ends a statement and commits its rows.
    pub fn statement_ends(&mut self, index: usize) {
        let statement = &mut self.statements[index];
        statement.ended = true;
        self.busy.push((statement.began_millis, self.now));
        let files = std::mem::take(&mut statement.files);
        self.names.remove(&self.statements[index].name);
        for file in files {
            if self.committed[file] > 0 {
                self.violations.insert(format!("file {file} is loaded twice"));
            }
            self.committed[file] = self.now;
        }
        self.running -= 1;
        self.active -= 1;
        self.run_queued();
        self.after(self.cost.event_millis, Wake::Event(index));
    }
}
