//! The measurements, before they are printed.

use local_client::calls::Counts;
use serde::Serialize;

use crate::bench::cost::Cost;
use crate::bench::invocations::Invocations;
use crate::bench::units::Units;

/// Files that were loaded one after the other.
#[derive(Debug, Serialize)]
pub struct OneByOne {
    pub table: String,
    pub files: u32,
    /// Delay added to each call.
    pub delay_millis: u64,
    /// Median time from an object's upload to its committed rows.
    pub median_millis: f64,
    /// 95th percentile of that time.
    pub p95_millis: f64,
    /// Median time from the first call of `MicrobatchLoader` for a file until it has the statement's id.
    pub submit_millis: f64,
    /// Median of the longest gap between calls in that time.
    pub longest_gap_millis: f64,
    /// Calls of the functions for all files together, by service and operation.
    pub calls: Counts,
}

/// Many files.
#[derive(Debug, Serialize)]
pub struct Many {
    /// What was uploaded, and how.
    pub what: String,
    pub files: u32,
    /// Duration of the uploads.
    pub upload_seconds: f64,
    /// From the first upload until nothing is waiting or running.
    pub drained_seconds: f64,
    /// Number of COPY commands submitted.
    pub copies: usize,
    /// Calls of the functions, by service and operation.
    pub calls: Counts,
    pub invocations: Invocations,
    pub units: Units,
    /// Cost of a million such files.
    pub cost: Cost,
}

/// Medians of the cold starts of one function.
#[derive(Debug, Serialize)]
pub struct ColdStart {
    pub function: &'static str,
    /// Number of starts.
    pub runs: usize,
    /// From the start of the process until it requests an event.
    pub init_millis: f64,
    /// From the start of the process until its first result.
    pub first_answer_millis: f64,
    /// CPU time of all its threads until it requests an event; 0 if the system does not report it.
    pub init_cpu_millis: f64,
    /// Its peak memory until its first result; 0 if the system does not report it.
    pub memory_bytes: f64,
}
