//! What the tracker stores beside the slot: waiting loads, quarantine, the ledger of object versions, history.
//!
//! How items look in DynamoDB is `wire`'s business; which writes are allowed is `write`'s.

use super::listing::Listing;
use super::slot::{RunningLoad, Slot};
use crate::fit::AddedColumn;
use crate::ids::{LoadId, ObjectVersion, StatementName, WaitingObject};
use crate::outcome::FailureClass;

pub use super::key::{ConfigSource, SortKey};
pub use crate::ids::Millis;

/// Objects that wait to be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PendingLoad {
    /// Sort key.
    pub key: SortKey,
    /// As many as an item holds.
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
    /// Whether its objects were in the ledger before they were loaded: those that an operator sends again from quarantine, and those
    /// that loader 0.1 recorded. Only [`LedgerMark::Loaded`] keeps such an object from being loaded.
    pub entered: bool,
}

impl PendingLoad {
    /// Bytes of all its objects.
    pub fn size_bytes(&self) -> u64 {
        self.objects.iter().map(|waiting| waiting.size_bytes).sum()
    }
}

/// What the ledger knows of an object version. A ledger entry states a fact, so anyone who knows the fact may write it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LedgerMark {
    /// Written by loader 0.1 when it recorded the object: it waits, or was loaded.
    Accepted,
    /// Its rows are committed, by this load.
    Loaded(LoadId),
    /// It was put into quarantine.
    Quarantined,
}

/// An object version in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LedgerEntry {
    /// Which one.
    pub object: ObjectVersion,
    /// What is known of it.
    pub mark: LedgerMark,
    /// Since when.
    pub entered_millis: Millis,
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
    /// Whether the columns of the files are the reason, seen before any statement.
    pub is_misfit: bool,
}

/// A finished load.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct History {
    /// Sort key.
    pub key: SortKey,
    /// The load.
    pub load_id: LoadId,
    /// Its number among the table's loads; 0 where loader 0.1 loaded it.
    pub number: u64,
    /// The statement that loaded it; empty where only the ledger in the warehouse tells that it was loaded.
    pub statement_id: String,
    /// Its name.
    pub statement_name: Option<StatementName>,
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
    /// Columns that the target got with its rows.
    pub added: Vec<AddedColumn>,
    /// When this may be forgotten, epoch seconds.
    pub expires_at: i64,
}

/// What an operator did, and why: written in the same transaction, read by people only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Audit {
    /// Sort key; holds the time.
    pub key: SortKey,
    /// Who.
    pub by: String,
    /// The command, for example `pause`.
    pub command: String,
    /// What it was done to.
    pub what: String,
    /// Why, where that was said.
    pub why: Option<String>,
    /// When this may be forgotten, epoch seconds.
    pub expires_at: i64,
}

/// Any item of the tracker table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::large_enum_variant, reason = "a table has one slot, and a few items are in memory at a time")]
pub enum Item {
    /// The slot.
    Slot(Slot),
    /// A waiting load.
    Pending(PendingLoad),
    /// A ledger entry.
    File(LedgerEntry),
    /// Quarantine.
    Failed(Quarantined),
    /// History.
    Loaded(History),
    /// What an operator did.
    Audit(Audit),
    /// A folder that is being listed.
    Listing(Listing),
}

impl Item {
    /// The load that holds the slot, if this is the slot.
    pub const fn load(&self) -> Option<&RunningLoad> {
        match self {
            Self::Slot(slot) => slot.load.as_ref(),
            Self::Pending(_)
            | Self::File(_)
            | Self::Failed(_)
            | Self::Loaded(_)
            | Self::Audit(_)
            | Self::Listing(_) => None,
        }
    }

    /// Whether the sweep must look at its table: a load runs or waits, or a folder is being listed.
    pub const fn is_work(&self) -> bool {
        match self {
            Self::Slot(slot) => slot.load.is_some(),
            Self::Listing(listing) => listing.given_up.is_none(),
            Self::Pending(_) => true,
            Self::File(_) | Self::Failed(_) | Self::Loaded(_) | Self::Audit(_) => false,
        }
    }

    /// Its sort key.
    pub fn key(&self) -> SortKey {
        match self {
            Self::Slot(_) => SortKey::slot(),
            Self::Pending(pending) => pending.key.clone(),
            Self::File(entry) => SortKey::file(&entry.object),
            Self::Failed(quarantined) => quarantined.key.clone(),
            Self::Loaded(history) => history.key.clone(),
            Self::Audit(audit) => audit.key.clone(),
            Self::Listing(listing) => listing.key.clone(),
        }
    }
}
