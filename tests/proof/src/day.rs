//! A day of the loader in virtual time, without faults: the production code over services with latencies, prices and quotas. It shows what a
//! number of files and tables costs, how long files wait until their rows are committed, and which quota is reached first.
//!
//! Nothing is measured on AWS. All numbers follow from the parameters in [`cost::Cost`].

pub mod arrivals;
pub mod cost;
pub mod engine;
pub mod policies;
pub mod port;
pub mod print;
pub mod shelf;
pub mod stage;

use std::collections::BTreeSet;

use loader_core::ids::{ObjectVersion, Version, WaitingObject};
use loader_core::tracker::prepare::ObjectState;

use crate::fixture::{BUCKET, START_MILLIS};
use arrivals::{Arrival, Shape};
use cost::Cost;
use stage::{Counts, Stage};

/// The parameters of a day.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Seed of the random numbers.
    pub seed: u64,
    /// Number of target tables.
    pub tables: usize,
    /// Number of files; ignored with [`Shape::Replayed`].
    pub files: usize,
    /// How files arrive.
    pub shape: Shape,
    /// Length of the day in hours.
    pub hours: i64,
    /// When loads start.
    pub start: Start,
    /// One of this many sweeps is lost; with 0, none.
    pub lost_sweeps: u64,
    /// `load.write_once` of every table.
    pub write_once: bool,
    /// Latencies, quotas and prices.
    pub cost: Cost,
}

/// When the loads of a day start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// `load.age_seconds` of every table.
    Age(u32),
    /// `freshness_seconds` of the warehouse of all tables.
    Freshness(u32),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            tables: 5,
            files: 2_000,
            shape: Shape::Steady,
            hours: 24,
            start: Start::Age(0),
            lost_sweeps: 0,
            write_once: true,
            cost: Cost::default(),
        }
    }
}

impl Options {
    /// Which part of the day that is.
    #[expect(clippy::cast_precision_loss, reason = "a day has 2^27 milliseconds")]
    pub fn share(&self, millis: i64) -> f64 {
        millis as f64 / (self.hours * 3_600_000) as f64
    }
}

/// A day with one file a minute for each table, at different instants, and loads of five seconds.
pub fn a_file_a_minute(tables: usize, hours: i64, start: Start, prices: &Cost) -> Options {
    let mut files = Vec::new();
    for table in 0..tables {
        // Tables begin at different times.
        for minute in i64::try_from(table * 4 % 15).unwrap_or(0)..hours * 60 {
            let millis = minute * 60_000 + i64::try_from(table * 7_919 % 60_000).unwrap_or(0);
            files.push(Arrival { millis, table, size_bytes: 1 << 20 });
        }
    }
    let cost = Cost { copy_millis: 4_000, statements_at_once: 50, ..prices.clone() };
    Options { tables, hours, start, cost, shape: Shape::Replayed(files), ..Options::default() }
}

/// As many, at any instant: what the wakes of tables cost that know nothing of one another.
pub fn a_file_a_minute_at_random(tables: usize, hours: i64, start: Start, prices: &Cost) -> Options {
    let options = a_file_a_minute(tables, hours, start, prices);
    let files = tables * usize::try_from(hours * 60).unwrap_or(0);
    let mut files = arrivals::of_day(options.seed, &Shape::Steady, files, tables, hours);
    for (index, file) in files.iter_mut().enumerate() {
        (file.table, file.size_bytes) = (index % tables, 1 << 20);
    }
    Options { shape: Shape::Replayed(files), ..options }
}

/// The results of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Files that arrived.
    pub files: usize,
    /// Number of loads.
    pub loads: usize,
    /// Milliseconds from the upload of each file to the commit of its rows, in ascending order.
    pub waits: Vec<i64>,
    /// Milliseconds for which the warehouse is billed.
    pub awake_millis: i64,
    /// How often the warehouse was woken.
    pub wakes: usize,
    /// Milliseconds for which the metrics say that it was awake, in whole minutes.
    pub metered_millis: i64,
    /// Milliseconds for which it would have been awake if each file had been loaded at once: by the metrics, in whole minutes.
    pub metered_at_once_millis: i64,
    /// The same, as `cargo xtask cost` estimates it from the history.
    pub at_once_millis: i64,
    /// Calls, units and other counts.
    pub counts: Counts,
    /// Violations; empty if the day was correct.
    pub violations: Vec<String>,
}

/// Simulates a day.
pub fn run(options: &Options) -> Outcome {
    outcome(engine::Engine::new(options).run())
}

fn outcome(stage: Stage) -> Outcome {
    let mut violations: Vec<String> = stage.violations.into_iter().collect();
    violations.extend(stage.tables.iter().flat_map(|shelf| shelf.unexpected.iter().cloned()));
    let missing = stage.committed.iter().filter(|millis| **millis == 0).count();
    if missing > 0 {
        violations.push(format!("{missing} files are not loaded"));
    }
    let wait = |(file, committed): (&Arrival, &i64)| (*committed > 0).then(|| committed - START_MILLIS - file.millis);
    let mut waits: Vec<i64> = stage.files.iter().zip(&stage.committed).filter_map(wait).collect();
    waits.sort_unstable();
    let loads = stage.busy.len();
    let whole_minutes = |minutes: &BTreeSet<i64>| i64::try_from(minutes.len()).unwrap_or(0) * 60_000;
    let metered_millis = whole_minutes(&stage.minutes_awake);
    let metered_at_once_millis = whole_minutes(&stage.minutes_recorded);
    let at_once = stage.tables.iter().flat_map(|shelf| shelf.at_once.iter().copied()).collect();
    let at_once_millis = stage.cost.awake(at_once).0;
    let (awake_millis, wakes) = stage.cost.awake(stage.busy);
    Outcome {
        files: stage.files.len(),
        loads,
        waits,
        awake_millis,
        wakes,
        metered_millis,
        metered_at_once_millis,
        at_once_millis,
        counts: stage.counts,
        violations,
    }
}

impl Outcome {
    /// Number of all calls.
    pub fn calls(&self) -> u64 {
        self.counts.calls.values().sum()
    }

    /// Number of calls whose operation begins with `operation`.
    pub fn calls_of(&self, operation: &str) -> u64 {
        self.counts.calls.iter().filter(|(name, _)| name.starts_with(operation)).map(|(_, calls)| calls).sum()
    }

    /// Number of calls except those of SQS, looks, and listings in their place.
    pub fn calls_beside_looks(&self) -> u64 {
        self.calls() - self.calls_of("s3:HeadObject") - self.calls_of("s3:List") - self.calls_of("sqs:")
    }

    /// Cost in dollars, without the warehouse.
    #[expect(clippy::cast_precision_loss, reason = "dollars are rounded anyway")]
    pub fn dollars(&self, cost: &Cost) -> f64 {
        let gets = self.calls_of("s3:GetObject") + self.calls_of("s3:HeadObject") + self.files as u64;
        let millions = |count: u64, dollars: f64| count as f64 * dollars / 1e6;
        millions(self.counts.write_units, cost.write_units_dollars)
            + millions(self.counts.read_units, cost.read_units_dollars)
            + millions(self.calls_of("s3:PutObject") + self.calls_of("s3:List"), cost.s3_puts_dollars)
            + millions(gets, cost.s3_gets_dollars)
            + millions(self.calls_of("sqs:"), cost.sqs_dollars)
            + millions(self.counts.invocations, cost.invocations_dollars)
            + millions(self.counts.invocation_millis / 1000, cost.function_seconds_dollars)
    }
}

/// A percentile of sorted numbers, or 0 if there are none.
pub fn percentile(sorted: &[i64], hundredths: usize) -> i64 {
    let position = (sorted.len() * hundredths).div_ceil(100).max(1) - 1;
    sorted.get(position).copied().unwrap_or(0)
}

/// Object key of a file.
fn key(file: usize, table: usize) -> String {
    format!("t{table}/dt=2024-01-02/part-{file:08}.parquet")
}

/// The file with this object key or URL.
fn file_of(key: &str) -> Option<usize> {
    key.rsplit_once("part-")?.1.get(..8)?.parse().ok()
}

fn object_state(file: usize, size_bytes: u64) -> ObjectState {
    ObjectState::Found { version_id: None, etag: Some(etag(file)), size_bytes }
}

fn waiting(file: usize, arrival: &Arrival) -> WaitingObject {
    let object =
        ObjectVersion { bucket: BUCKET.to_owned(), key: key(file, arrival.table), version: Version::ETag(etag(file)) };
    WaitingObject { object, size_bytes: arrival.size_bytes }
}

fn etag(file: usize) -> String {
    format!("{file:032x}")
}

/// S3's notification of a file.
fn message_body(file: usize, arrival: &Arrival) -> String {
    let (key, etag, size) = (key(file, arrival.table).replace('=', "%3D"), etag(file), arrival.size_bytes);
    format!(
        r#"{{"Records":[{{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{{"bucket":{{"name":"{BUCKET}"}},"object":{{"key":"{key}","size":{size},"eTag":"{etag}"}}}}}}]}}"#
    )
}
