//! What the tracker stores: the slot, waiting loads, quarantine, the ledger of object versions, history.
//!
//! How items look in DynamoDB is `wire`'s business; which writes are allowed is `write`'s.

use std::fmt;
use std::sync::Arc;

use crate::config::LoadConfig;
use crate::ids::{DbTable, LoadId, ObjectVersion, StatementName};
use crate::outcome::FailureClass;
use crate::sql::columns::TargetColumns;

/// Milliseconds since 1970-01-01 UTC.
pub type Millis = i64;

/// Sort key of an item.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SortKey(pub String);

impl SortKey {
    /// The slot.
    pub fn running() -> Self {
        Self("RUNNING".into())
    }

    /// A waiting load; keys sort by time because the number is of fixed width.
    pub fn pending(since: Millis, load_id: &LoadId) -> Self {
        Self(format!("PENDING#{since:014}#{load_id}"))
    }

    /// Since when a waiting load waits, as its key says.
    pub fn since_millis(&self) -> Option<Millis> {
        self.0.strip_prefix("PENDING#")?.split('#').next()?.parse().ok()
    }

    /// An object version in the ledger.
    pub fn file(object: &ObjectVersion) -> Self {
        Self(format!("FILE#{}", object.id()))
    }

    /// A quarantined load.
    pub fn failed(at: Millis, load_id: &LoadId) -> Self {
        Self(format!("FAILED#{at:014}#{load_id}"))
    }

    /// A finished load.
    pub fn loaded(at: Millis, load_id: &LoadId) -> Self {
        Self(format!("LOADED#{at:014}#{load_id}"))
    }
}

impl fmt::Display for SortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An object version that waits, with its size as last seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WaitingObject {
    /// Which one.
    pub object: ObjectVersion,
    /// Its size.
    pub size_bytes: u64,
}

/// Where a load's configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConfigSource {
    /// The queue whose file is read again when the load starts; `None` for a bulk request.
    pub queue: Option<String>,
    /// The configuration as it was when the load was recorded: used for bulk requests, and when the queue's file is gone,
    /// broken, or names another table by now.
    pub recorded: Arc<LoadConfig>,
}

/// Objects that wait to be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PendingLoad {
    /// Sort key; never used twice.
    pub key: SortKey,
    /// At most [`crate::limits::PENDING_OBJECTS_MAX`].
    pub objects: Vec<WaitingObject>,
    /// How to load them.
    pub source: ConfigSource,
    /// When the first of them was recorded.
    pub recorded_millis: Millis,
    /// Set when a failed load was split: only loads of the same group share a COPY.
    pub group: Option<String>,
    /// Not to be claimed before.
    pub not_before_millis: Millis,
    /// How often it was set aside for a failure that nobody could explain.
    pub set_aside: u32,
}

impl PendingLoad {
    /// Bytes of all its objects.
    pub fn size_bytes(&self) -> u64 {
        self.objects.iter().map(|waiting| waiting.size_bytes).sum()
    }

    /// About how many bytes of an item it takes.
    pub fn metadata_bytes(&self) -> usize {
        let object = |o: &WaitingObject| o.object.bucket.len() + 2 * o.object.key.len() + 128;
        512 + self.source.recorded.document.len() + self.objects.iter().map(object).sum::<usize>()
    }
}

/// The holder of a table's slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunningLoad {
    /// Derived from the item keys of its pending loads, so never used twice.
    pub load_id: LoadId,
    /// Counts every write of this item: the fence.
    pub version: u64,
    /// The invocation that wrote last.
    pub holder: String,
    /// When it wrote.
    pub touched_millis: Millis,
    /// When the slot was claimed.
    pub claimed_millis: Millis,
    /// When the oldest of its objects was recorded.
    pub recorded_millis: Millis,
    /// Attempt, from 1; part of the statement name and so of the client token.
    pub attempt: u32,
    /// Attempts of this claim that failed.
    pub failures: u32,
    /// How many of them found an object changed or gone.
    pub refreshes: u32,
    /// The pending loads it consists of.
    pub pending_keys: Vec<SortKey>,
    /// How it is loaded: read again for every attempt.
    pub source: ConfigSource,
    /// How far it is.
    pub step: Step,
}

/// How far a running load is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The slot is taken; objects must be looked at and the manifest written.
    Claimed,
    /// An attempt failed; the next starts then.
    Waiting {
        /// When the next attempt may start.
        not_before_millis: Millis,
        /// Why it failed.
        class: FailureClass,
        /// The warehouse's or the service's words.
        reason: String,
    },
    /// The manifest is written; the statement batch may or may not have been submitted.
    Prepared(Prepared),
    /// The Data API runs the statement batch.
    Submitted {
        /// What was prepared.
        prepared: Prepared,
        /// The service's id.
        statement_id: String,
        /// When its id was recorded.
        submitted_millis: Millis,
    },
}

/// Everything that makes the SQL of one attempt, so that a repeat is the same to the letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Prepared {
    /// `s3://` URL of the manifest; its key holds the digest of its content, so it is never overwritten by another.
    pub manifest: String,
    /// Objects listed.
    pub n_objects: u64,
    /// Bytes listed.
    pub size_bytes: u64,
    /// Columns of the target that the SQL names; empty when it names none.
    pub columns: TargetColumns,
    /// Statement name; the client token is derived from it.
    pub statement_name: String,
    /// Since when a submit is possible.
    pub prepared_millis: Millis,
    /// No submit before.
    pub not_before_millis: Millis,
    /// Submits that were refused or not answered.
    pub refusals: u32,
    /// Whether a statement may exist that nobody knows of.
    pub uncertain: bool,
}

impl RunningLoad {
    /// The name of the statement of this attempt.
    pub fn statement_name(&self, prefix: &str) -> StatementName {
        StatementName {
            prefix: prefix.to_owned(),
            table: self.table(),
            load_id: self.load_id.clone(),
            attempt: self.attempt,
        }
    }

    /// The table whose slot it holds.
    pub fn table(&self) -> DbTable {
        self.source.recorded.db_table()
    }

    /// The statement id, once it is known.
    pub fn statement_id(&self) -> Option<&str> {
        match &self.step {
            Step::Submitted { statement_id, .. } => Some(statement_id),
            Step::Claimed | Step::Waiting { .. } | Step::Prepared(_) => None,
        }
    }

    /// The next write of this item: one version on, by this invocation.
    #[must_use]
    pub fn next(&self, holder: &str, now: Millis, step: Step) -> Self {
        Self { version: self.version + 1, holder: holder.to_owned(), touched_millis: now, step, ..self.clone() }
    }
}

/// An object version that was accepted once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LedgerEntry {
    /// Which one.
    pub object: ObjectVersion,
    /// When it was accepted.
    pub accepted_millis: Millis,
    /// When it may be forgotten, epoch seconds.
    pub expires_at: i64,
}

/// Objects that cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Quarantined {
    /// Sort key.
    pub key: SortKey,
    /// The objects.
    pub objects: Vec<WaitingObject>,
    /// How they would have been loaded.
    pub source: ConfigSource,
    /// Why.
    pub class: FailureClass,
    /// The warehouse's own words.
    pub error: String,
    /// The statement that failed, if any.
    pub statement_id: Option<String>,
    /// What to do.
    pub remedy: String,
}

/// A finished load.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct History {
    /// Sort key.
    pub key: SortKey,
    /// The load.
    pub load_id: LoadId,
    /// The statement that loaded it.
    pub statement_id: String,
    /// Its name.
    pub statement_name: String,
    /// The list of its objects.
    pub manifest: String,
    /// How many.
    pub n_objects: u64,
    /// Their bytes.
    pub size_bytes: u64,
    /// Rows that COPY loaded, where the service says so.
    pub rows: Option<i64>,
    /// From the first object recorded to the claim.
    pub queue_wait_millis: i64,
    /// From the claim to the settlement.
    pub load_millis: i64,
    /// Attempts it took.
    pub attempts: u32,
    /// When this may be forgotten, epoch seconds.
    pub expires_at: i64,
}

/// Any item of the tracker table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// The slot.
    Running(RunningLoad),
    /// A waiting load.
    Pending(PendingLoad),
    /// A ledger entry.
    File(LedgerEntry),
    /// Quarantine.
    Failed(Quarantined),
    /// History.
    Loaded(History),
}

impl Item {
    /// Its sort key.
    pub fn key(&self) -> SortKey {
        match self {
            Self::Running(_) => SortKey::running(),
            Self::Pending(pending) => pending.key.clone(),
            Self::File(entry) => SortKey::file(&entry.object),
            Self::Failed(quarantined) => quarantined.key.clone(),
            Self::Loaded(history) => history.key.clone(),
        }
    }
}
