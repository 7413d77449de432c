//! A write, the ledger entries that must precede it, and what it means when it succeeds.

use super::context::Context;
use super::item::{Item, LedgerEntry, LedgerMark, Millis, PendingLoad};
use super::slot::{Held, RunningLoad};
use super::write::{Condition, Transaction, WriteAction};
use crate::ids::{DbTable, ObjectVersion};
use crate::limits::{LEDGER_ENTRIES_IN_TRANSACTION_MAX, TRANSACTION_ACTIONS_MAX};
use crate::outcome::{self, FailureClass};

/// A write of a table's items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Ledger entries to write before the transaction. Each already states a fact, so an invocation that is overtaken after writing them
    /// has done no harm.
    pub entries: Vec<LedgerEntry>,
    /// The write.
    pub transaction: Transaction,
    /// What happened, for the log and the metrics.
    pub note: Note,
}

impl Change {
    /// A change without ledger entries.
    pub fn new(table: DbTable, actions: Vec<WriteAction>, note: Note) -> Self {
        Self { entries: Vec::new(), transaction: Transaction::new(table, actions), note }
    }

    /// A change with ledger entries. If they are few, they are part of the transaction, which saves a call. Otherwise they are written
    /// before it, which costs one write unit each instead of two.
    pub fn with_entries(table: DbTable, mut actions: Vec<WriteAction>, entries: Vec<LedgerEntry>, note: Note) -> Self {
        let few = entries.len() <= LEDGER_ENTRIES_IN_TRANSACTION_MAX;
        if few && actions.len() + entries.len() <= TRANSACTION_ACTIONS_MAX {
            actions.extend(entries.into_iter().map(|entry| WriteAction::put(Item::File(entry), Condition::Always)));
            return Self::new(table, actions, note);
        }
        Self { entries, transaction: Transaction::new(table, actions), note }
    }

    /// The same write, with values of rows removed from the warehouse's text in the log. The tracker keeps the full text.
    #[must_use]
    pub fn without_values(mut self) -> Self {
        match &mut self.note {
            Note::Failed { reason, .. }
            | Note::Split { reason, .. }
            | Note::SetAside { reason }
            | Note::Quarantined { reason, .. } => *reason = outcome::without_values(reason),
            Note::Claimed { .. }
            | Note::Gathered { .. }
            | Note::Prepared { .. }
            | Note::Emptied { .. }
            | Note::Submitted { .. }
            | Note::TakenOver { .. }
            | Note::NotSubmitted { .. }
            | Note::Cancelling { .. }
            | Note::GaveWay
            | Note::GivenUp
            | Note::Finished { .. } => {}
        }
        self
    }

    /// A change of the slot's item only: the load at its next step.
    pub fn step(held: Held, next: RunningLoad, note: Note) -> Self {
        let table = next.table();
        Self::new(table, vec![put_slot(held, Some(next))], note)
    }
}

/// Writes the slot's next version, held by this load or free, on condition that it has not been written since it was read.
pub fn put_slot(held: Held, load: Option<RunningLoad>) -> WriteAction {
    let next = match load {
        Some(load) => held.slot.held(load),
        None => held.slot.freed(),
    };
    WriteAction::put(Item::Slot(next), held.slot.condition())
}

/// One ledger entry for each distinct object version of these loads.
pub fn entries(pendings: &[PendingLoad], mark: &LedgerMark, context: &Context) -> Vec<LedgerEntry> {
    let mut seen = std::collections::BTreeSet::new();
    let objects = pendings.iter().flat_map(|pending| {
        // Never earlier than the instant of an order to load again, even if this invocation's clock is behind: entries from before that
        // instant do not count.
        let since = pending.source.recorded.again_before_millis.unwrap_or(Millis::MIN);
        pending.objects.iter().map(move |waiting| (&waiting.object, context.now.max(since), pending.recording()))
    });
    objects
        .filter(|(object, ..)| seen.insert(object.id()))
        .map(|(object, at, recorded)| LedgerEntry { recorded, ..entry(object, at, mark, context) })
        .collect()
}

/// The ledger entry of an object version.
pub(super) fn entry(
    object: &ObjectVersion,
    entered_millis: Millis,
    mark: &LedgerMark,
    context: &Context,
) -> LedgerEntry {
    LedgerEntry {
        object: object.clone(),
        mark: mark.clone(),
        entered_millis,
        recorded: None,
        expires_at: (context.now + context.timing.ledger_millis) / 1000,
    }
}

/// Files that were quarantined before COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfits {
    /// Number of files.
    pub n_objects: usize,
    /// The first file, and what is wrong with it.
    pub reason: String,
}

/// What the service reports about a committed statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Committed {
    /// Number of rows that COPY loaded.
    pub rows: Option<i64>,
    /// How long COPY ran.
    pub copy_millis: Option<Millis>,
    /// How long the other SQL statements ran: those of a merge.
    pub merge_millis: Option<Millis>,
}

/// What happened, as the log reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A load took the slot.
    Claimed {
        /// Number of objects chosen.
        n_objects: usize,
    },
    /// Many pending loads were merged into one.
    Gathered {
        /// Number of pending loads merged.
        n_loads: usize,
        /// Number of objects in them.
        n_objects: usize,
    },
    /// An attempt is prepared: its manifest is written. If the slot was free, the load took it.
    Prepared {
        /// Number of the attempt, from 1.
        attempt: u32,
        /// Number of objects in the manifest.
        n_objects: u64,
        /// Deleted objects, now in quarantine.
        n_deleted: usize,
        /// Objects that the ledger knows, or that another object replaces.
        n_known: usize,
        /// Objects that map to the target differently and wait for the next load.
        n_later: usize,
        /// Files whose columns do not match the target's, now in quarantine.
        misfits: Option<Misfits>,
    },
    /// Nothing was left to load.
    Emptied {
        /// Deleted objects, now in quarantine.
        n_deleted: usize,
        /// Objects that the ledger knows, or that another object replaces.
        n_known: usize,
        /// Files whose columns do not match the target's, now in quarantine.
        misfits: Option<Misfits>,
    },
    /// The statement id is known.
    Submitted {
        /// The id that the service assigned.
        statement_id: String,
    },
    /// Another invocation prepared the load and stopped; this one will submit it.
    TakenOver {
        /// The other invocation.
        from: String,
    },
    /// A submit was refused or not answered.
    NotSubmitted {
        /// The service's error text.
        reason: String,
    },
    /// The statement ran for too long, or a person decided so; it is being cancelled.
    Cancelling {
        /// How long it has run.
        minutes: i64,
    },
    /// The attempt failed, and another will follow.
    Failed {
        /// Class of the failure.
        class: FailureClass,
        /// The error text; without values of rows if it comes from the warehouse.
        reason: String,
    },
    /// The load was divided.
    Split {
        /// Number of objects in each part.
        parts: [usize; 2],
        /// The reason, as in `Failed`.
        reason: String,
    },
    /// An object was set aside because of an unexplained failure.
    SetAside {
        /// The reason, as in `Failed`.
        reason: String,
    },
    /// The load's queue is paused, so it has freed the slot for those of others. Its files wait.
    GaveWay,
    /// It can no longer be known whether the rows were committed.
    GivenUp,
    /// Objects went to quarantine.
    Quarantined {
        /// Number of objects.
        n_objects: usize,
        /// Class of the failure.
        class: FailureClass,
        /// The reason, as in `Failed`.
        reason: String,
    },
    /// The rows are committed.
    Finished {
        /// Number of objects loaded.
        n_objects: u64,
        /// Their size in bytes.
        size_bytes: u64,
        /// Rows and times, if the service reports them.
        committed: Committed,
        /// From the creation of the oldest object to its recording.
        arrival_millis: i64,
        /// From the recording of the oldest object until the load took the slot.
        queue_wait_millis: i64,
        /// From taking the slot to the settlement.
        load_millis: i64,
        /// Number of objects of the next load, which took the slot in the same write.
        n_next: usize,
    },
}
