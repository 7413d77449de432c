//! Loads, quarantined files and audit records of the tracker, as commands print them.

use std::time::Duration;

use loader_core::fit::AddedColumn;
use loader_core::tracker::item::{Audit, History, Quarantined};
use schemars::JsonSchema;
use serde::Serialize;

use crate::ground::output::{counted, seconds, size};
use crate::operate::tables::one_line;

/// A finished load.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
#[allow(clippy::struct_field_names, reason = "as in the tracker")]
pub struct Load {
    /// When it was settled, in epoch milliseconds.
    pub at_millis: i64,
    /// Load id.
    pub load_id: String,
    /// Its number among the table's loads; 0 if loader 0.1 loaded it.
    pub number: u64,
    /// Number of files.
    pub objects: u64,
    /// Size of the files in bytes.
    pub bytes: u64,
    /// Number of rows, if the service reports it.
    pub rows: Option<i64>,
    /// Time from the creation of its oldest file to its recording, in milliseconds; 0 if no notification states when it was created.
    pub arrival_millis: i64,
    /// Time from the recording of its oldest file until it took the slot, in milliseconds.
    pub queue_wait_millis: i64,
    /// Time from taking the slot to the settlement, in milliseconds.
    pub load_millis: i64,
    /// Number of attempts.
    pub attempts: u32,
    /// Columns that the load added to the table, each with its type.
    pub added_columns: Vec<String>,
    /// Statement of the last attempt; empty if only the ledger table in the warehouse shows that it was loaded.
    pub statement_id: String,
    /// Name of that statement.
    pub statement_name: Option<String>,
    /// `s3://` URL of the manifest, which lists its files.
    pub manifest: String,
}

impl From<&History> for Load {
    fn from(history: &History) -> Self {
        Self {
            at_millis: history.key.at_millis().unwrap_or(0),
            load_id: history.load_id.0.clone(),
            number: history.number,
            objects: history.n_objects,
            bytes: history.size_bytes,
            rows: history.rows,
            arrival_millis: history.arrival_millis,
            queue_wait_millis: history.queue_wait_millis,
            load_millis: history.load_millis,
            attempts: history.attempts,
            added_columns: history.added.iter().map(AddedColumn::words).collect(),
            statement_id: history.statement_id.clone(),
            statement_name: history.statement_name.as_ref().map(ToString::to_string),
            manifest: history.manifest.clone(),
        }
    }
}

impl Load {
    /// When it took the slot, in epoch milliseconds.
    pub const fn claimed_millis(&self) -> i64 {
        self.at_millis - self.load_millis
    }

    /// When its oldest file was recorded, in epoch milliseconds.
    pub const fn recorded_millis(&self) -> i64 {
        self.claimed_millis() - self.queue_wait_millis
    }

    /// When the oldest of its files was created, epoch milliseconds.
    pub const fn created_millis(&self) -> i64 {
        self.recorded_millis() - self.arrival_millis
    }

    /// One line for people.
    pub fn summary(&self) -> String {
        let lasted = |millis: i64| seconds(Duration::from_millis(millis.unsigned_abs()));
        let rows = self.rows.map_or_else(String::new, |rows| format!(", {}", counted(rows, "row")));
        let attempts = if self.attempts == 1 { String::new() } else { format!(", {} attempts", self.attempts) };
        let added = if self.added_columns.is_empty() {
            String::new()
        } else {
            format!("; added to the table: {}", self.added_columns.join(", "))
        };
        format!(
            "load {} ({}): {}, {}{rows}; waited {}, took {}{attempts}{added}; statement {}",
            self.number,
            self.load_id,
            counted(self.objects, "file"),
            size(self.bytes),
            lasted(self.queue_wait_millis),
            lasted(self.load_millis),
            self.statement_id
        )
    }
}

/// Files that could not be loaded, with a common reason.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Quarantine {
    /// The files, as `s3://bucket/key (version)`.
    pub objects: Vec<String>,
    /// Failure class.
    pub class: String,
    /// Error text, from the warehouse or the loader.
    pub error: String,
    /// What an operator should do.
    pub remedy: String,
    /// Statement that failed.
    pub statement_id: Option<String>,
    /// When they went to quarantine, in epoch milliseconds.
    pub at_millis: Option<i64>,
}

impl From<&Quarantined> for Quarantine {
    fn from(failed: &Quarantined) -> Self {
        Self {
            objects: failed.objects.iter().map(|waiting| waiting.object.to_string()).collect(),
            class: failed.class.name().to_owned(),
            error: failed.error.clone(),
            remedy: failed.remedy.clone(),
            statement_id: failed.statement_id.clone(),
            at_millis: failed.key.at_millis(),
        }
    }
}

impl Quarantine {
    /// One line for people.
    pub fn summary(&self) -> String {
        let first = self.objects.first().cloned().unwrap_or_default();
        let more = if self.objects.len() > 1 { ", …" } else { "" };
        let files = counted(self.objects.len(), "file");
        format!("quarantine ({}): {files}, {first}{more}: {}", self.class, one_line(&self.error))
    }
}

/// What an operator did.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Act {
    /// When it was done, in epoch milliseconds.
    pub at_millis: i64,
    /// Who did it, as the ARN of the credentials.
    pub by: String,
    /// The command.
    pub command: String,
    /// The objects or setting concerned.
    pub what: String,
    /// The reason, if given.
    pub why: Option<String>,
}

impl From<&Audit> for Act {
    fn from(audit: &Audit) -> Self {
        Self {
            at_millis: audit.key.at_millis().unwrap_or(0),
            by: audit.by.clone(),
            command: audit.command.clone(),
            what: audit.what.clone(),
            why: audit.why.clone(),
        }
    }
}

impl Act {
    /// One line for people.
    pub fn summary(&self) -> String {
        let why = self.why.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
        format!("{} by {}: {}{why}", self.command, self.by, one_line(&self.what))
    }
}
