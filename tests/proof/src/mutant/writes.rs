//! How the seeded bugs change writes.

use loader_core::fit::Fit;
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::{Item, LedgerEntry, LedgerMark, Millis, PendingLoad, SortKey};
use loader_core::tracker::slot::{KnownColumns, Slot, Step};
use loader_core::tracker::write::{Condition, Items, Transaction, WriteAction, slot_of};

use super::Mutant;
use crate::fixture::slot_put;

/// The time of columns that never become stale.
const FOREVER: Millis = Millis::MAX / 2;

/// The writer, and the items before the write.
pub struct Writer<'a> {
    /// Name.
    pub holder: &'a str,
    /// The items before.
    pub items: &'a Items,
}

impl Mutant {
    /// What is really written.
    pub fn transaction(self, mut transaction: Transaction, writer: &Writer) -> Transaction {
        let what = What::of(&transaction);
        let before = slot_of(writer.items);
        let actions = &mut transaction.actions;
        match self {
            Self::NoSlotCondition => each_slot_condition(actions, |condition| *condition = Condition::Always),
            Self::NoVersionCheck => each_slot_condition(actions, |condition| ignore_version(condition, &before)),
            Self::NoPendingCheck => actions.retain(|action| !matches!(action, WriteAction::Check(..))),
            Self::ClaimOverHolder => each_slot_condition(actions, |condition| {
                if matches!(condition, Condition::Slot { load_id: None, .. }) {
                    *condition = Condition::Always;
                }
            }),
            Self::ReleaseBeforeSettle => each_slot(actions, |slot| {
                slot.load.take_if(|load| matches!(load.step, Step::Submitted { .. }));
            }),
            Self::RemoveByCount if what.finishes => remove_by_count(actions, writer.items),
            Self::EntriesAfterRelease if what.finishes => actions.retain(|action| !puts(action, is_entry)),
            Self::NewerNotInLedger if what.prepares => actions.retain(|action| !puts(action, is_pending)),
            Self::RestDropped if what.prepares => {
                actions.retain(|action| !(puts(action, is_pending) && matches!(action.condition(), Condition::Absent)));
            }
            Self::GatherKeepsVersion if before.load.is_none() => each_slot(actions, |slot| {
                if slot.load.is_none() {
                    slot.version = before.version;
                }
            }),
            Self::StaleColumns => each_slot(actions, |slot| keep_columns(slot, &before)),
            Self::QuarantineKeepsSlot if what.quarantines => {
                each_slot(actions, |slot| slot.load.clone_from(&before.load));
            }
            Self::QuarantineNotInLedger if what.quarantines => actions.retain(|action| !puts(action, is_entry)),
            Self::MisfitNotInLedger => actions.retain(|action| !puts(action, is_quarantined_entry)),
            Self::QuarantineDropsObjects => actions.retain(|action| !puts(action, is_quarantine)),
            Self::SplitLosesPart if what.splits => {
                actions.pop();
            }
            Self::EnteredIgnored => each_pending(actions, |pending| pending.entered = false),
            Self::OneManifestKey => each_prepared(actions, |prepared, _| {
                prepared.manifest = self.manifest(&prepared.manifest);
            }),
            Self::FitNotStored => each_prepared(actions, |prepared, _| prepared.fit = Fit::default()),
            Self::TurnAlwaysLive => each_slot(actions, |slot| slot.requested = true),
            Self::TurnAlwaysRequested => each_slot(actions, |slot| slot.requested = false),
            Self::TokenNeverAges => each_prepared(actions, |prepared, touched| prepared.prepared_millis = touched),
            Self::SilentTakeover => each_slot(actions, |slot| keep_owner(slot, &before)),
            Self::CancelledIsEnded => each_slot(actions, end_cancelled),
            _ => {}
        }
        transaction
    }

    /// The entries that are written to the ledger before a transaction, whether or not it takes effect.
    pub fn early_entries(self, transaction: &Transaction, items: &Items) -> Vec<LedgerEntry> {
        if self == Self::MisfitEnteredFirst {
            let entry = |action: &WriteAction| match action {
                WriteAction::Put(item, _) => {
                    if let Item::File(entry) = &**item {
                        Some(entry.clone())
                    } else {
                        None
                    }
                }
                WriteAction::Delete(..) | WriteAction::Check(..) => None,
            };
            let entries = transaction.actions.iter().filter_map(entry);
            return entries.filter(|entry| entry.mark == LedgerMark::Quarantined).collect();
        }
        let Some(load) = slot_put(transaction).and_then(|slot| slot.load.as_ref()) else { return Vec::new() };
        let mark = match (self, &load.step) {
            (Self::QuarantineBeforeDecision, Step::GivenUp { .. }) => LedgerMark::Quarantined,
            (Self::EntriesBeforeFinished, Step::Submitted { .. }) => LedgerMark::Loaded(load.load_id.clone()),
            _ => return Vec::new(),
        };
        let pendings = load.pending_keys.iter().filter_map(|key| match items.get(key) {
            Some(Item::Pending(pending)) => Some(&pending.objects),
            _ => None,
        });
        let entry = |object: &loader_core::ids::ObjectVersion| LedgerEntry {
            object: object.clone(),
            mark: mark.clone(),
            entered_millis: load.touched_millis,
            expires_at: FOREVER / 1000,
            recorded: None,
        };
        pendings.flatten().map(|waiting| entry(&waiting.object)).collect()
    }
}

/// What a transaction does.
#[expect(clippy::struct_excessive_bools, reason = "four properties of a write")]
struct What {
    finishes: bool,
    prepares: bool,
    quarantines: bool,
    splits: bool,
}

impl What {
    fn of(transaction: &Transaction) -> Self {
        let count = |what: fn(&Item) -> bool| transaction.actions.iter().filter(|action| puts(action, what)).count();
        Self {
            finishes: count(|item| matches!(item, Item::Loaded(_))) > 0,
            prepares: count(is_prepared) > 0,
            quarantines: count(|item| matches!(item, Item::Failed(q) if q.class != FailureClass::Deleted)) > 0,
            splits: count(|item| matches!(item, Item::Pending(pending) if pending.group.is_some())) > 1,
        }
    }
}

fn puts(action: &WriteAction, what: impl Fn(&Item) -> bool) -> bool {
    matches!(action, WriteAction::Put(item, _) if what(item))
}

fn is_prepared(item: &Item) -> bool {
    matches!(item, Item::Slot(slot) if slot.load.as_ref().is_some_and(|load| matches!(load.step, Step::Prepared(_))))
}

fn is_entry(item: &Item) -> bool {
    matches!(item, Item::File(_))
}

fn is_quarantined_entry(item: &Item) -> bool {
    matches!(item, Item::File(entry) if entry.mark == LedgerMark::Quarantined)
}

fn is_pending(item: &Item) -> bool {
    matches!(item, Item::Pending(_))
}

fn is_quarantine(item: &Item) -> bool {
    matches!(item, Item::Failed(_))
}

fn deletes_pending(action: &WriteAction) -> bool {
    matches!(action, WriteAction::Delete(key, _) if key.0.starts_with(SortKey::PENDING))
}

fn each_slot_condition(actions: &mut [WriteAction], change: impl Fn(&mut Condition)) {
    for action in actions.iter_mut().filter(|action| action.key() == SortKey::slot()) {
        let (WriteAction::Put(_, condition) | WriteAction::Delete(_, condition) | WriteAction::Check(_, condition)) =
            action;
        change(condition);
    }
}

fn each_item(actions: &mut [WriteAction], mut change: impl FnMut(&mut Item)) {
    for action in actions {
        if let WriteAction::Put(item, _) = action {
            change(item);
        }
    }
}

fn each_slot(actions: &mut [WriteAction], mut change: impl FnMut(&mut Slot)) {
    each_item(actions, |item| {
        if let Item::Slot(slot) = item {
            change(slot);
        }
    });
}

fn each_pending(actions: &mut [WriteAction], mut change: impl FnMut(&mut PendingLoad)) {
    each_item(actions, |item| {
        if let Item::Pending(pending) = item {
            change(pending);
        }
    });
}

fn each_prepared(
    actions: &mut [WriteAction],
    mut change: impl FnMut(&mut loader_core::tracker::slot::Prepared, Millis),
) {
    each_slot(actions, |slot| {
        if let Some(load) = &mut slot.load
            && let Step::Prepared(prepared) = &mut load.step
        {
            change(prepared, load.touched_millis);
        }
    });
}

/// Sets the expected version to the actual one if the expected load holds the slot.
fn ignore_version(condition: &mut Condition, before: &Slot) {
    if let Condition::Slot { version, load_id } = condition
        && before.load.as_ref().map(|load| &load.load_id) == load_id.as_ref()
    {
        *version = before.version;
    }
}

fn remove_by_count(actions: &mut Vec<WriteAction>, items: &Items) {
    let count = actions.iter().filter(|action| deletes_pending(action)).count();
    actions.retain(|action| !deletes_pending(action));
    let oldest = items.keys().filter(|key| key.0.starts_with(SortKey::PENDING)).take(count);
    actions.extend(oldest.map(|key| WriteAction::Delete(key.clone(), Condition::Always)));
}

fn keep_columns(slot: &mut Slot, before: &Slot) {
    if slot.columns.is_none() {
        let kept = before.columns.clone();
        slot.columns = kept.map(|known| KnownColumns { asked_millis: FOREVER, ..known });
    }
}

/// Where a statement is marked as being cancelled, lets the load wait for its next attempt.
fn end_cancelled(slot: &mut Slot) {
    if let Some(load) = &mut slot.load
        && matches!(load.step, Step::Submitted { cancelled_millis: Some(_), .. })
    {
        let (not_before_millis, class) = (load.touched_millis, FailureClass::RetryLater);
        load.step = Step::Waiting { not_before_millis, class, reason: "cancelled".to_owned() };
    }
}

/// If another invocation takes over a prepared load, undoes its changes of the slot.
fn keep_owner(slot: &mut Slot, before: &Slot) {
    if let (Some(load), Some(old)) = (&mut slot.load, &before.load)
        && let (Step::Prepared(prepared), Step::Prepared(known)) = (&mut load.step, &old.step)
        && old.holder != load.holder
        && known.refusals == prepared.refusals
    {
        prepared.uncertain = known.uncertain;
        slot.version = before.version;
    }
}
