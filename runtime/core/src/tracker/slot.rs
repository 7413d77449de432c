//! The slot: the right to run the one load of a table. The item stays when a load ends, and its version goes on.
//!
//! Whoever reads the slot, then the backlog, the ledger and the objects, and then writes the slot on condition of the version it
//! read, knows that nobody settled anything in between: everything it read still holds. Who loses that race has only read.

use super::condition::Condition;
use super::key::{ConfigSource, SortKey};
use crate::fit::Fit;
use crate::ids::{DbTable, LoadId, Millis, StatementName};
use crate::outcome::FailureClass;
use crate::sql::columns::TargetColumns;

/// A table's slot, and what outlasts its loads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Counts every write of this item: the fence. 0 where there is no item yet.
    pub version: u64,
    /// How many loads have taken the slot; the running load's number while there is one.
    pub number: u64,
    /// Whether the load that took it last is of a bulk request: then live files are next.
    pub requested: bool,
    /// Columns of the target, as the catalog had them when it was asked.
    pub columns: Option<KnownColumns>,
    /// Set while an operator has stopped the table: no load starts, one that is submitted ends.
    pub pause: Option<Pause>,
    /// The load that holds it.
    pub load: Option<RunningLoad>,
}

/// An operator's word that no load of the table may start.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pause {
    /// Who said so.
    pub by: String,
    /// When.
    pub since_millis: Millis,
    /// Why, where that was said.
    pub reason: Option<String>,
}

/// What the catalog returned, kept so that it is not queried before every load.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KnownColumns {
    /// What it said.
    pub columns: TargetColumns,
    /// When it was asked.
    pub asked_millis: Millis,
}

impl Slot {
    /// What a write must find: exactly this slot.
    pub fn condition(&self) -> Condition {
        Condition::Slot { version: self.version, load_id: self.load.as_ref().map(|load| load.load_id.clone()) }
    }

    /// The next write: one version on, held by this load, which has a number of its own.
    #[must_use]
    pub fn held(&self, load: RunningLoad) -> Self {
        let same = self.load.as_ref().is_some_and(|held| held.load_id == load.load_id);
        let (number, requested) = (self.number + u64::from(!same), load.source.is_requested());
        let freed = self.freed();
        // The columns make the SQL of an attempt, also where it adds others.
        let columns = if load.prepared().is_some() { self.columns.clone() } else { freed.columns.clone() };
        Self { number, requested, load: Some(load), columns, ..freed }
    }

    /// The next write: one version on, otherwise as it is.
    #[must_use]
    pub fn again(&self) -> Self {
        Self { version: self.version + 1, ..self.clone() }
    }

    /// The next write: one version on, free. Columns that were asked for before a load added some are asked for again.
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
    /// Derived from the slot's version and the item keys of its pending loads, so never used twice.
    pub load_id: LoadId,
    /// The invocation that wrote last.
    pub holder: String,
    /// When it wrote.
    pub touched_millis: Millis,
    /// When the slot was taken.
    pub claimed_millis: Millis,
    /// When the oldest of its objects was recorded.
    pub recorded_millis: Millis,
    /// Attempt, from 1; part of the statement name and so of the client token.
    pub attempt: u32,
    /// Attempts that failed.
    pub failures: u32,
    /// How many of them found an object changed or gone.
    pub refreshes: u32,
    /// Whether the last of them asks for an operator; stays so through the probes that follow.
    pub awaits_operator: bool,
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
        /// When its cancellation was decided, by the clock or by a person.
        cancelled_millis: Option<Millis>,
    },
    /// Nobody can know any more whether the rows were committed. From here every way leads to quarantine.
    GivenUp {
        /// The statement, where its id was known.
        statement_id: Option<String>,
    },
}

/// Everything that makes the SQL of one attempt (with the slot's columns), so that a repeat is the same to the letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Prepared {
    /// `s3://` URL of the manifest; its key holds the digest of its content, so it is never overwritten by another.
    pub manifest: String,
    /// Objects listed.
    pub n_objects: u64,
    /// Bytes listed.
    pub size_bytes: u64,
    /// How its files go into the target.
    pub fit: Fit,
    /// Statement name; the client token is derived from it.
    pub statement_name: StatementName,
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
    /// The table whose slot it holds.
    pub fn table(&self) -> DbTable {
        self.source.recorded.db_table()
    }

    /// The statement id, once it is known.
    pub fn statement_id(&self) -> Option<&str> {
        match &self.step {
            Step::Submitted { statement_id, .. } => Some(statement_id),
            Step::GivenUp { statement_id } => statement_id.as_deref(),
            Step::Claimed | Step::Waiting { .. } | Step::Prepared(_) => None,
        }
    }

    /// What was prepared last, while that still counts.
    pub const fn prepared(&self) -> Option<&Prepared> {
        match &self.step {
            Step::Prepared(prepared) | Step::Submitted { prepared, .. } => Some(prepared),
            Step::Claimed | Step::Waiting { .. } | Step::GivenUp { .. } => None,
        }
    }

    /// The same load at another step, written by this invocation.
    #[must_use]
    pub fn at(&self, step: Step, holder: &str, now: Millis) -> Self {
        Self { holder: holder.to_owned(), touched_millis: now, step, ..self.clone() }
    }
}

/// A held slot: what most decisions start from.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// The slot as it was read.
    pub slot: &'a Slot,
    /// The load that holds it, or is about to take it.
    pub load: &'a RunningLoad,
}
