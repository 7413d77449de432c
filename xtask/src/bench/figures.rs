//! What was measured, before anybody judges or prints it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::bench::invocations::Invocations;

/// From an object's upload to its rows, one file at a time.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// How many files.
    pub files: usize,
    /// Half of them were quicker.
    pub median_millis: f64,
    /// 95 of 100 were quicker.
    pub p95_millis: f64,
}

/// Many files at once.
#[derive(Debug, Serialize)]
pub struct Burst {
    /// How many files.
    pub files: u32,
    /// How long the uploads took.
    pub upload_seconds: f64,
    /// From the first upload until nothing waits or runs.
    pub drained_seconds: f64,
    /// COPY commands that were submitted.
    pub copies: usize,
    /// Calls of the functions, by service and operation.
    pub calls: BTreeMap<String, BTreeMap<String, u64>>,
    /// Invocations of the functions, and how long they ran.
    pub invocations: Invocations,
}

/// Cold starts of one function, medians in milliseconds.
#[derive(Debug, Serialize)]
pub struct ColdStart {
    /// The function.
    pub function: &'static str,
    /// How often it was started.
    pub runs: usize,
    /// From the start of the process until it asks for an event.
    pub init_millis: f64,
    /// From the start of the process until its first answer.
    pub first_answer_millis: f64,
}
