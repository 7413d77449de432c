//! From claimed to prepared: what is really in S3 now decides what the manifest lists.
//!
//! An object may be newer than its notification. COPY reads what is there now, so the version that is there now is listed
//! and entered in the ledger; the older one is fulfilled by it. An object that is gone goes to quarantine.

use std::collections::BTreeSet;

use super::decide::{Change, Context, Note};
use super::item::{Item, LedgerEntry, PendingLoad, Prepared, Quarantined, RunningLoad, SortKey, Step, WaitingObject};
use super::split;
use super::write::{Condition, Transaction, WriteAction};
use crate::ids::{LoadId, ObjectVersion, Version};
use crate::limits::TRANSACTION_ACTIONS_MAX;
use crate::manifest::Manifest;
use crate::outcome::FailureClass;
use crate::sql::columns::TargetColumns;

/// What is under a key now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Look {
    /// An object.
    Found {
        /// Version id, in a versioned bucket.
        version_id: Option<String>,
        /// eTag.
        etag: Option<String>,
        /// Size.
        size_bytes: u64,
    },
    /// Nothing.
    Missing,
}

/// Everything that was seen before a manifest is written.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// One look per object, in the order of the pending loads and of their objects.
    pub looks: Vec<Look>,
    /// Ledger ids of newer versions that were accepted already, for this table.
    pub accepted: BTreeSet<String>,
    /// Columns that the SQL names.
    pub columns: TargetColumns,
}

/// What to do about a claimed load once its objects were looked at.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The manifest to write first, if any: key below the manifest folder, and content.
    pub manifest: Option<Manifest>,
    /// Then this write.
    pub change: Change,
}

/// The newer version under a waiting object's key, if there is one: its ledger entry must be looked up before [`plan`].
pub fn newer(waiting: &WaitingObject, look: &Look) -> Option<ObjectVersion> {
    match look {
        Look::Found { version_id, etag, .. } => {
            let same = match &waiting.object.version {
                Version::Id(id) => version_id.as_deref() == Some(id),
                Version::ETag(expected) => Version::new(None, etag.as_deref()) == Some(Version::ETag(expected.clone())),
            };
            let version = Version::new(version_id.as_deref(), etag.as_deref()).filter(|_| !same)?;
            Some(ObjectVersion { version, ..waiting.object.clone() })
        }
        Look::Missing => None,
    }
}

/// Decides the manifest and the write that records it. The pending loads are those of the running load, in its order.
pub fn plan(
    running: &RunningLoad,
    pendings: &[PendingLoad],
    seen: &Seen,
    manifest_root: &str,
    context: &Context,
) -> Plan {
    let sorted = sort_out(pendings, seen);
    let mut actions = sorted.actions(pendings, running, context);
    if actions.len() + 1 > TRANSACTION_ACTIONS_MAX {
        let reason = "more objects changed while they waited than one transaction can record";
        return Plan { manifest: None, change: split::halves(running, pendings, reason, context) };
    }
    let n_deleted = sorted.deleted.len();
    let listed: Vec<&WaitingObject> = sorted.kept.iter().flatten().collect();
    if listed.is_empty() {
        actions.push(WriteAction::Delete(SortKey::running(), Condition::slot(running)));
        let change =
            Change { transaction: Transaction::new(running.table(), actions), note: Note::Emptied { n_deleted } };
        return Plan { manifest: None, change };
    }
    let manifest = Manifest::new(&running.load_id, &listed);
    let prefix = context.prefix.unwrap_or(&running.source.recorded.target.database);
    let prepared = Prepared {
        manifest: format!("{manifest_root}{}", manifest.key),
        n_objects: listed.len() as u64,
        size_bytes: listed.iter().map(|waiting| waiting.size_bytes).sum(),
        columns: seen.columns.clone(),
        statement_name: running.statement_name(prefix).to_string(),
        prepared_millis: context.now,
        not_before_millis: 0,
        refusals: 0,
        uncertain: false,
    };
    let note = Note::Prepared { n_objects: prepared.n_objects, n_deleted };
    let gone: BTreeSet<&SortKey> = pendings
        .iter()
        .zip(&sorted.kept)
        .filter(|(_, kept)| kept.is_empty())
        .map(|(pending, _)| &pending.key)
        .collect();
    let mut next = running.next(context.holder, context.now, Step::Prepared(prepared));
    next.pending_keys.retain(|key| !gone.contains(key));
    actions.push(WriteAction::put(Item::Running(next), Condition::slot(running)));
    Plan { manifest: Some(manifest), change: Change { transaction: Transaction::new(running.table(), actions), note } }
}

/// The objects of a load, sorted by what is there now.
struct Sorted {
    /// Per pending load: what remains of it, newer versions in the place of older ones.
    kept: Vec<Vec<WaitingObject>>,
    /// Newer versions, for the ledger.
    entered: Vec<ObjectVersion>,
    /// Gone objects.
    deleted: Vec<WaitingObject>,
}

fn sort_out(pendings: &[PendingLoad], seen: &Seen) -> Sorted {
    let own: BTreeSet<String> =
        pendings.iter().flat_map(|pending| &pending.objects).map(|waiting| waiting.object.id()).collect();
    let mut looks = seen.looks.iter();
    let mut sorted = Sorted { kept: Vec::new(), entered: Vec::new(), deleted: Vec::new() };
    for pending in pendings {
        let mut kept = Vec::new();
        for waiting in &pending.objects {
            match looks.next() {
                Some(Look::Missing) | None => sorted.deleted.push(waiting.clone()),
                Some(look @ Look::Found { size_bytes, .. }) => match newer(waiting, look) {
                    None => kept.push(WaitingObject { size_bytes: *size_bytes, ..waiting.clone() }),
                    Some(object) => {
                        let id = object.id();
                        let known =
                            own.contains(&id) || seen.accepted.contains(&id) || sorted.entered.contains(&object);
                        if !known {
                            sorted.entered.push(object.clone());
                            kept.push(WaitingObject { object, size_bytes: *size_bytes });
                        }
                    }
                },
            }
        }
        sorted.kept.push(kept);
    }
    sorted
}

impl Sorted {
    /// The writes beside the slot's own.
    fn actions(&self, pendings: &[PendingLoad], running: &RunningLoad, context: &Context) -> Vec<WriteAction> {
        let mut actions = Vec::new();
        for (pending, kept) in pendings.iter().zip(&self.kept) {
            if kept.is_empty() {
                actions.push(WriteAction::Delete(pending.key.clone(), Condition::Always));
            } else if objects_differ(kept, &pending.objects) {
                let item = PendingLoad { objects: kept.clone(), ..pending.clone() };
                actions.push(WriteAction::put(Item::Pending(item), Condition::Always));
            }
        }
        let expires_at = (context.now + context.timing.ledger_millis) / 1000;
        for object in &self.entered {
            let entry = LedgerEntry { object: object.clone(), accepted_millis: context.now, expires_at };
            actions.push(WriteAction::put(Item::File(entry), Condition::AbsentOrExpired(context.now)));
        }
        // A deleted object leaves the ledger: it was never loaded, and the same content uploaded again must be.
        actions.extend(
            self.deleted.iter().map(|gone| WriteAction::Delete(SortKey::file(&gone.object), Condition::Always)),
        );
        for (part, objects) in self.deleted.chunks(crate::limits::PENDING_OBJECTS_MAX).enumerate() {
            let id = LoadId::of_objects(&running.table(), objects.iter().map(|waiting| &waiting.object));
            let item = Quarantined {
                key: SortKey::failed(context.now + i64::try_from(part).unwrap_or(0), &id),
                objects: objects.to_vec(),
                source: running.source.clone(),
                class: FailureClass::Deleted,
                error: "the object was deleted before it was loaded".to_owned(),
                statement_id: None,
                remedy: FailureClass::Deleted.remedy().to_owned(),
            };
            actions.push(WriteAction::put(Item::Failed(item), Condition::Always));
        }
        actions
    }
}

/// Sizes alone are refreshed in the manifest, not in the item.
fn objects_differ(kept: &[WaitingObject], waiting: &[WaitingObject]) -> bool {
    kept.len() != waiting.len() || kept.iter().zip(waiting).any(|(a, b)| a.object != b.object)
}
