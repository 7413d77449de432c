//! Seeded protocol bugs, for proving that the checks would find them. Each alters what the production code wants to write or
//! what it is told; none of it exists outside the tests.

use loader_core::tracker::item::{Item, RunningLoad, SortKey, Step};
use loader_core::tracker::settle::StatementStatus;
use loader_core::tracker::write::{Condition, Items, Transaction, WriteAction};

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutant {
    /// None: the production protocol.
    None,
    /// Writes do not check that the slot is as it was read.
    NoSlotCondition,
    /// A claim does not check that its pending loads are still there.
    NoPendingCheck,
    /// A claim does not check that the slot is free.
    ClaimOverHolder,
    /// The ledger entry of an object version is written without its condition.
    NoLedgerCondition,
    /// The slot is given up once the statement is submitted.
    ReleaseBeforeSettle,
    /// A finished load removes as many pending loads as it has, the oldest, instead of its own.
    RemoveByCount,
    /// The pending loads of a finished load are left for a second write, which never comes.
    SettleInTwoWrites,
    /// A completion event is taken for the outcome.
    TrustTheEvent,
    /// Every invocation submits with a client token of its own.
    NewTokenPerInvocation,
    /// A submit without an answer counts as refused.
    UnknownIsRefused,
    /// The message is acknowledged before its objects are recorded.
    AcknowledgeFirst,
    /// The loader looks for work before it records, and not after.
    LookBeforeEnqueue,
    /// The manifest of a load has one key, whatever its content.
    OneManifestKey,
    /// A newer version found under a key is loaded without an entry in the ledger.
    NewerNotInLedger,
    /// Quarantine does not free the slot.
    QuarantineKeepsSlot,
    /// A split forgets its second part.
    SplitLosesPart,
    /// Quarantine forgets to write the objects down.
    QuarantineDropsObjects,
    /// Every refused or unanswered submit makes the client token young again.
    TokenNeverAges,
    /// A statement that the service has forgotten counts as failed.
    ForgottenIsFailed,
    /// A takeover leaves no trace in the slot.
    SilentTakeover,
}

impl Mutant {
    /// All bugs.
    pub const ALL: [Self; 20] = [
        Self::NoSlotCondition,
        Self::NoPendingCheck,
        Self::ClaimOverHolder,
        Self::NoLedgerCondition,
        Self::ReleaseBeforeSettle,
        Self::RemoveByCount,
        Self::SettleInTwoWrites,
        Self::TrustTheEvent,
        Self::NewTokenPerInvocation,
        Self::UnknownIsRefused,
        Self::AcknowledgeFirst,
        Self::LookBeforeEnqueue,
        Self::OneManifestKey,
        Self::NewerNotInLedger,
        Self::QuarantineKeepsSlot,
        Self::SplitLosesPart,
        Self::QuarantineDropsObjects,
        Self::TokenNeverAges,
        Self::ForgottenIsFailed,
        Self::SilentTakeover,
    ];
}

/// Who writes, over what.
pub struct Writer<'a> {
    /// Name.
    pub holder: &'a str,
    /// The items before.
    pub items: &'a Items,
}

impl Mutant {
    /// What is really written.
    pub fn transaction(self, mut transaction: Transaction, writer: &Writer) -> Transaction {
        let finished = transaction.actions.iter().any(|action| puts(action, |item| matches!(item, Item::Loaded(_))));
        let split = transaction
            .actions
            .iter()
            .filter(|action| puts(action, |item| matches!(item, Item::Pending(p) if p.group.is_some())))
            .count()
            > 1;
        let quarantine = transaction.actions.iter().any(|action| puts(action, |item| matches!(item, Item::Failed(_))));
        let actions = &mut transaction.actions;
        match self {
            Self::NoSlotCondition => each_condition(actions, |condition| matches!(condition, Condition::Slot { .. })),
            Self::NoLedgerCondition => {
                each_condition(actions, |condition| matches!(condition, Condition::AbsentOrExpired(_)));
            }
            Self::NoPendingCheck => actions.retain(|action| !matches!(action, WriteAction::Check(..))),
            Self::ClaimOverHolder => {
                for action in actions.iter_mut().filter(|action| action.key() == SortKey::running()) {
                    relax(action, |condition| *condition == Condition::Absent);
                }
            }
            Self::ReleaseBeforeSettle => release_when_submitted(actions),
            Self::RemoveByCount if finished => remove_by_count(actions, writer.items),
            Self::SettleInTwoWrites if finished => actions.retain(|action| !deletes_pending(action)),
            Self::NewerNotInLedger => {
                let prepares = actions.iter().any(|action| puts(action, is_prepared));
                if prepares {
                    actions.retain(|action| !puts(action, |item| matches!(item, Item::File(_))));
                }
            }
            Self::QuarantineKeepsSlot if quarantine => actions.retain(|action| action.key() != SortKey::running()),
            Self::QuarantineDropsObjects => {
                actions.retain(|action| !puts(action, |item| matches!(item, Item::Failed(_))));
            }
            Self::SplitLosesPart if split => {
                actions.pop();
            }
            Self::OneManifestKey => each_running(actions, |running| {
                if let Step::Prepared(prepared) = &mut running.step {
                    prepared.manifest = self.manifest(&prepared.manifest);
                }
            }),
            Self::TokenNeverAges => each_running(actions, |running| {
                if let Step::Prepared(prepared) = &mut running.step {
                    prepared.prepared_millis = running.touched_millis;
                }
            }),
            Self::SilentTakeover => {
                let before = writer.items.get(&SortKey::running());
                each_running(actions, |running| keep_owner(running, before));
            }
            _ => {}
        }
        transaction
    }

    /// The client token that is really sent.
    pub fn token(self, token: &str, holder: &str) -> String {
        if self == Self::NewTokenPerInvocation { format!("{token}/{holder}") } else { token.to_owned() }
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

    /// A text in which the manifest's URL may stand: without the digest of its content.
    pub fn manifest(self, text: &str) -> String {
        let Some(start) = text.find(".json").filter(|_| self == Self::OneManifestKey) else { return text.to_owned() };
        let (before, after) = text.split_at(start);
        match before.rsplit_once('/') {
            Some((stem, digest)) if digest.len() == 16 => format!("{stem}{after}"),
            _ => text.to_owned(),
        }
    }

    /// Whether it matters that writing a manifest is a step of its own.
    pub fn manifest_is_a_step(self) -> bool {
        self == Self::OneManifestKey
    }
}

fn puts(action: &WriteAction, what: impl Fn(&Item) -> bool) -> bool {
    matches!(action, WriteAction::Put(item, _) if what(item))
}

fn is_prepared(item: &Item) -> bool {
    matches!(item, Item::Running(running) if matches!(running.step, Step::Prepared(_)))
}

fn deletes_pending(action: &WriteAction) -> bool {
    matches!(action, WriteAction::Delete(key, _) if key.0.starts_with("PENDING#"))
}

fn relax(action: &mut WriteAction, which: impl Fn(&Condition) -> bool) {
    let (WriteAction::Put(_, condition) | WriteAction::Delete(_, condition) | WriteAction::Check(_, condition)) =
        action;
    if which(condition) {
        *condition = Condition::Always;
    }
}

fn each_condition(actions: &mut [WriteAction], which: impl Fn(&Condition) -> bool + Copy) {
    for action in actions {
        relax(action, which);
    }
}

fn each_running(actions: &mut [WriteAction], mut change: impl FnMut(&mut RunningLoad)) {
    for action in actions {
        if let WriteAction::Put(item, _) = action
            && let Item::Running(running) = &mut **item
        {
            change(running);
        }
    }
}

fn release_when_submitted(actions: &mut [WriteAction]) {
    for action in actions {
        if let WriteAction::Put(item, condition) = action
            && matches!(&**item, Item::Running(running) if matches!(running.step, Step::Submitted { .. }))
        {
            *action = WriteAction::Delete(SortKey::running(), condition.clone());
        }
    }
}

fn remove_by_count(actions: &mut Vec<WriteAction>, items: &Items) {
    let count = actions.iter().filter(|action| deletes_pending(action)).count();
    actions.retain(|action| !deletes_pending(action));
    let oldest = items.keys().filter(|key| key.0.starts_with("PENDING#")).take(count);
    actions.extend(oldest.map(|key| WriteAction::Delete(key.clone(), Condition::Always)));
}

/// A prepared load that another invocation writes as prepared again: as if it had not.
fn keep_owner(running: &mut RunningLoad, before: Option<&Item>) {
    if let (Step::Prepared(prepared), Some(Item::Running(old))) = (&mut running.step, before)
        && let Step::Prepared(known) = &old.step
        && old.holder != running.holder
        && known.refusals == prepared.refusals
    {
        prepared.uncertain = known.uncertain;
        running.version = old.version;
    }
}
