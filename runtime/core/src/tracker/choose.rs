//! Which pending loads make up the next load, and whether it starts now.

use std::sync::Arc;

use super::change::Change;
use super::context::{Context, Idle};
use super::gather::{gather, gatherable};
use super::item::{ConfigSource, Millis, PendingLoad};
use super::slot::{RunningLoad, Slot, Step};
use super::view::View;
use crate::config::LoadConfig;
use crate::ids::{DbTable, LoadId};
use crate::limits::{LOAD_METADATA_BYTES_MAX, SWEEP_MILLIS};
use crate::tracker::pack;

/// What to do about the backlog of a free slot.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// Start this load, which may take the slot now.
    Load(Box<Chosen>),
    /// Merge some pending loads first, because there are more than one load takes.
    Gather(Change),
}

impl Choice {
    /// The load that may start, if any.
    pub fn load(self) -> Option<Chosen> {
        match self {
            Self::Load(chosen) => Some(*chosen),
            Self::Gather(_) => None,
        }
    }
}

/// A load that may take the slot now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The load as it takes the slot: claimed, first attempt.
    pub load: RunningLoad,
    /// Its pending loads, in the order of its keys.
    pub pendings: Vec<PendingLoad>,
}

impl Chosen {
    /// Number of objects in its pending loads.
    pub fn n_objects(&self) -> usize {
        self.pendings.iter().map(|pending| pending.objects.len()).sum()
    }
}

/// Chooses the next load of a table whose slot is free or being freed. An error says why none may start.
pub fn choose(table: &DbTable, view: &View, context: &Context) -> Result<Choice, Idle> {
    if view.others().next().is_none() {
        return Err(Idle::Empty);
    }
    let startable: Vec<&PendingLoad> = view.others().filter(|pending| !view.is_paused(&pending.source)).collect();
    let Some(soonest) = startable.iter().map(|pending| pending.not_before_millis).min() else {
        return Err(Idle::Paused);
    };
    let mut ready: Vec<_> = startable;
    ready.retain(|pending| is_ready(view, pending, context));
    // Live files and requested ones take turns: a live file waits for at most one load of a backfill, and a backfill makes progress however
    // many live files arrive.
    let requested_first = !view.state.slot.requested;
    ready.sort_by_key(|pending| pending.source.is_requested() != requested_first);
    // Loads that cannot share a COPY do not wait for one another: one may have to wait for its age or the end of its closed hours.
    let mut tried: Vec<&PendingLoad> = Vec::new();
    let mut soonest_start = None::<Millis>;
    for head in &ready {
        if tried.iter().any(|other| is_alike(view, other, head)) {
            continue;
        }
        match choose_with(table, view, head, &ready, context) {
            Err(Idle::NotBefore(at)) => soonest_start = soonest_start.into_iter().chain([at]).min(),
            chosen => return chosen,
        }
        tried.push(head);
    }
    Err(Idle::NotBefore(soonest_start.unwrap_or(soonest)))
}

/// Whether a pending load could be part of a load now, alone or with others. If not, it is passed over.
pub fn is_ready(view: &View, pending: &PendingLoad, context: &Context) -> bool {
    pending.not_before_millis <= context.now && !view.is_paused(&pending.source)
}

/// Whether two pending loads can share a COPY. Live and requested files never do, so that a live file does not wait for a load to fill up
/// with requested ones.
fn is_alike(view: &View, one: &PendingLoad, other: &PendingLoad) -> bool {
    let same_kind = one.group == other.group && one.source.is_requested() == other.source.is_requested();
    same_kind && view.config(&one.source) == view.config(&other.source)
}

/// The load that begins with `head`, filled up from the pending loads that may start now.
fn choose_with(
    table: &DbTable,
    view: &View,
    head: &PendingLoad,
    ready: &[&PendingLoad],
    context: &Context,
) -> Result<Choice, Idle> {
    let config = view.config(&head.source);
    let alike = |pending: &&&PendingLoad| is_alike(view, head, pending);
    let (chosen, bound) = within_limits(config, ready.iter().filter(alike).copied(), context.timing.load_pendings_max);
    if bound == Some(Bound::Pendings) {
        let gathered = gatherable(ready.iter().filter(alike).copied(), config.limits);
        if let Some(change) = gather(table, &view.state.slot, &gathered) {
            return Ok(Choice::Gather(change));
        }
    }
    if let Some(until) = config.never_until(context.now) {
        return Err(Idle::NotBefore(until));
    }
    let oldest = chosen.iter().map(|pending| pending.recorded_millis).min().unwrap_or(head.recorded_millis);
    // Loads that start at a shared instant are left to the sweep, so that the warehouse is woken once. If that sweep is lost, any
    // invocation starts them one sweep later.
    let left_to_sweep = !context.sweeps && config.starts_together(oldest);
    let start_millis = config.start_millis(oldest) + if left_to_sweep { SWEEP_MILLIS } else { 0 };
    let rides = context.awake && config.pace.is_some();
    if head.group.is_none() && bound.is_none() && !rides && start_millis > context.now {
        return Err(Idle::NotBefore(start_millis));
    }
    Ok(Choice::Load(Box::new(Chosen {
        load: claimed(table, &view.state.slot, &chosen, config.clone(), context),
        pendings: chosen.into_iter().cloned().collect(),
    })))
}

/// The limit that ended the selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    /// Files, bytes, or the size of what must be rewritten if the load is divided: the load is full.
    Full,
    /// The number of pending loads.
    Pendings,
}

/// The oldest pending loads that fit into one load, and at least the first. Also returns the limit that was reached, if any.
fn within_limits<'a>(
    config: &LoadConfig,
    loads: impl Iterator<Item = &'a PendingLoad>,
    pendings_max: usize,
) -> (Vec<&'a PendingLoad>, Option<Bound>) {
    let (mut files, mut bytes, mut metadata) = (0_u64, 0_u64, 0_usize);
    let mut chosen: Vec<&PendingLoad> = Vec::new();
    for pending in loads {
        files += pending.objects.len() as u64;
        bytes = bytes.saturating_add(pending.size_bytes());
        metadata += pack::item_bytes(pending);
        let fits =
            files <= config.limits.files_max && bytes <= config.limits.bytes_max && metadata <= LOAD_METADATA_BYTES_MAX;
        if !fits && !chosen.is_empty() {
            return (chosen, Some(Bound::Full));
        }
        if chosen.len() == pendings_max {
            return (chosen, Some(Bound::Pendings));
        }
        chosen.push(pending);
    }
    let full = files >= config.limits.files_max || bytes >= config.limits.bytes_max;
    (chosen, full.then_some(Bound::Full))
}

/// The load id includes the version that the slot will have: the same item keys could occur twice, but a version never does.
fn claimed(
    table: &DbTable,
    slot: &Slot,
    chosen: &[&PendingLoad],
    config: Arc<LoadConfig>,
    context: &Context,
) -> RunningLoad {
    let keys = || chosen.iter().map(|pending| pending.key.0.as_str());
    let recorded: Millis = chosen.iter().map(|pending| pending.recorded_millis).min().unwrap_or(context.now);
    RunningLoad {
        load_id: LoadId::of_pendings(table, slot.version + 1, keys()),
        holder: context.holder.to_owned(),
        touched_millis: context.now,
        claimed_millis: context.now,
        recorded_millis: recorded,
        attempt: 1,
        failures: 0,
        refreshes: 0,
        awaits_operator: false,
        pending_keys: chosen.iter().map(|pending| pending.key.clone()).collect(),
        source: ConfigSource { queue: chosen.first().and_then(|head| head.source.queue.clone()), recorded: config },
        step: Step::Claimed,
    }
}
