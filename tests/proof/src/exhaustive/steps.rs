//! The steps of an invocation: its start, and each of its calls, as transitions.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use futures::FutureExt;
use loader_core::limits::INVOCATION_MILLIS_MAX;
use loader_core::settings::Timing;
use loader_core::statement_event::Trigger;
use loader_core::tracker::item::Millis;
use loader_reconcile::next;
use loader_reconcile::reconcile::{Invocation, Memory, Next, round};
use loader_reconcile::record::record;

use super::configuration::Configuration;
use super::model::Protocol;
use super::state::{BugMemory, Local, State, Work};
use super::world::{Caller, Effect, Inner, ModelWorld};
use crate::fixture::{TABLES, ticking};
use crate::items::whole_ledger;
use crate::mutant::Mutant;

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
        state.locals.insert(index, Arc::new(local));
        // Step to the first call at once: until then the invocation knows nothing, so it does not matter when it happens.
        self.step(state, index, Effect::Done);
    }

    /// `NextLoader` runs from its trigger to its end.
    pub(super) fn whole(&self, state: &mut State, trigger: Trigger) {
        let holder = state.fresh_holder();
        let now = self.now(state, &holder);
        let durable = std::mem::take(Arc::make_mut(&mut state.durable));
        let world = ModelWorld::direct(durable, now, &self.configuration, &holder);
        let invocation = invocation(&holder, &self.configuration, false);
        let ended = next::handle(&world, trigger, &invocation).now_or_never();
        assert!(ended.is_some_and(|ended| ended.is_ok()), "nothing fails, nothing waits");
        let Inner { durable, broken, .. } = world.into_inner();
        state.durable = Arc::new(durable);
        state.broken = state.broken.or(broken);
    }

    /// Index of the first instant by which Lambda has ended an invocation that starts now.
    fn end_of_life(&self, tick: usize) -> Option<usize> {
        let instants = &self.configuration.instants;
        instants.iter().position(|instant| *instant > instants[tick] + INVOCATION_MILLIS_MAX)
    }

    /// Makes one call of an invocation.
    pub(super) fn step(&self, state: &mut State, index: usize, effect: Effect) {
        let local = state.locals[index].clone();
        let now = self.now(state, &local.holder);
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
        let durable = std::mem::take(Arc::make_mut(&mut state.durable));
        let effect = local.ask.as_ref().map(|_| effect);
        let world = ModelWorld::stepping(durable, now, &self.configuration, caller, effect);
        let mut next = Local::clone(&local);
        let keep = self.poll(&world, &mut next);
        let Inner { durable, replies, ask, slot, broken, refused, bug, .. } = world.into_inner();
        (next.slot, next.bug) = (slot, bug);
        state.durable = Arc::new(durable);
        state.broken = state.broken.or(broken);
        self.refused_writes.fetch_add(usize::from(refused), Ordering::Relaxed);
        match keep {
            Poll::Pending => {
                let local = Local { began, replies, ask, ..next };
                state.locals[index] = Arc::new(local);
            }
            Poll::Ready(Ended::Recorded(message)) => {
                Arc::make_mut(&mut state.durable).acknowledged[message] = true;
                if self.configuration.mutant == Mutant::LookBeforeEnqueue {
                    state.locals.remove(index);
                    return;
                }
                let started = Local { work: Work::Reconciling, ..next };
                state.locals[index] = Arc::new(at_start(started));
            }
            Poll::Ready(Ended::Again) => state.locals[index] = Arc::new(at_start(next)),
            Poll::Ready(Ended::Over) => match local.work {
                Work::LookingBefore(message) => {
                    let recording = Local { work: Work::Recording(message), began: now, ..at_start(next) };
                    state.locals[index] = Arc::new(recording);
                }
                Work::Recording(_) | Work::Reconciling => {
                    state.locals.remove(index);
                }
            },
        }
    }

    fn poll(&self, world: &ModelWorld, local: &mut Local) -> Poll<Ended> {
        let invocation = invocation(&local.holder, &self.configuration, local.sweeps);
        let mut context = Context::from_waker(Waker::noop());
        match local.work {
            Work::Recording(message) => {
                let objects = self.objects(message);
                let source = self.source(message);
                let recording = pin!(record(world, &objects, None, &source));
                recording
                    .poll(&mut context)
                    .map(|recorded| if recorded.failed.is_empty() { Ended::Recorded(message) } else { Ended::Over })
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

enum Ended {
    Recorded(usize),
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
