//! Turns a chosen load into a prepared one: the ledger and the current state of S3 determine what the manifest lists.
//!
//! Objects in the ledger are dropped. An object may be newer than its notification; COPY reads the current version, so that version is
//! listed and replaces the older one. A deleted object goes to quarantine, and so does a file whose columns do not match the target's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::change::{self, Change, Misfits, Note, put_slot};
use super::context::Context;
use super::item::{Item, LedgerEntry, LedgerMark, Millis, PendingLoad, Quarantined, SortKey};
use super::slot::{Held, KnownColumns, Prepared, RunningLoad, Slot, Step};
use super::write::{Condition, WriteAction};
use super::{settle, split};
use crate::drift::Misfit;
use crate::fit::Fit;
use crate::ids::{ObjectVersion, StatementName, Version, WaitingObject};
use crate::limits::TRANSACTION_ACTIONS_MAX;
use crate::manifest::Manifest;
use crate::outcome::FailureClass;

/// What is stored under a key now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ObjectState {
    /// An object.
    Found {
        /// Version id, if the bucket is versioned.
        version_id: Option<String>,
        /// eTag.
        etag: Option<String>,
        /// Size in bytes.
        size_bytes: u64,
    },
    /// There is no object.
    Missing,
    /// As in the notification: a listing shows it so, or it is assumed, because keys of this queue are written once.
    AsNotified,
}

/// Everything that was observed before the manifest is written.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// One state per object, in the order of the pending loads and their objects. Shorter if the time for looking ended; the remaining
    /// objects stay in the backlog.
    pub states: Vec<ObjectState>,
    /// Ledger marks by ledger id: of the objects, and of newer versions found under their keys.
    pub ledger: BTreeMap<String, LedgerMark>,
    /// Columns of the target, if the SQL needs them or files are compared with them.
    pub columns: Option<KnownColumns>,
    /// Files that certainly cannot be loaded as they are, by the ledger id of the current version.
    pub misfits: BTreeMap<String, Misfit>,
    /// How the other files map to the target, by the same id; a missing entry means by position.
    pub fits: BTreeMap<String, Fit>,
}

/// What to do about a load whose objects were looked at.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The manifest to write first, if any.
    pub manifest: Option<Manifest>,
    /// The write that follows.
    pub change: Change,
}

/// The newer version under a waiting object's key, if there is one. Its ledger mark must be read before [`plan`].
pub fn newer(waiting: &WaitingObject, state: &ObjectState) -> Option<ObjectVersion> {
    match state {
        ObjectState::Found { version_id, etag, .. } => {
            let same = match &waiting.object.version {
                Version::Id(id) => version_id.as_deref() == Some(id),
                Version::ETag(expected) => Version::new(None, etag.as_deref()) == Some(Version::ETag(expected.clone())),
            };
            let version = Version::new(version_id.as_deref(), etag.as_deref()).filter(|_| !same)?;
            Some(ObjectVersion { version, ..waiting.object.clone() })
        }
        ObjectState::Missing | ObjectState::AsNotified => None,
    }
}

/// Ids of the objects that the ledger records as loaded.
pub fn loaded(ledger: &BTreeMap<String, LedgerMark>) -> BTreeSet<String> {
    let loaded = ledger.iter().filter(|(_, mark)| matches!(mark, LedgerMark::Loaded(_)));
    loaded.map(|(id, _)| id.clone()).collect()
}

/// For a load that was ordered after a truncate: removes the objects that were loaded before that instant. Those loaded since, including by
/// this order, stay, so a repeated order loads nothing again. `entered` says when each loaded object entered the ledger; it must be read
/// after the slot.
pub fn leave_out_older(ledger: &mut BTreeMap<String, LedgerMark>, entered: &BTreeMap<String, Millis>, before: Millis) {
    ledger.retain(|id, mark| {
        !matches!(mark, LedgerMark::Loaded(_)) || entered.get(id).is_none_or(|entered| *entered >= before)
    });
}

/// Whether the ledger and the states leave something of these pending loads to list.
pub fn is_any_left(pendings: &[PendingLoad], seen: &Seen) -> bool {
    sort_out(pendings, seen).parts.iter().any(|part| !part.kept.is_empty())
}

/// Decides the manifest and the write that records it: the slot, taken or kept by this load, at the step prepared. `slot` is the slot as
/// read before anything was looked at, `load` is the load at the attempt to prepare, and `pendings` are its pending loads in its order. Too
/// many changes for one transaction divide the load instead.
pub fn plan(
    slot: &Slot,
    load: &RunningLoad,
    pendings: &[PendingLoad],
    seen: &Seen,
    manifest_root: &str,
    context: &Context,
) -> Plan {
    let held = Held { slot, load };
    let sorted = sort_out(pendings, seen);
    let mut actions = sorted.actions(pendings, load, context);
    if actions.len() + 1 > TRANSACTION_ACTIONS_MAX {
        let reason = "more objects changed while they waited than one transaction can record";
        return Plan { manifest: None, change: split::halves(held, pendings, reason, context) };
    }
    let (n_deleted, n_known) = (sorted.deleted.len(), sorted.n_known);
    let misfits = sorted.misfits.first().map(|(first, misfit)| Misfits {
        n_objects: sorted.misfits.len(),
        reason: format!("{}: {}", url(first), misfit.error),
    });
    let listed = sorted.listed();
    if listed.is_empty() {
        actions.push(put_slot(held, None));
        let change = Change::new(load.table(), actions, Note::Emptied { n_deleted, n_known, misfits });
        return Plan { manifest: None, change };
    }
    let manifest = Manifest::new(&load.load_id, &listed);
    let prepared = prepared(load, &manifest, &listed, sorted.fit, manifest_root, context);
    let (n_objects, n_later) = (prepared.n_objects, sorted.n_later);
    let note = Note::Prepared { attempt: load.attempt, n_objects, n_deleted, n_known, n_later, misfits };
    let mut next = load.at(Step::Prepared(prepared), context.holder, context.now);
    next.pending_keys = sorted.keys(pendings);
    let next = Slot { columns: seen.columns.clone().or_else(|| slot.columns.clone()), ..slot.held(next) };
    actions.push(WriteAction::put(Item::Slot(next), slot.condition()));
    Plan { manifest: Some(manifest), change: Change::new(load.table(), actions, note) }
}

fn prepared(
    load: &RunningLoad,
    manifest: &Manifest,
    listed: &[&WaitingObject],
    fit: Option<&Fit>,
    manifest_root: &str,
    context: &Context,
) -> Prepared {
    let prefix = context.prefix.unwrap_or(&load.source.recorded.target.database);
    Prepared {
        manifest: format!("{manifest_root}{}", manifest.key),
        n_objects: listed.len() as u64,
        size_bytes: listed.iter().map(|waiting| waiting.size_bytes).sum(),
        fit: fit.cloned().unwrap_or_default(),
        statement_name: StatementName {
            prefix: prefix.to_owned(),
            table: load.table(),
            load_id: load.load_id.clone(),
            attempt: load.attempt,
        },
        prepared_millis: context.now,
        not_before_millis: 0,
        refusals: 0,
        uncertain: false,
    }
}

/// The objects of a load, sorted by the ledger and their current state.
#[derive(Default)]
struct Sorted<'a> {
    /// The fit of the listed files, which is that of the first one.
    fit: Option<&'a Fit>,
    /// Number of objects with another fit, which wait for a later load.
    n_later: usize,
    /// Number of pending loads that are parted: some objects are listed, and others wait. Each costs one more write.
    n_parted: usize,
    /// One part for each pending load.
    parts: Vec<Part>,
    /// Deleted objects. `true` means that the ledger must forget the object, so that it loads if it is uploaded again.
    deleted: Vec<(WaitingObject, bool)>,
    /// Files that cannot be loaded as they are.
    misfits: Vec<(WaitingObject, Misfit)>,
    /// Number of objects that the ledger knows, or that another object replaces.
    n_known: usize,
}

/// What happens to one pending load.
#[derive(Default)]
struct Part {
    /// Objects to list, with newer versions in place of older ones.
    kept: Vec<WaitingObject>,
    /// Objects that stay in the backlog.
    rest: Vec<WaitingObject>,
    /// Newer versions of objects that had entered the ledger. The newer versions had not, so they become a pending load of their own.
    newer: Vec<WaitingObject>,
}

/// Maximum number of writes beyond one per pending load. A misfit takes a ledger entry, which must not exist before, and misfits of one
/// shape share a quarantine item; a parted pending load takes a second item.
fn more_actions_max(pendings: &[PendingLoad]) -> usize {
    /// The slot, the remainder of one pending load, an item for deleted objects, and a few ledger entries of deleted objects.
    const OTHERS: usize = 8;
    TRANSACTION_ACTIONS_MAX.saturating_sub(pendings.len() + OTHERS).max(2)
}

/// Sorts the objects of a load. If one more write would exceed the transaction, the remaining objects are treated as not looked at and stay
/// in the backlog. So do objects whose fit differs from the first one's, because a COPY has only one column list.
fn sort_out<'a>(pendings: &[PendingLoad], seen: &'a Seen) -> Sorted<'a> {
    static BY_POSITION: LazyLock<Fit> = LazyLock::new(Fit::default);
    let all = pendings.iter().flat_map(|pending| &pending.objects);
    let own: BTreeSet<String> = all.take(seen.states.len()).map(|waiting| waiting.object.id()).collect();
    let mut states = seen.states.iter();
    let mut handled = BTreeSet::new();
    let mut sorted = Sorted::default();
    let (mut is_full, actions_max) = (false, more_actions_max(pendings));
    for pending in pendings {
        let mut part = Part::default();
        for waiting in &pending.objects {
            let state = states.next().map(|state| current(waiting, state));
            let misfit = state.iter().flatten().find_map(|found| seen.misfits.get(&found.object.id()));
            is_full |= sorted.more_actions_with(misfit) > actions_max;
            let Some(found) = state.filter(|_| !is_full) else {
                part.rest.push(waiting.clone());
                continue;
            };
            let id = waiting.object.id();
            if is_done(seen.ledger.get(&id), pending.entered) {
                sorted.n_known += 1;
            } else if let Some(found) = found {
                let current_id = found.object.id();
                let is_newer = current_id != id;
                let elsewhere = is_newer && (own.contains(&current_id) || seen.ledger.contains_key(&current_id));
                if elsewhere || !handled.insert(current_id) {
                    sorted.n_known += 1;
                } else if let Some(misfit) = misfit {
                    sorted.misfits.push((found, misfit.clone()));
                } else if is_newer && pending.entered {
                    part.newer.push(found);
                } else {
                    let fit = seen.fits.get(&found.object.id()).unwrap_or(&BY_POSITION);
                    sorted.place(&mut part, found, fit);
                }
            } else if handled.insert(id) {
                sorted.deleted.push((waiting.clone(), pending.entered));
            }
        }
        sorted.parts.push(part);
    }
    sorted
}

/// The object as it is now; `None` if it was deleted.
pub fn current(waiting: &WaitingObject, state: &ObjectState) -> Option<WaitingObject> {
    match state {
        ObjectState::Missing => None,
        ObjectState::AsNotified => Some(waiting.clone()),
        ObjectState::Found { size_bytes, .. } => {
            let object = newer(waiting, state).unwrap_or_else(|| waiting.object.clone());
            Some(WaitingObject { object, size_bytes: *size_bytes })
        }
    }
}

/// Whether the ledger's mark prevents loading the object.
const fn is_done(mark: Option<&LedgerMark>, entered: bool) -> bool {
    match mark {
        None => false,
        Some(LedgerMark::Loaded(_)) => true,
        Some(LedgerMark::Accepted | LedgerMark::Quarantined) => !entered,
    }
}

impl<'a> Sorted<'a> {
    /// Lists an object if its fit is that of the load; otherwise it waits, as the version that exists now: versions before it are dropped.
    fn place(&mut self, part: &mut Part, found: WaitingObject, fit: &'a Fit) {
        let was_parted = part.is_parted();
        if *self.fit.get_or_insert(fit) == fit {
            part.kept.push(found);
        } else {
            self.n_later += 1;
            part.rest.push(found);
        }
        self.n_parted += usize::from(part.is_parted() && !was_parted);
    }

    /// Number of writes beyond one per pending load, including this misfit if there is one.
    fn more_actions_with(&self, misfit: Option<&Misfit>) -> usize {
        let shapes: BTreeSet<&Misfit> = self.misfits.iter().map(|(_, misfit)| misfit).chain(misfit).collect();
        self.misfits.len() + usize::from(misfit.is_some()) + shapes.len() + self.n_parted
    }

    fn listed(&self) -> Vec<&WaitingObject> {
        self.parts.iter().flat_map(|part| &part.kept).collect()
    }

    /// Keys of the pending loads that remain in the load.
    fn keys(&self, pendings: &[PendingLoad]) -> Vec<SortKey> {
        let kept = pendings.iter().zip(&self.parts).filter(|(_, part)| !part.kept.is_empty());
        kept.map(|(pending, _)| pending.key.clone()).collect()
    }

    /// All writes except the slot's own. Afterwards, the load's pending loads contain exactly what the manifest lists.
    fn actions(&self, pendings: &[PendingLoad], load: &RunningLoad, context: &Context) -> Vec<WriteAction> {
        let mut actions: Vec<WriteAction> =
            pendings.iter().zip(&self.parts).flat_map(|(pending, part)| part.actions(pending, load, context)).collect();
        let forgotten = self.deleted.iter().filter(|(_, entered)| *entered);
        actions.extend(forgotten.map(|(gone, _)| WriteAction::Delete(SortKey::file(&gone.object), Condition::Always)));
        let deleted = self.deleted.iter().map(|(gone, _)| gone.clone());
        let error = "the object was deleted before it was loaded";
        let items = settle::quarantined(deleted, load, FailureClass::Deleted, error, context);
        actions.extend(items.into_iter().map(|item| WriteAction::put(Item::Failed(item), Condition::Always)));
        actions.extend(self.quarantine(pendings, load, context));
        actions
    }

    /// The writes for misfits: a ledger entry each, in the same transaction; those of one shape share a quarantine item.
    fn quarantine(&self, pendings: &[PendingLoad], load: &RunningLoad, context: &Context) -> Vec<WriteAction> {
        let mut shapes: BTreeMap<&Misfit, Vec<WaitingObject>> = BTreeMap::new();
        for (object, misfit) in &self.misfits {
            shapes.entry(misfit).or_default().push(object.clone());
        }
        let at = context.now.max(load.source.recorded.again_before_millis.unwrap_or(Millis::MIN));
        let entry = |(waiting, _): &(WaitingObject, Misfit)| {
            let recorded =
                pendings.iter().find(|pending| holds(pending, &waiting.object)).and_then(PendingLoad::recording);
            let entry = change::entry(&waiting.object, at, &LedgerMark::Quarantined, context);
            WriteAction::put(Item::File(LedgerEntry { recorded, ..entry }), Condition::Always)
        };
        let mut actions: Vec<WriteAction> = self.misfits.iter().map(entry).collect();
        for (misfit, objects) in shapes {
            let more = if objects.len() > 1 { format!(" and {} more", objects.len() - 1) } else { String::new() };
            let error = format!("{}{more}: {}", url(&objects[0]), misfit.error);
            for item in settle::quarantined(objects, load, FailureClass::BadInput, &error, context) {
                let item = Quarantined { remedy: misfit.remedy.clone(), is_misfit: true, ..item };
                actions.push(WriteAction::put(Item::Failed(item), Condition::Always));
            }
        }
        actions
    }
}

/// Whether any version of this object waits in this pending load.
fn holds(pending: &PendingLoad, object: &ObjectVersion) -> bool {
    let is_it =
        |waiting: &WaitingObject| (&waiting.object.bucket, &waiting.object.key) == (&object.bucket, &object.key);
    pending.objects.iter().any(is_it)
}

fn url(waiting: &WaitingObject) -> String {
    format!("s3://{}/{}", waiting.object.bucket, waiting.object.key)
}

impl Part {
    const fn is_parted(&self) -> bool {
        !self.kept.is_empty() && !self.rest.is_empty()
    }

    fn actions(&self, pending: &PendingLoad, load: &RunningLoad, context: &Context) -> Vec<WriteAction> {
        let put = |objects: &[WaitingObject]| {
            let item = PendingLoad { objects: objects.to_vec(), ..pending.clone() };
            WriteAction::put(Item::Pending(item), Condition::Always)
        };
        let mut actions = match (self.kept.is_empty(), self.rest.is_empty()) {
            (true, true) => vec![WriteAction::Delete(pending.key.clone(), Condition::Always)],
            (true, false) if same_objects(&self.rest, &pending.objects) => Vec::new(),
            (true, false) => vec![put(&self.rest)],
            (false, true) if same_objects(&self.kept, &pending.objects) => Vec::new(),
            (false, true) => vec![put(&self.kept)],
            (false, false) => {
                let rest = split::again(pending, self.rest.clone(), load, context.now);
                vec![put(&self.kept), WriteAction::put(Item::Pending(rest), Condition::Absent)]
            }
        };
        if !self.newer.is_empty() {
            let newer = split::again(pending, self.newer.clone(), load, context.now);
            let newer = PendingLoad { entered: false, group: None, set_aside: 0, ..newer };
            actions.push(WriteAction::put(Item::Pending(newer), Condition::Absent));
        }
        actions
    }
}

/// Compares versions only: a changed size is written to the manifest, not to the item.
fn same_objects(sorted: &[WaitingObject], waiting: &[WaitingObject]) -> bool {
    sorted.len() == waiting.len() && sorted.iter().zip(waiting).all(|(a, b)| a.object == b.object)
}
