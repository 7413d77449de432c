//! Watches the tracker and prints a line when a load starts and when it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Result;
use loader_core::tracker::item::History;
use loader_core::tracker::slot::RunningLoad;
use local_client::StackInfo;

use super::logs_hint;
use crate::ground::output::{Failure, Out, counted, seconds, size};
use crate::loader::deployment::prepared::Prepared;
use crate::loader::tracker::Tracker;

const POLL: Duration = Duration::from_millis(100);
const RUNNING_SECONDS_MAX: u64 = 60;
const IDLE_SECONDS_MAX: u64 = 180;

/// What was read about the demo's tables.
pub struct Watch {
    out: Out,
    tracker: Tracker,
    /// `db_table` of each queue.
    tables: BTreeMap<String, String>,
    /// Running load of each queue.
    running: BTreeMap<String, String>,
    announced: BTreeSet<String>,
    /// Finished loads by table, in order.
    pub loads: BTreeMap<String, Vec<History>>,
    /// Number of objects in quarantine.
    pub n_quarantined: usize,
}

impl Watch {
    pub fn new(out: Out, tracker: Tracker, prepared: &Prepared) -> Self {
        let tables = prepared.queues.iter().map(|queue| (queue.name.clone(), queue.config.db_table().0)).collect();
        Self {
            out,
            tracker,
            tables,
            running: BTreeMap::new(),
            announced: BTreeSet::new(),
            loads: BTreeMap::new(),
            n_quarantined: 0,
        }
    }

    /// Waits until all tables run a load at the same time. Returns the load of each table.
    pub async fn until_running(&mut self, stack: &StackInfo) -> Result<BTreeMap<String, String>> {
        let started = Instant::now();
        loop {
            self.look().await?;
            if self.running.len() == self.tables.len() {
                return Ok(self.running.clone());
            }
            if started.elapsed() > Duration::from_secs(RUNNING_SECONDS_MAX) {
                return Err(self.stuck(stack));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether these loads are still running, so anything uploaded in between was uploaded while they ran.
    pub async fn still_running(&mut self, loads: &BTreeMap<String, String>) -> Result<bool> {
        self.look().await?;
        Ok(&self.running == loads)
    }

    /// Waits until all objects are loaded or in quarantine and nothing is running or waiting.
    pub async fn until_idle(&mut self, stack: &StackInfo, n_objects: u64) -> Result<()> {
        let started = Instant::now();
        loop {
            let n_busy = self.look().await?;
            let n_loaded: u64 = self.loads.values().flatten().map(|load| load.n_objects).sum();
            if n_busy == 0 && n_loaded + self.n_quarantined as u64 >= n_objects {
                return Ok(());
            }
            if started.elapsed() > Duration::from_secs(IDLE_SECONDS_MAX) {
                let message = format!(
                    "{n_loaded} of {n_objects} files are loaded and {n_busy} loads are in progress after {IDLE_SECONDS_MAX} s"
                );
                return Err(Failure::new(message, logs_hint(stack)).into());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn stuck(&self, stack: &StackInfo) -> anyhow::Error {
        let idle: Vec<&str> =
            self.tables.keys().filter(|table| !self.running.contains_key(*table)).map(String::as_str).collect();
        Failure::new(format!("no load of {} runs after {RUNNING_SECONDS_MAX} s", idle.join(", ")), logs_hint(stack))
            .into()
    }

    /// Reads every table once and prints what is new. Returns the number of running and waiting loads.
    async fn look(&mut self) -> Result<usize> {
        let mut n_busy = 0;
        self.running.clear();
        for (table, db_table) in self.tables.clone() {
            let state = self.tracker.state(&db_table).await?;
            n_busy += state.backlog.len();
            if let Some(running) = &state.slot.load {
                n_busy += 1;
                self.announce_running(&table, running);
            }
            for load in self.tracker.loaded(&db_table, 0..=i64::MAX).await? {
                self.announce_loaded(&table, load);
            }
            self.look_at_quarantine(&table, &db_table).await?;
        }
        Ok(n_busy)
    }

    fn announce_running(&mut self, table: &str, running: &RunningLoad) {
        let load_id = &running.load_id.0;
        if self.announced.insert(load_id.clone()) {
            self.out.line(format!("   {table:<12} load {} runs", short(load_id)));
        }
        self.running.insert(table.to_owned(), load_id.clone());
    }

    fn announce_loaded(&mut self, table: &str, load: History) {
        let loads = self.loads.entry(table.to_owned()).or_default();
        if loads.iter().any(|known| known.key == load.key) {
            return;
        }
        let rows = load.rows.map_or_else(String::new, |rows| format!(", {rows} rows"));
        self.out.ok(format!(
            "{table:<12} load {}: {}, {}{rows}; waited {}, took {}; statement {}",
            short(&load.load_id.0),
            counted(load.n_objects, "file"),
            size(load.size_bytes),
            millis(load.queue_wait_millis),
            millis(load.load_millis),
            load.statement_id,
        ));
        loads.push(load);
    }

    async fn look_at_quarantine(&mut self, table: &str, db_table: &str) -> Result<()> {
        let mut n_objects = 0;
        for failed in self.tracker.quarantine(db_table).await? {
            n_objects += failed.objects.len();
            if self.n_quarantined < n_objects {
                let keys: Vec<_> = failed.objects.iter().map(|waiting| waiting.object.key.as_str()).collect();
                self.out.line(format!(
                    "{} {table}: {} in quarantine: {}",
                    self.out.bad("!!"),
                    keys.join(", "),
                    failed.error
                ));
            }
        }
        self.n_quarantined = self.n_quarantined.max(n_objects);
        Ok(())
    }
}

/// The first digits of a load id, which are enough to distinguish the loads of a demo.
fn short(load_id: &str) -> &str {
    load_id.get(..8).unwrap_or(load_id)
}

fn millis(millis: i64) -> String {
    seconds(Duration::from_millis(millis.unsigned_abs()))
}
