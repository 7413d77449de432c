//! What was measured, before anybody judges or prints it.

use local_client::calls::Counts;
use serde::Serialize;

use crate::bench::cost::Cost;
use crate::bench::invocations::Invocations;
use crate::bench::units::Units;

/// Files that were loaded one after the other.
#[derive(Debug, Serialize)]
pub struct OneByOne {
    /// Their table.
    pub table: String,
    /// How many files.
    pub files: u32,
    /// Added to each call.
    pub delay_millis: u64,
    /// From an object's upload to its rows: half of the files were quicker.
    pub median_millis: f64,
    /// 95 of 100 were quicker.
    pub p95_millis: f64,
    /// From the first call of `MicrobatchLoader` for a file until it has the statement's id, median.
    pub submit_millis: f64,
    /// The longest time without a call in there, median.
    pub longest_gap_millis: f64,
    /// Calls of the functions, by service and operation, all files together.
    pub calls: Counts,
}

/// Many files.
#[derive(Debug, Serialize)]
pub struct Many {
    /// What was dropped, and how.
    pub what: String,
    /// How many files.
    pub files: u32,
    /// How long the uploads took.
    pub upload_seconds: f64,
    /// From the first upload until nothing waits or runs.
    pub drained_seconds: f64,
    /// COPY commands that were submitted.
    pub copies: usize,
    /// Calls of the functions, by service and operation.
    pub calls: Counts,
    /// Invocations of the functions, and how long they ran.
    pub invocations: Invocations,
    /// Units of the tracker.
    pub units: Units,
    /// What a million such files would cost.
    pub cost: Cost,
}

/// Starts of one function, medians.
#[derive(Debug, Serialize)]
pub struct ColdStart {
    pub function: &'static str,
    /// How often it was started.
    pub runs: usize,
    /// From the start of the process until it asks for an event.
    pub init_millis: f64,
    /// From the start of the process until its first response.
    pub first_answer_millis: f64,
    /// Processor time of all its threads until it asks for an event; 0 where the system does not tell.
    pub init_cpu_millis: f64,
    /// Its largest memory until its first answer; 0 where the system does not tell.
    pub memory_bytes: f64,
}
