//! Compares the rows that COPY reported for each load with the row counts in the footers of its files.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use futures::{StreamExt as _, stream};
use loader_core::config::LoadConfig;
use loader_core::copy_options::FileFormat;
use loader_core::ids::WaitingObject;
use loader_core::tracker::item::History;
use serde::Serialize;

use crate::ground::clock::now_millis;
use crate::ground::output::Failure;
use crate::loader::tracker::Tracker;
use crate::source::orc;

/// Number of footers read concurrently.
const FOOTERS_AT_ONCE: usize = 16;

/// The loaded files that still exist, by the id of their load.
pub type Loads = BTreeMap<String, Vec<WaitingObject>>;

/// The result of comparing rows.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// Number of loads compared.
    loads: usize,
    /// Number of rows that COPY reported for them.
    rows: u64,
    /// Number of loads that cannot be compared: one of their files was deleted, overwritten or is older than requested, or no rows were
    /// reported.
    not_compared: usize,
    /// Loads whose rows differ.
    differing: Vec<Differing>,
}

/// A load whose rows differ.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Differing {
    load_id: String,
    number: u64,
    statement_id: String,
    /// Number of rows that COPY reported.
    rows: u64,
    /// Number of rows in its files.
    rows_in_files: u64,
}

/// The kind of footers that a queue's files have. Only those of Parquet and ORC files contain the number of rows.
pub fn footers(queue: &str, config: &LoadConfig) -> Result<Footers> {
    match config.options.format {
        FileFormat::Parquet => Ok(Footers::Parquet),
        FileFormat::Orc => Ok(Footers::Orc),
        FileFormat::Avro | FileFormat::Json | FileFormat::Csv | FileFormat::Text => {
            let message = format!("the files of `{queue}` do not say how many rows they have: only Parquet and ORC do");
            Err(Failure::usage(message, format!("cargo xtask verify {queue}")).into())
        }
    }
}

/// A kind of footers that contain the number of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Footers {
    Parquet,
    Orc,
}

impl Footers {
    /// The number of rows in a file.
    async fn rows(self, tracker: &Tracker, file: &WaitingObject) -> Result<u64, String> {
        match self {
            Self::Parquet => tracker.rows(file).await,
            Self::Orc => {
                let from = file.size_bytes.saturating_sub(orc::TAIL_BYTES);
                let end = tracker.part(file, from, file.size_bytes - from).await?;
                let tail = orc::tail(&end, file.size_bytes)?;
                match orc::footer(&end, from, &tail) {
                    Some(footer) => orc::rows(footer, &tail),
                    None => orc::rows(&tracker.part(file, tail.from, tail.length).await?, &tail),
                }
            }
        }
    }
}

/// Compares each load whose files all still exist.
pub async fn compare(
    footers: Footers,
    tracker: &Tracker,
    table: &str,
    loads: &Loads,
    progress: impl Fn(usize),
) -> Result<Counted> {
    let (mut counted, mut n_files) = (Counted::default(), 0);
    let history = tracker.loaded(table, 0..=now_millis()).await?;
    let history: BTreeMap<&str, &History> = history.iter().map(|load| (load.load_id.0.as_str(), load)).collect();
    for (load_id, files) in loads {
        let whole = history.get(load_id.as_str()).filter(|load| load.n_objects == files.len() as u64);
        let reported = whole.and_then(|load| Some((*load, u64::try_from(load.rows?).ok()?)));
        let Some((load, rows)) = reported else {
            counted.not_compared += 1;
            continue;
        };
        let read = stream::iter(files).map(|file| footers.rows(tracker, file)).buffer_unordered(FOOTERS_AT_ONCE);
        let read: Vec<Result<u64, String>> = read.collect().await;
        n_files += files.len();
        progress(n_files);
        match read.into_iter().sum::<Result<u64, String>>() {
            Ok(rows_in_files) => counted.add(load, rows, rows_in_files),
            Err(_) => counted.not_compared += 1,
        }
    }
    Ok(counted)
}

impl Counted {
    fn add(&mut self, load: &History, rows: u64, rows_in_files: u64) {
        self.loads += 1;
        self.rows += rows;
        if rows != rows_in_files {
            self.differing.push(Differing {
                load_id: load.load_id.0.clone(),
                number: load.number,
                statement_id: load.statement_id.clone(),
                rows,
                rows_in_files,
            });
        }
    }

    /// An error if rows differ.
    pub fn check(&self) -> Result<()> {
        let Some(first) = self.differing.first() else { return Ok(()) };
        let Differing { load_id, number, rows, rows_in_files, .. } = first;
        let others =
            if self.differing.len() > 1 { format!(", and {} more", self.differing.len() - 1) } else { String::new() };
        let message =
            format!("COPY reported {rows} rows for load {number}, and its files have {rows_in_files}{others}");
        let next = format!("cargo xtask logs --load {load_id}; rows that MAXERROR left out count as missing");
        Err(Failure::new(message, next).into())
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { loads, rows, not_compared, differing } = self;
        write!(f, "{loads} loads with {rows} rows compared, {} differ, {not_compared} not compared", differing.len())
    }
}
