//! Seeded protocol bugs, for proving that the checks would find them. Each alters what the production code wants to write or
//! what it is told; none of it exists outside the tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use loader_core::config::LoadConfig;
use loader_core::ids::{LoadId, StatementName};
use loader_core::tracker::item::LedgerMark;
use loader_core::tracker::settle::StatementStatus;
use loader_core::tracker::write::{Items, slot_of};

use crate::fixture::{AGE_MILLIS, AGED, Blob, CONFIGS, aged};
use crate::warehouse::{self, Bucket, Warehouse};

mod writes;

pub use writes::Writer;

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutant {
    /// None: the production protocol.
    None,
    /// Writes do not check that the slot is as it was read.
    NoSlotCondition,
    /// Writes check which load holds the slot, and not its version.
    NoVersionCheck,
    /// A claim does not check that the pending loads which loader 0.1 recorded are still there.
    NoPendingCheck,
    /// A load takes the slot without a check that it is free.
    ClaimOverHolder,
    /// The ledger is not asked.
    NoLedger,
    /// The ledger is asked when an invocation starts, before the slot is read.
    LedgerBeforeSlot,
    /// The slot is given up once the statement is submitted.
    ReleaseBeforeSettle,
    /// A finished load removes as many pending loads as it has, the oldest, instead of its own.
    RemoveByCount,
    /// The ledger entries of a finished load are left for after the slot was given up, and whoever owes them dies.
    EntriesAfterRelease,
    /// Objects are entered in the ledger as loaded when the statement is submitted.
    EntriesBeforeFinished,
    /// A completion event is taken for the outcome.
    TrustTheEvent,
    /// Every invocation submits with a client token of its own.
    NewTokenPerInvocation,
    /// The client token does not hold the version of the slot.
    LoadIdWithoutVersion,
    /// A submit without an answer counts as refused.
    UnknownIsRefused,
    /// The message is acknowledged before its objects are recorded.
    AcknowledgeFirst,
    /// The loader looks for work before it records, and not after.
    LookBeforeEnqueue,
    /// A free slot is left alone without reading the backlog once more.
    NoFreshRead,
    /// Waiting loads become one, and the slot's version stays.
    GatherKeepsVersion,
    /// The view after a write is carried on although the write was refused.
    RefusedIsDone,
    /// The manifest of a load has one key, whatever its content.
    OneManifestKey,
    /// A newer version found under a key is loaded, and the older one's name stays in its pending load and goes to the ledger.
    NewerNotInLedger,
    /// A load starts as soon as it is recorded, whatever its queue's age.
    AgeIgnored,
    /// A load waits for twice its queue's age.
    AgeDoubled,
    /// Columns that a statement failed with are kept.
    StaleColumns,
    /// Quarantine does not free the slot.
    QuarantineKeepsSlot,
    /// Quarantined objects are not entered in the ledger.
    QuarantineNotInLedger,
    /// Objects are entered as quarantined before it is decided that their load's outcome is unknown.
    QuarantineBeforeDecision,
    /// Files that do not fit are entered in the ledger before the write that puts them into quarantine.
    MisfitEnteredFirst,
    /// Files that do not fit are not entered in the ledger.
    MisfitNotInLedger,
    /// One load takes files of several shapes, and its COPY has the list of one of them.
    ShapesMixed,
    /// How the files of a prepared load go into the target is not stored with it.
    FitNotStored,
    /// Columns are added by a statement of its own before the load.
    ColumnsAddedBefore,
    /// A split forgets its second part.
    SplitLosesPart,
    /// Quarantine forgets to write the objects down.
    QuarantineDropsObjects,
    /// Objects that were in the ledger before they were loaded are treated like all others.
    EnteredIgnored,
    /// What an invocation had no time to look at is forgotten. Only the simulation has such invocations.
    RestDropped,
    /// Every refused or unanswered submit makes the client token young again.
    TokenNeverAges,
    /// A statement that the service has forgotten counts as failed.
    ForgottenIsFailed,
    /// A takeover leaves no trace in the slot.
    SilentTakeover,
}

impl Mutant {
    /// The bugs that the model must find.
    pub const MODEL: [Self; 38] = [
        Self::NoSlotCondition,
        Self::NoVersionCheck,
        Self::NoPendingCheck,
        Self::ClaimOverHolder,
        Self::NoLedger,
        Self::LedgerBeforeSlot,
        Self::ReleaseBeforeSettle,
        Self::RemoveByCount,
        Self::EntriesAfterRelease,
        Self::EntriesBeforeFinished,
        Self::TrustTheEvent,
        Self::NewTokenPerInvocation,
        Self::LoadIdWithoutVersion,
        Self::UnknownIsRefused,
        Self::AcknowledgeFirst,
        Self::LookBeforeEnqueue,
        Self::NoFreshRead,
        Self::GatherKeepsVersion,
        Self::AgeIgnored,
        Self::AgeDoubled,
        Self::RefusedIsDone,
        Self::OneManifestKey,
        Self::NewerNotInLedger,
        Self::StaleColumns,
        Self::QuarantineKeepsSlot,
        Self::QuarantineNotInLedger,
        Self::QuarantineBeforeDecision,
        Self::MisfitEnteredFirst,
        Self::MisfitNotInLedger,
        Self::ShapesMixed,
        Self::FitNotStored,
        Self::ColumnsAddedBefore,
        Self::SplitLosesPart,
        Self::QuarantineDropsObjects,
        Self::EnteredIgnored,
        Self::TokenNeverAges,
        Self::ForgottenIsFailed,
        Self::SilentTakeover,
    ];

    /// The configuration that the caller is told.
    pub fn config(self, table: usize) -> Arc<LoadConfig> {
        match self {
            Self::AgeIgnored if table == AGED => aged(0),
            Self::AgeDoubled if table == AGED => aged(2 * AGE_MILLIS),
            _ => CONFIGS[table].clone(),
        }
    }

    /// The client token that is really sent.
    pub fn token(self, name: &StatementName, holder: &str, items: &Items) -> String {
        let token = name.client_token();
        match self {
            Self::NewTokenPerInvocation => format!("{token}/{holder}"),
            Self::LoadIdWithoutVersion => match slot_of(items).load.filter(|load| load.load_id == name.load_id) {
                Some(load) => {
                    let keys = load.pending_keys.iter().map(|key| key.0.as_str());
                    let load_id = LoadId::of_pendings(&name.table, 0, keys);
                    StatementName { load_id, ..name.clone() }.client_token()
                }
                None => token,
            },
            _ => token,
        }
    }

    /// What the caller is told about a statement.
    pub fn status(self, status: StatementStatus, hinted: bool) -> StatementStatus {
        match (self, &status) {
            (Self::TrustTheEvent, _) if hinted => StatementStatus::Finished { rows: None },
            (Self::ForgottenIsFailed, StatementStatus::Forgotten) => {
                StatementStatus::Failed { error: "connection lost".to_owned() }
            }
            _ => status,
        }
    }

    /// What the caller is told about the ledger; `before`: the ledger when the invocation started.
    pub fn ledger(
        self,
        ledger: BTreeMap<String, LedgerMark>,
        before: Option<&BTreeMap<String, LedgerMark>>,
    ) -> BTreeMap<String, LedgerMark> {
        match (self, before) {
            (Self::NoLedger, _) => BTreeMap::new(),
            (Self::LedgerBeforeSlot, Some(before)) => {
                ledger.into_iter().filter(|(id, _)| before.contains_key(id)).collect()
            }
            _ => ledger,
        }
    }

    /// A text that may hold the manifest's URL: without the digest of its content.
    pub fn manifest(self, text: &str) -> String {
        let Some(start) = text.find(".json").filter(|_| self == Self::OneManifestKey) else { return text.to_owned() };
        let (before, after) = text.split_at(start);
        match before.rsplit_once('/') {
            Some((stem, digest)) if digest.len() == 16 => format!("{stem}{after}"),
            _ => text.to_owned(),
        }
    }

    /// The file whose columns are told of this one.
    pub fn told_of<'a>(self, blob: &'a Blob, bucket: &'a Bucket) -> Option<&'a Blob> {
        if self == Self::ShapesMixed { bucket.values().max_by_key(|blob| blob.names.len()) } else { Some(blob) }
    }

    /// The statements that are really submitted.
    pub fn statements(self, mut sql: Vec<String>, warehouse: &mut Warehouse) -> Vec<String> {
        if self == Self::ColumnsAddedBefore {
            let columns: Vec<String> = sql.iter().filter_map(|text| warehouse::added(text)).collect();
            let is_new = |name: &String| !warehouse.columns.contains(name);
            let new: Vec<String> = columns.into_iter().filter(is_new).collect();
            warehouse.columns.extend(new);
            sql.retain(|text| warehouse::added(text).is_none());
        }
        sql
    }

    /// Whether it matters that writing a manifest is a step of its own.
    pub fn manifest_is_a_step(self) -> bool {
        self == Self::OneManifestKey
    }
}
