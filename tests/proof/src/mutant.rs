//! Seeded bugs of the protocol, which the checks must find. Each alters what the production code writes or reads; none of them exists outside
//! the tests.

use std::collections::BTreeMap;

use loader_core::ids::{LoadId, StatementName};
use loader_core::tracker::change::Committed;
use loader_core::tracker::item::LedgerMark;
use loader_core::tracker::settle::StatementStatus;
use loader_core::tracker::write::{Items, slot_of};

use crate::fixture::Blob;
use crate::warehouse::{self, Bucket, Warehouse};

mod paced;
mod writes;

pub use writes::Writer;

/// A seeded bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutant {
    /// No bug: the production protocol.
    None,
    /// Writes do not check that the slot is unchanged.
    NoSlotCondition,
    /// Writes check which load holds the slot, but not its version.
    NoVersionCheck,
    /// A claim does not check that pending loads of loader 0.1 still exist.
    NoPendingCheck,
    /// A load takes the slot without checking that it is free.
    ClaimOverHolder,
    /// The ledger is not read.
    NoLedger,
    /// The ledger is read when an invocation starts, before the slot.
    LedgerBeforeSlot,
    /// The slot is released when the statement is submitted.
    ReleaseBeforeSettle,
    /// A finished load removes the oldest pending loads instead of its own.
    RemoveByCount,
    /// The ledger entries of a finished load are to be written after the slot is released, but the invocation dies before.
    EntriesAfterRelease,
    /// Objects are entered in the ledger as loaded when the statement is submitted.
    EntriesBeforeFinished,
    /// The loader trusts the completion event instead of asking for the status.
    TrustTheEvent,
    /// Every invocation submits with its own client token.
    NewTokenPerInvocation,
    /// The client token does not depend on the version of the slot.
    LoadIdWithoutVersion,
    /// A submit without a reply counts as refused.
    UnknownIsRefused,
    /// A message is acknowledged before its objects are recorded.
    AcknowledgeFirst,
    /// The loader reads the table before it records, and not afterwards.
    LookBeforeEnqueue,
    /// The backlog is not read again after the slot is released.
    NoFreshRead,
    /// Pending loads are gathered without incrementing the slot's version.
    GatherKeepsVersion,
    /// A refused write counts as done.
    RefusedIsDone,
    /// The key of a manifest does not depend on its content.
    OneManifestKey,
    /// A newer version found under a key is loaded, but the older version is entered in the ledger.
    NewerNotInLedger,
    /// A load starts as soon as it is recorded, without waiting for the queue's age.
    AgeIgnored,
    /// A load waits for twice its queue's age.
    AgeDoubled,
    /// A load waits for the instant that follows now, not for the one that followed its files: never.
    InstantMovesOn,
    /// The sweep leaves an instant to the next sweep.
    SweepNotTold,
    /// Nobody leaves an instant to the sweep.
    EverybodySweeps,
    /// Loads start in the hours in which their warehouse shall sleep.
    WindowIgnored,
    /// Loads do not start at the end of these hours.
    WindowLonger,
    /// A load starts however many of its warehouse run.
    AdmissionIgnored,
    /// Where a load looks for room, it counts as one that runs.
    AdmissionCountsItself,
    /// Loads that wait for room count as ones that run.
    AdmissionCountsWaiting,
    /// Of two tables that wait for room, the one that has waited for a shorter time is first.
    YoungestFirst,
    /// After every load it is the live files' turn.
    TurnAlwaysLive,
    /// After every load it is the bulk requests' turn.
    TurnAlwaysRequested,
    /// The cached columns are kept although a statement has failed because of them.
    StaleColumns,
    /// Quarantine does not release the slot.
    QuarantineKeepsSlot,
    /// Quarantined objects are not entered in the ledger.
    QuarantineNotInLedger,
    /// Objects are entered as quarantined before their load is given up.
    QuarantineBeforeDecision,
    /// Misfits are entered in the ledger before the write that quarantines them.
    MisfitEnteredFirst,
    /// Misfits are not entered in the ledger.
    MisfitNotInLedger,
    /// A load takes files of several shapes, and its COPY has the column list of one of them.
    ShapesMixed,
    /// The fit of a prepared load is not stored.
    FitNotStored,
    /// Columns are added by a separate statement before the load.
    ColumnsAddedBefore,
    /// A split loses its second part.
    SplitLosesPart,
    /// Quarantine does not store the objects.
    QuarantineDropsObjects,
    /// The field `entered` of pending loads is ignored.
    EnteredIgnored,
    /// Objects that an invocation had no time to look at are lost. Only the simulation has such invocations.
    RestDropped,
    /// The age of the client token is reset by every submit that is refused or gets no reply.
    TokenNeverAges,
    /// A statement that the service has forgotten counts as failed.
    ForgottenIsFailed,
    /// A takeover does not change the slot.
    SilentTakeover,
    /// A statement that is being cancelled counts as ended: the next attempt begins without its status.
    CancelledIsEnded,
    /// The cancellation goes to the statement of the first attempt.
    CancelsFirst,
    /// A statement that was cancelled counts as finished.
    AbortedIsFinished,
}

impl Mutant {
    /// The bugs that the model must find.
    pub const MODEL: [Self; 52] = [
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
        Self::InstantMovesOn,
        Self::SweepNotTold,
        Self::EverybodySweeps,
        Self::WindowIgnored,
        Self::WindowLonger,
        Self::AdmissionIgnored,
        Self::AdmissionCountsItself,
        Self::AdmissionCountsWaiting,
        Self::YoungestFirst,
        Self::TurnAlwaysLive,
        Self::TurnAlwaysRequested,
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
        Self::CancelledIsEnded,
        Self::CancelsFirst,
        Self::AbortedIsFinished,
    ];

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

    /// The status that the caller gets.
    pub fn status(self, status: StatementStatus, hinted: bool) -> StatementStatus {
        match (self, &status) {
            (Self::TrustTheEvent, _) if hinted => StatementStatus::Finished(Committed::default()),
            (Self::ForgottenIsFailed, StatementStatus::Forgotten) => {
                StatementStatus::Failed { error: "connection lost".to_owned() }
            }
            (Self::AbortedIsFinished, StatementStatus::Aborted { .. }) => {
                StatementStatus::Finished(Committed::default())
            }
            _ => status,
        }
    }

    /// The statement that is really cancelled.
    pub fn cancelled(self, statement_id: &str, warehouse: &Warehouse) -> String {
        let first = warehouse.statements.first().filter(|_| self == Self::CancelsFirst);
        first.map_or_else(|| statement_id.to_owned(), |statement| statement.id.clone())
    }

    /// The marks that the caller gets. `before` is the ledger when the invocation started.
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

    /// Removes the digest of the content from a manifest's URL in `text`.
    pub fn manifest(self, text: &str) -> String {
        let Some(start) = text.find(".json").filter(|_| self == Self::OneManifestKey) else { return text.to_owned() };
        let (before, after) = text.split_at(start);
        match before.rsplit_once('/') {
            Some((stem, digest)) if digest.len() == 16 => format!("{stem}{after}"),
            _ => text.to_owned(),
        }
    }

    /// The file whose columns the caller gets for this one.
    pub fn shape_source<'a>(self, blob: &'a Blob, bucket: &'a Bucket) -> Option<&'a Blob> {
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

    /// Whether writing a manifest must be a separate step.
    pub fn manifest_is_a_step(self) -> bool {
        self == Self::OneManifestKey
    }
}
