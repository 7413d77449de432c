//! A write, what must be in the ledger before it, and what it means once it succeeded.

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
    /// Facts that must be in the ledger before the transaction. Each is true already, so whoever is overtaken after writing them
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

    /// A change with ledger entries: a few are part of the transaction, which saves a call; many are written before it, one write
    /// unit each instead of two.
    pub fn with_entries(table: DbTable, mut actions: Vec<WriteAction>, entries: Vec<LedgerEntry>, note: Note) -> Self {
        let few = entries.len() <= LEDGER_ENTRIES_IN_TRANSACTION_MAX;
        if few && actions.len() + entries.len() <= TRANSACTION_ACTIONS_MAX {
            actions.extend(entries.into_iter().map(|entry| WriteAction::put(Item::File(entry), Condition::Always)));
            return Self::new(table, actions, note);
        }
        Self { entries, transaction: Transaction::new(table, actions), note }
    }

    /// The same write, with only those of the warehouse's words in the log that are no values of rows. The tracker keeps all.
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
            | Note::GivenUp
            | Note::Finished { .. } => {}
        }
        self
    }

    /// Only the slot's item: the load at its next step.
    pub fn step(held: Held, next: RunningLoad, note: Note) -> Self {
        let table = next.table();
        Self::new(table, vec![put_slot(held, Some(next))], note)
    }
}

/// The slot's next version: with this load, or free. On condition that nobody wrote it since it was read.
pub fn put_slot(held: Held, load: Option<RunningLoad>) -> WriteAction {
    let next = match load {
        Some(load) => held.slot.held(load),
        None => held.slot.freed(),
    };
    WriteAction::put(Item::Slot(next), held.slot.condition())
}

/// One ledger entry for each object version of these loads, each once.
pub fn entries(pendings: &[PendingLoad], mark: &LedgerMark, context: &Context) -> Vec<LedgerEntry> {
    let mut seen = std::collections::BTreeSet::new();
    let objects = pendings.iter().flat_map(|pending| {
        // Whatever this invocation's clock says: it is after the instant from which its order leaves loaded objects alone.
        let since = pending.source.recorded.again_before_millis.unwrap_or(Millis::MIN);
        pending.objects.iter().map(move |waiting| (&waiting.object, context.now.max(since)))
    });
    objects
        .filter(|(object, _)| seen.insert(object.id()))
        .map(|(object, at)| entry(object, at, mark, context))
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
        expires_at: (context.now + context.timing.ledger_millis) / 1000,
    }
}

/// Files that went to quarantine before COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfits {
    /// How many.
    pub n_objects: usize,
    /// The first of them, and what is wrong with it.
    pub reason: String,
}

/// What happened, in the words of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The slot was taken.
    Claimed {
        /// Objects chosen.
        n_objects: usize,
    },
    /// Many waiting loads became one.
    Gathered {
        /// How many they were.
        n_loads: usize,
        /// Objects of all of them.
        n_objects: usize,
    },
    /// The manifest is written; with a free slot before, the slot was taken.
    Prepared {
        /// Attempt, from 1.
        attempt: u32,
        /// Objects listed.
        n_objects: u64,
        /// Objects gone since, now in quarantine.
        n_deleted: usize,
        /// Objects that the ledger knew, or that a newer version replaced.
        n_known: usize,
        /// Objects that go into the target otherwise than those listed: they wait for the next load.
        n_later: usize,
        /// Files whose columns are not the target's, now in quarantine.
        misfits: Option<Misfits>,
    },
    /// Nothing was left to load.
    Emptied {
        /// Objects gone since, now in quarantine.
        n_deleted: usize,
        /// Objects that the ledger knew.
        n_known: usize,
        /// Files whose columns are not the target's, now in quarantine.
        misfits: Option<Misfits>,
    },
    /// The statement id is known.
    Submitted {
        /// The service's id.
        statement_id: String,
    },
    /// Another invocation prepared the load and went quiet; this one submits it.
    TakenOver {
        /// The other.
        from: String,
    },
    /// A submit was refused or not answered.
    NotSubmitted {
        /// The service's words.
        reason: String,
    },
    /// The statement ran for too long, or somebody said so: it is being cancelled.
    Cancelling {
        /// How long it has run.
        minutes: i64,
    },
    /// The attempt failed and will be repeated.
    Failed {
        /// What it asks for.
        class: FailureClass,
        /// The service's words, or those of the warehouse without values of rows.
        reason: String,
    },
    /// The load was divided.
    Split {
        /// Objects on either side.
        parts: [usize; 2],
        /// Why.
        reason: String,
    },
    /// One object was set aside for a failure that nobody could explain.
    SetAside {
        /// As of a failed attempt.
        reason: String,
    },
    /// Nobody can know any more whether the rows were committed.
    GivenUp,
    /// Objects went to quarantine.
    Quarantined {
        /// How many.
        n_objects: usize,
        /// What it asks for.
        class: FailureClass,
        /// As of a failed attempt.
        reason: String,
    },
    /// The rows are committed.
    Finished {
        /// Objects loaded.
        n_objects: u64,
        /// Their bytes.
        size_bytes: u64,
        /// Rows, where the service says so.
        rows: Option<i64>,
        /// From the first object recorded to the claim.
        queue_wait_millis: i64,
        /// From the claim to the settlement.
        load_millis: i64,
        /// Objects of the load that took the slot in the same write.
        n_next: usize,
    },
}
