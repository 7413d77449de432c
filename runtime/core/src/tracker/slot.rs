//! The slot: the right to run a table's only load. The item stays when a load ends, and its version keeps counting.
//!
//! An invocation reads the slot, then the backlog, the ledger and the objects, and then writes the slot on condition of the version it
//! read. If that succeeds, nobody settled anything in between, so everything it read still holds. If it is refused, the invocation has only
//! read.

use super::condition::Condition;
use super::key::{ConfigSource, SortKey};
use crate::fit::Fit;
use crate::ids::{DbTable, LoadId, Millis, StatementName};
use crate::outcome::FailureClass;
use crate::sql::columns::TargetColumns;

/// A table's slot: the running load, and what outlasts loads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Number of writes of this item: the fence. 0 if the item does not exist yet.
    pub version: u64,
    /// Number of loads that have taken the slot, the running one included.
    pub number: u64,
    /// Whether the last load to take the slot came from a bulk request; live files are then next.
    pub requested: bool,
    /// Columns of the target, as last read from the catalog.
    pub columns: Option<KnownColumns>,
    /// Set while an operator has paused the table: no load starts, but a submitted one runs to its end.
    pub pause: Option<Pause>,
    /// Where the search of a backlog that is too long for one invocation continues: what is before it was passed over.
    pub searched: Option<SortKey>,
    /// The running load, if any.
    pub load: Option<RunningLoad>,
}

/// An operator's order that no load of the table starts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pause {
    /// Who gave it.
    pub by: String,
    /// When it was given.
    pub since_millis: Millis,
    /// The reason, if given.
    pub reason: Option<String>,
}

/// What the catalog returned, cached so that it is not queried before every load.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KnownColumns {
    /// Columns of the target.
    pub columns: TargetColumns,
    /// When the query began.
    pub asked_millis: Millis,
}

impl Slot {
    /// The condition of the slot's next write: the slot is exactly as it was read.
    pub fn condition(&self) -> Condition {
        Condition::Slot { version: self.version, load_id: self.load.as_ref().map(|load| load.load_id.clone()) }
    }

    /// The next write, one version later: held by this load. A load that takes the slot gets a number of its own.
    #[must_use]
    pub fn held(&self, load: RunningLoad) -> Self {
        let same = self.load.as_ref().is_some_and(|held| held.load_id == load.load_id);
        let (number, requested) = (self.number + u64::from(!same), load.source.is_requested());
        let freed = self.freed();
        // The SQL of a prepared attempt depends on these columns, even if it adds others.
        let columns = if load.prepared().is_some() { self.columns.clone() } else { freed.columns.clone() };
        Self { number, requested, load: Some(load), columns, ..freed }
    }

    /// The next write, one version later and otherwise unchanged.
    #[must_use]
    pub fn again(&self) -> Self {
        Self { version: self.version + 1, ..self.clone() }
    }

    /// The next write, one version later: the search of the backlog continues after this key, or at its beginning.
    #[must_use]
    pub fn searched_to(&self, searched: Option<SortKey>) -> Self {
        Self { searched, ..self.again() }
    }

    /// The next write, one version later: free. If the load may have added columns, the cached ones are dropped.
    #[must_use]
    pub fn freed(&self) -> Self {
        let adds = self.load.as_ref().and_then(RunningLoad::prepared).is_some_and(|it| !it.fit.added.is_empty());
        let columns = if adds { None } else { self.columns.clone() };
        Self { load: None, columns, ..self.again() }
    }
}

/// The load that holds a table's slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunningLoad {
    /// Derived from the slot's version and the item keys of its pending loads, so it is never used twice.
    pub load_id: LoadId,
    /// The invocation that last wrote the slot for this load.
    pub holder: String,
    /// When it wrote.
    pub touched_millis: Millis,
    /// When the slot was taken.
    pub claimed_millis: Millis,
    /// When the oldest of its objects was recorded.
    pub recorded_millis: Millis,
    /// Number of the attempt, from 1. It is part of the statement name, and so of the client token.
    pub attempt: u32,
    /// Number of failed attempts.
    pub failures: u32,
    /// How many of them found a changed or missing object.
    pub refreshes: u32,
    /// Whether the last of them needs an operator. It stays set during the probes that follow.
    pub awaits_operator: bool,
    /// Item keys of its pending loads.
    pub pending_keys: Vec<SortKey>,
    /// How to load it. The queue's configuration is read again for every attempt.
    pub source: ConfigSource,
    /// The current step.
    pub step: Step,
}

/// Step of a running load.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The slot is taken. Next, the objects are looked at and the manifest is written.
    Claimed,
    /// An attempt failed, and another will follow.
    Waiting {
        /// Earliest start of the next attempt.
        not_before_millis: Millis,
        /// Class of the failure.
        class: FailureClass,
        /// The error text of the warehouse or the service.
        reason: String,
    },
    /// The manifest is written; the statement batch may or may not have been submitted.
    Prepared(Prepared),
    /// The Data API has accepted the statement batch.
    Submitted {
        /// What was prepared, and so submitted.
        prepared: Prepared,
        /// The statement id that the service assigned.
        statement_id: String,
        /// When the id was recorded.
        submitted_millis: Millis,
        /// When the statement's cancellation was decided, because of its timeout or by a person.
        cancelled_millis: Option<Millis>,
    },
    /// It can no longer be known whether the rows were committed. From here, every path leads to quarantine.
    GivenUp {
        /// The statement's id, if it was known.
        statement_id: Option<String>,
    },
}

/// Together with the slot's columns, everything that determines the SQL of one attempt, so that a repeat is identical.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Prepared {
    /// `s3://` URL of the manifest. Its key contains the digest of its content, so no other content can overwrite it.
    pub manifest: String,
    /// Number of objects in the manifest.
    pub n_objects: u64,
    /// Their size in bytes.
    pub size_bytes: u64,
    /// How the files map to the target.
    pub fit: Fit,
    /// Statement name; the client token is derived from it.
    pub statement_name: StatementName,
    /// When the attempt was prepared: the earliest possible submit.
    pub prepared_millis: Millis,
    /// Earliest time of the next submit.
    pub not_before_millis: Millis,
    /// Number of submits that were refused or not answered.
    pub refusals: u32,
    /// Whether a statement may exist whose id is unknown.
    pub uncertain: bool,
}

impl RunningLoad {
    /// The table whose slot the load holds.
    pub fn table(&self) -> DbTable {
        self.source.recorded.db_table()
    }

    /// The statement id, if it is known.
    pub fn statement_id(&self) -> Option<&str> {
        match &self.step {
            Step::Submitted { statement_id, .. } => Some(statement_id),
            Step::GivenUp { statement_id } => statement_id.as_deref(),
            Step::Claimed | Step::Waiting { .. } | Step::Prepared(_) => None,
        }
    }

    /// For how long its statement has run, as far as is known, in milliseconds; 0 without one.
    pub const fn runs_for(&self, now: Millis) -> Millis {
        match &self.step {
            Step::Submitted { submitted_millis, .. } => now - *submitted_millis,
            Step::Claimed | Step::Waiting { .. } | Step::Prepared(_) | Step::GivenUp { .. } => 0,
        }
    }

    /// What the current attempt prepared; `None` before and after.
    pub const fn prepared(&self) -> Option<&Prepared> {
        match &self.step {
            Step::Prepared(prepared) | Step::Submitted { prepared, .. } => Some(prepared),
            Step::Claimed | Step::Waiting { .. } | Step::GivenUp { .. } => None,
        }
    }

    /// The same load at another step, written by `holder` at `now`.
    #[must_use]
    pub fn at(&self, step: Step, holder: &str, now: Millis) -> Self {
        Self { holder: holder.to_owned(), touched_millis: now, step, ..self.clone() }
    }
}

/// A slot and the load that holds it, or is about to take it. Most decisions start from both.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// The slot as it was read.
    pub slot: &'a Slot,
    /// The load.
    pub load: &'a RunningLoad,
}
