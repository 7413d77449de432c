//! From a chosen load to a prepared one: the ledger and what is really in S3 decide what the manifest lists.
//!
//! What the ledger knows is left out. An object may be newer than its notification: COPY reads what is there now, so the version that is
//! there now is listed, and the older one is fulfilled by it. An object that is gone goes to quarantine, and so does a file whose columns
//! are not the target's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::change::{self, Change, Misfits, Note, put_slot};
use super::context::Context;
use super::item::{Item, LedgerMark, Millis, PendingLoad, Quarantined, SortKey};
use super::slot::{Held, KnownColumns, Prepared, RunningLoad, Slot, Step};
use super::write::{Condition, WriteAction};
use super::{settle, split};
use crate::drift::Misfit;
use crate::fit::Fit;
use crate::ids::{ObjectVersion, StatementName, Version, WaitingObject};
use crate::limits::TRANSACTION_ACTIONS_MAX;
use crate::manifest::Manifest;
use crate::outcome::FailureClass;

/// What is under a key now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ObjectState {
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
    /// Nobody looked, because keys of this queue are written once.
    AsNotified,
}

/// Everything that was seen before a manifest is written.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// One state per object, in the order of the pending loads and of their objects. Shorter where the time for looking ended: what
    /// was not looked at stays in the backlog.
    pub states: Vec<ObjectState>,
    /// What the ledger knows, by ledger id: of the objects, and of newer versions.
    pub ledger: BTreeMap<String, LedgerMark>,
    /// Columns of the target, where the SQL needs them or files are compared with them.
    pub columns: Option<KnownColumns>,
    /// Files that certainly cannot be loaded as they are, by the ledger id of the version that is there now.
    pub misfits: BTreeMap<String, Misfit>,
    /// How the others go into the target, by the same id; by position where nothing is said.
    pub fits: BTreeMap<String, Fit>,
}

/// What to do about a load once its objects were looked at.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The manifest to write first, if any: key below the manifest folder, and content.
    pub manifest: Option<Manifest>,
    /// Then this write.
    pub change: Change,
}

/// The newer version under a waiting object's key, if there is one: look it up in the ledger before [`plan`].
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

/// The objects that a ledger has as loaded, by their ids.
pub fn loaded(ledger: &BTreeMap<String, LedgerMark>) -> BTreeSet<String> {
    let loaded = ledger.iter().filter(|(_, mark)| matches!(mark, LedgerMark::Loaded(_)));
    loaded.map(|(id, _)| id.clone()).collect()
}

/// For a load that was ordered after a truncate: the ledger without what was loaded before that instant. What was loaded since, by this
/// order too, stays, so that an order that is repeated loads nothing once more. `entered`: when the ledger learned of the loaded ones, read
/// after the slot.
pub fn leave_out_older(ledger: &mut BTreeMap<String, LedgerMark>, entered: &BTreeMap<String, Millis>, before: Millis) {
    ledger.retain(|id, mark| {
        !matches!(mark, LedgerMark::Loaded(_)) || entered.get(id).is_none_or(|entered| *entered >= before)
    });
}

/// Decides the manifest and the write that records it: the slot taken or kept by this load, prepared. `slot` is the slot as it was read
/// before anything was looked at; `load` is the load at the attempt that is prepared; `pendings` are its pending loads, in its order.
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

/// The objects of a load, sorted by what the ledger knows and what is there now.
#[derive(Default)]
struct Sorted<'a> {
    /// How those that are listed go into the target: as the first of them.
    fit: Option<&'a Fit>,
    /// Objects that go otherwise, and wait for another load.
    n_later: usize,
    /// Pending loads of which some objects are listed and others wait: each costs one write more.
    n_parted: usize,
    /// One part for each pending load.
    parts: Vec<Part>,
    /// Gone objects; true: the ledger must forget it, so that it loads when it is uploaded again.
    deleted: Vec<(WaitingObject, bool)>,
    /// Files that cannot be loaded as they are.
    misfits: Vec<(WaitingObject, Misfit)>,
    /// Objects that the ledger knew, or that are fulfilled by another object.
    n_known: usize,
}

/// What becomes of one pending load.
#[derive(Default)]
struct Part {
    /// What is listed of it, newer versions in the place of older ones.
    kept: Vec<WaitingObject>,
    /// What nobody has looked at.
    rest: Vec<WaitingObject>,
    /// Newer versions of objects that were in the ledger before; these versions were not, so they wait apart.
    newer: Vec<WaitingObject>,
}

/// Writes that one transaction takes beside one for each pending load. For a misfit an entry in the ledger, which must not be there before,
/// and an item in quarantine for those of one shape; for a pending load that is parted its second part.
fn more_actions_max(pendings: &[PendingLoad]) -> usize {
    /// The slot, what is left of one pending load, an item for the deleted objects; and some of these to be forgotten.
    const OTHERS: usize = 8;
    TRANSACTION_ACTIONS_MAX.saturating_sub(pendings.len() + OTHERS).max(2)
}

/// Where one write more would be too many, the sorting ends as if nobody had looked at what follows: it stays in the backlog. So do objects
/// that go into the target otherwise than the first: one COPY has one list of columns.
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
                    sorted.place(&mut part, waiting, found, fit);
                }
            } else if handled.insert(id) {
                sorted.deleted.push((waiting.clone(), pending.entered));
            }
        }
        sorted.parts.push(part);
    }
    sorted
}

/// The object as it is now; `None` where it is gone.
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

/// Whether an object is not to be loaded because of what the ledger knows of it.
const fn is_done(mark: Option<&LedgerMark>, entered: bool) -> bool {
    match mark {
        None => false,
        Some(LedgerMark::Loaded(_)) => true,
        Some(LedgerMark::Accepted | LedgerMark::Quarantined) => !entered,
    }
}

impl<'a> Sorted<'a> {
    /// Lists an object that goes into the target as the first one does; any other waits.
    fn place(&mut self, part: &mut Part, waiting: &WaitingObject, found: WaitingObject, fit: &'a Fit) {
        let was_parted = part.is_parted();
        if *self.fit.get_or_insert(fit) == fit {
            part.kept.push(found);
        } else {
            self.n_later += 1;
            part.rest.push(waiting.clone());
        }
        self.n_parted += usize::from(part.is_parted() && !was_parted);
    }

    /// Writes beside one for each pending load, if this misfit is one more.
    fn more_actions_with(&self, misfit: Option<&Misfit>) -> usize {
        let shapes: BTreeSet<&Misfit> = self.misfits.iter().map(|(_, misfit)| misfit).chain(misfit).collect();
        self.misfits.len() + usize::from(misfit.is_some()) + shapes.len() + self.n_parted
    }

    fn listed(&self) -> Vec<&WaitingObject> {
        self.parts.iter().flat_map(|part| &part.kept).collect()
    }

    /// The pending loads that the load still consists of.
    fn keys(&self, pendings: &[PendingLoad]) -> Vec<SortKey> {
        let kept = pendings.iter().zip(&self.parts).filter(|(_, part)| !part.kept.is_empty());
        kept.map(|(pending, _)| pending.key.clone()).collect()
    }

    /// The writes beside the slot's own: afterwards the load's pending loads hold exactly what the manifest lists.
    fn actions(&self, pendings: &[PendingLoad], load: &RunningLoad, context: &Context) -> Vec<WriteAction> {
        let mut actions: Vec<WriteAction> =
            pendings.iter().zip(&self.parts).flat_map(|(pending, part)| part.actions(pending, load, context)).collect();
        let forgotten = self.deleted.iter().filter(|(_, entered)| *entered);
        actions.extend(forgotten.map(|(gone, _)| WriteAction::Delete(SortKey::file(&gone.object), Condition::Always)));
        let deleted = self.deleted.iter().map(|(gone, _)| gone.clone());
        let error = "the object was deleted before it was loaded";
        let items = settle::quarantined(deleted, load, FailureClass::Deleted, error, context);
        actions.extend(items.into_iter().map(|item| WriteAction::put(Item::Failed(item), Condition::Always)));
        actions.extend(self.quarantine(load, context));
        actions
    }

    /// Misfits, each with its ledger entry in the same transaction; those of one shape share an item.
    fn quarantine(&self, load: &RunningLoad, context: &Context) -> Vec<WriteAction> {
        let mut shapes: BTreeMap<&Misfit, Vec<WaitingObject>> = BTreeMap::new();
        for (object, misfit) in &self.misfits {
            shapes.entry(misfit).or_default().push(object.clone());
        }
        let at = context.now.max(load.source.recorded.again_before_millis.unwrap_or(Millis::MIN));
        let entry = |(waiting, _): &(WaitingObject, Misfit)| {
            let entry = change::entry(&waiting.object, at, &LedgerMark::Quarantined, context);
            WriteAction::put(Item::File(entry), Condition::Always)
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
            (true, false) if self.rest.len() == pending.objects.len() => Vec::new(),
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

/// Sizes alone are refreshed in the manifest, not in the item.
fn same_objects(kept: &[WaitingObject], waiting: &[WaitingObject]) -> bool {
    kept.len() == waiting.len() && kept.iter().zip(waiting).all(|(a, b)| a.object == b.object)
}
