//! What the tracker stores besides the slot: pending loads, quarantine, the ledger, the history, audit records and listings.
//!
//! `wire` defines how items look in DynamoDB; `write` defines which writes are allowed.

use super::listing::Listing;
use super::slot::{RunningLoad, Slot};
use crate::fit::AddedColumn;
use crate::ids::{LoadId, ObjectVersion, StatementName, WaitingObject};
use crate::outcome::FailureClass;

pub use super::key::{ConfigSource, SortKey};
pub use crate::ids::Millis;

/// Objects that are waiting to be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PendingLoad {
    /// Sort key.
    pub key: SortKey,
    /// At most as many as fit into an item ([`super::pack`]).
    pub objects: Vec<WaitingObject>,
    /// How to load them.
    pub source: ConfigSource,
    /// When the oldest of them was recorded.
    pub recorded_millis: Millis,
    /// When the oldest of them was created, if a notification states it.
    pub created_millis: Option<Millis>,
    /// Set if a failed load was divided or an operator retried: only pending loads of the same group share a COPY.
    pub group: Option<String>,
    /// Earliest time at which a load may take it.
    pub not_before_millis: Millis,
    /// How often it was set aside because of an unexplained failure.
    pub set_aside: u32,
    /// Whether its objects entered the ledger before they were loaded: objects that an operator retries from quarantine, and those recorded
    /// by loader 0.1. For these, only [`LedgerMark::Loaded`] prevents loading.
    pub entered: bool,
    /// Lambda's request id of the invocation that recorded all of them. `None` if there is no single one: after [`super::gather`], or if a
    /// person recorded them. For people only; the log of that invocation names the messages.
    pub recorded_by: Option<String>,
}

/// Which invocation recorded an object, and when.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recording {
    /// Lambda's request id of the invocation.
    pub request_id: String,
    /// When it recorded the object.
    pub at_millis: Millis,
}

impl PendingLoad {
    /// Total size of its objects in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.objects.iter().map(|waiting| waiting.size_bytes).sum()
    }

    /// Which invocation recorded its objects, if it was one.
    pub fn recording(&self) -> Option<Recording> {
        let request_id = self.recorded_by.clone()?;
        Some(Recording { request_id, at_millis: self.recorded_millis })
    }

    /// The invocation that recorded all of these, if it was one.
    pub fn recorder_of<'a>(pendings: impl IntoIterator<Item = &'a Self>) -> Option<String> {
        let mut recorders = pendings.into_iter().map(|pending| &pending.recorded_by);
        let first = recorders.next()?;
        recorders.all(|other| other == first).then(|| first.clone())?
    }
}

/// What the ledger says about an object version. Each mark states a fact, so any invocation that knows the fact may write it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LedgerMark {
    /// Written by loader 0.1 when it recorded the object, which is either waiting or loaded.
    Accepted,
    /// Its rows were committed by this load.
    Loaded(LoadId),
    /// It is or was in quarantine.
    Quarantined,
}

/// An object version in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LedgerEntry {
    /// The object version.
    pub object: ObjectVersion,
    /// What is known about it.
    pub mark: LedgerMark,
    /// When it was entered.
    pub entered_millis: Millis,
    /// Who recorded it before; `None` as in [`PendingLoad::recorded_by`].
    pub recorded: Option<Recording>,
    /// When the entry expires, in epoch seconds.
    pub expires_at: i64,
}

/// Objects that cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Quarantined {
    /// Sort key.
    pub key: SortKey,
    /// The objects.
    pub objects: Vec<WaitingObject>,
    /// How to load them, as in their last load.
    pub source: ConfigSource,
    /// Class of the last failure.
    pub class: FailureClass,
    /// The error text, from the warehouse or the loader.
    pub error: String,
    /// The failed statement, if there was one.
    pub statement_id: Option<String>,
    /// What an operator should do.
    pub remedy: String,
    /// Whether the files were refused before COPY because of their columns.
    pub is_misfit: bool,
}

/// A finished load.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct History {
    /// Sort key.
    pub key: SortKey,
    /// The load.
    pub load_id: LoadId,
    /// The load's number among the table's loads; 0 if loader 0.1 loaded it.
    pub number: u64,
    /// The statement that loaded it; empty if only the ledger table in the warehouse shows that it was loaded.
    pub statement_id: String,
    /// Name of the statement.
    pub statement_name: Option<StatementName>,
    /// `s3://` URL of the manifest, which lists its objects.
    pub manifest: String,
    /// Number of objects.
    pub n_objects: u64,
    /// Their size in bytes.
    pub size_bytes: u64,
    /// Number of rows that COPY loaded, if the service reports it.
    pub rows: Option<i64>,
    /// From the creation of the oldest object to its recording; 0 if no notification states when it was created.
    pub arrival_millis: i64,
    /// From the recording of the oldest object until the load took the slot.
    pub queue_wait_millis: i64,
    /// From taking the slot to the settlement.
    pub load_millis: i64,
    /// Number of attempts.
    pub attempts: u32,
    /// Columns that the load added to the target.
    pub added: Vec<AddedColumn>,
    /// When this item expires, in epoch seconds.
    pub expires_at: i64,
}

/// What an operator did, and why. Written in the same transaction as the change; read by people only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Audit {
    /// Sort key; contains the time.
    pub key: SortKey,
    /// Who did it.
    pub by: String,
    /// The command, for example `pause`.
    pub command: String,
    /// The objects or setting concerned.
    pub what: String,
    /// The reason, if given.
    pub why: Option<String>,
    /// When this item expires, in epoch seconds.
    pub expires_at: i64,
}

/// Any item of the tracker table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::large_enum_variant, reason = "a table has one slot, and a few items are in memory at a time")]
pub enum Item {
    /// The slot.
    Slot(Slot),
    /// A pending load.
    Pending(PendingLoad),
    /// A ledger entry.
    File(LedgerEntry),
    /// Quarantined objects.
    Failed(Quarantined),
    /// A finished load.
    Loaded(History),
    /// An audit record.
    Audit(Audit),
    /// A listing.
    Listing(Listing),
}

impl Item {
    /// The running load, if this is the slot and a load holds it.
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

    /// Whether the sweep must look at the item's table: a load runs or waits, or a folder is being listed.
    pub const fn is_work(&self) -> bool {
        match self {
            Self::Slot(slot) => slot.load.is_some(),
            Self::Listing(listing) => listing.given_up.is_none(),
            Self::Pending(_) => true,
            Self::File(_) | Self::Failed(_) | Self::Loaded(_) | Self::Audit(_) => false,
        }
    }

    /// Sort key of the item.
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
