//! The steps of an invocation: its start, and each of its calls, as transitions.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use futures::FutureExt;
use loader_core::ids::DbTable;
use loader_core::limits::INVOCATION_MILLIS_MAX;
use loader_core::settings::Timing;
use loader_core::statement_event::Trigger;
use loader_core::tracker::item::Millis;
use loader_core::tracker::write::Items;
use loader_reconcile::next;
use loader_reconcile::reconcile::{Invocation, Memory, Next, round};
use loader_reconcile::record::{Origin, record};

use super::configuration::Configuration;
use super::model::Protocol;
use super::shared::{Shared, digest};
use super::state::{BugMemory, Durable, Local, State, Work};
use super::world::{Caller, Effect, Inner, ModelWorld};
use crate::fixture::{TABLES, ticking};
use crate::items::whole_ledger;
use crate::mutant::Mutant;
use crate::warehouse::{Manifests, Warehouse};

/// Why an invocation starts, beside its work.
pub(super) enum Hint {
    /// Its work is why.
    None,
    /// This statement has ended.
    Ended(String),
    /// The schedule.
    Sweep,
}

impl Protocol {
    /// Starts an invocation.
    pub(super) fn start(&self, state: &mut State, work: Work, table: usize, hint: Hint) {
        let holder = state.fresh_holder();
        let began = self.now(state, &holder);
        let ledger = (self.configuration.mutant == Mutant::LedgerBeforeSlot)
            .then(|| whole_ledger(&state.durable.items[&TABLES[table]]));
        // Without a warehouse's file a sweep starts nothing that another look would not start.
        let sweeps = matches!(hint, Hint::Sweep) && self.configuration.is_paced();
        let local = Local {
            holder,
            ended: if let Hint::Ended(id) = hint { Some(id) } else { None },
            sweeps,
            work,
            table,
            memory: Memory::default(),
            began,
            replies: Vec::new(),
            ask: None,
            slot: None,
            dies: self.end_of_life(state.tick),
            bug: BugMemory { ledger, backlog: None },
        };
        let index = state.locals.partition_point(|other| other.holder < local.holder);
        state.locals.insert(index, Shared::new(local));
        // Step to the first call at once: until then the invocation knows nothing, so it does not matter when it happens.
        self.step(state, index, Effect::Done);
    }

    /// `NextLoader` runs from its trigger to its end.
    pub(super) fn whole(&self, state: &mut State, trigger: Trigger) {
        let holder = state.fresh_holder();
        let now = self.now(state, &holder);
        let world = ModelWorld::direct((*state.durable).clone(), now, &self.configuration, &holder);
        let invocation = invocation(&holder, &self.configuration, false);
        let ended = next::handle(&world, trigger, &invocation).now_or_never();
        assert!(ended.is_some_and(|ended| ended.is_ok()), "nothing fails, nothing waits");
        let Inner { durable, broken, .. } = world.into_inner();
        state.durable = Shared::new(durable);
        state.broken = state.broken.or(broken);
    }

    /// Index of the first instant by which Lambda has ended an invocation that starts now.
    fn end_of_life(&self, tick: usize) -> Option<usize> {
        let instants = &self.configuration.instants;
        instants.iter().position(|instant| *instant > instants[tick] + INVOCATION_MILLIS_MAX)
    }

    /// Makes one call of an invocation. What follows depends only on what the invocation knows and can read, which many states have in
    /// common, so it is worked out once for all of them.
    pub(super) fn step(&self, state: &mut State, index: usize, effect: Effect) {
        let local = state.locals[index].clone();
        let now = self.now(state, &local.holder);
        let Durable { items, bucket, manifests, warehouse, requested, .. } = &*state.durable;
        let others = self.configuration.is_paced().then_some(items);
        let own = &items[&TABLES[local.table]];
        let key = digest(&(own, others, bucket, manifests, warehouse, requested, &local, now, effect));
        let known = self.stepped.lock().ok().and_then(|mut stepped| stepped.get(key));
        let after = known.unwrap_or_else(|| {
            let after = self.stepped(&state.durable, &local, now, effect);
            if let Ok(mut stepped) = self.stepped.lock() {
                stepped.put(key, after.clone());
            }
            after
        });
        let durable = &mut *state.durable;
        durable.items.insert(TABLES[local.table].clone(), after.items);
        (durable.manifests, durable.warehouse, durable.requested) = (after.manifests, after.warehouse, after.requested);
        if let Work::Recording(message) = local.work {
            durable.acknowledged[message] |= after.recorded;
        }
        state.broken = state.broken.or(after.broken);
        self.refused_writes.fetch_add(usize::from(after.refused), Ordering::Relaxed);
        match after.local {
            Some(local) => state.locals[index] = local,
            None => drop(state.locals.remove(index)),
        }
    }

    fn stepped(&self, before: &Durable, local: &Local, now: Millis, effect: Effect) -> Stepped {
        let caller = Caller {
            holder: &local.holder,
            hinted: local.ended.is_some(),
            began: if local.replies.is_empty() && !matches!(local.work, Work::Recording(_)) {
                now
            } else {
                local.began
            },
            replies: &local.replies,
            slot: local.slot.clone(),
            bug: local.bug.clone(),
        };
        let began = caller.began;
        let effect = local.ask.as_ref().map(|_| effect);
        let world = ModelWorld::stepping(before.clone(), now, &self.configuration, caller, effect);
        let mut next = local.clone();
        let keep = self.poll(&world, &mut next);
        let Inner { mut durable, replies, ask, slot, broken, refused, bug, .. } = world.into_inner();
        (next.slot, next.bug) = (slot, bug);
        let recorded = matches!(keep, Poll::Ready(Ended::Recorded));
        let next = match keep {
            Poll::Pending => Some(Local { began, replies, ask, ..next }),
            Poll::Ready(Ended::Recorded) => {
                let goes_on = self.configuration.mutant != Mutant::LookBeforeEnqueue;
                goes_on.then(|| at_start(Local { work: Work::Reconciling, ..next }))
            }
            Poll::Ready(Ended::Again) => Some(at_start(next)),
            Poll::Ready(Ended::Over) => match local.work {
                Work::LookingBefore(message) => {
                    Some(Local { work: Work::Recording(message), began: now, ..at_start(next) })
                }
                Work::Recording(_) | Work::Reconciling => None,
            },
        };
        let items = durable.items.remove(&TABLES[local.table]).unwrap_or_default();
        let Durable { manifests, warehouse, requested, .. } = durable;
        Stepped { items, manifests, warehouse, requested, recorded, local: next.map(Shared::new), broken, refused }
    }

    fn poll(&self, world: &ModelWorld, local: &mut Local) -> Poll<Ended> {
        let invocation = invocation(&local.holder, &self.configuration, local.sweeps);
        let mut context = Context::from_waker(Waker::noop());
        match local.work {
            Work::Recording(message) => {
                let objects = self.objects(message);
                let source = self.source(message);
                let origin = Origin::default();
                let recording = pin!(record(world, &objects, None, &source, &origin));
                recording
                    .poll(&mut context)
                    .map(|recorded| if recorded.failed.is_empty() { Ended::Recorded } else { Ended::Over })
            }
            Work::Reconciling | Work::LookingBefore(_) => {
                let mut memory = local.memory.clone();
                let next = pin!(round(world, &TABLES[local.table], &invocation, local.ended.as_deref(), &mut memory))
                    .poll(&mut context);
                next.map(|next| match next {
                    Ok(Next::Again) => {
                        local.memory = memory;
                        Ended::Again
                    }
                    Ok(Next::Stop(_)) | Err(_) => Ended::Over,
                })
            }
        }
    }
}

/// What follows from a step.
#[derive(Clone, Debug)]
pub struct Stepped {
    items: Shared<Items>,
    manifests: Shared<Manifests>,
    warehouse: Shared<Warehouse>,
    requested: BTreeMap<DbTable, bool>,
    recorded: bool,
    /// `None` if the invocation has ended.
    local: Option<Shared<Local>>,
    broken: Option<&'static str>,
    /// Whether a write was refused.
    refused: bool,
}

enum Ended {
    Recorded,
    Again,
    Over,
}

fn at_start(local: Local) -> Local {
    Local { replies: Vec::new(), ask: None, began: 0, ..local }
}

/// An invocation without a deadline; `sweeps`: a sweep.
pub fn invocation(holder: &str, configuration: &Configuration, sweeps: bool) -> Invocation {
    let timing = Timing { load_pendings_max: configuration.load_pendings_max, ..ticking() };
    Invocation {
        holder: holder.to_owned(),
        timing,
        prefix: Some("p".to_owned()),
        deadline: Millis::MAX,
        awake: false,
        turn: false,
        sweeps: configuration.mutant.sweeps(sweeps),
    }
}
