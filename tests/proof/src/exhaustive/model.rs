//! The transitions.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use loader_core::ids::StatementName;
use loader_core::limits::{INVOCATION_MILLIS_MAX, STATEMENT_MILLIS};
use loader_core::tracker::item::{Millis, WaitingObject};
use loader_core::tracker::write::Items;
use loader_reconcile::reconcile::{Invocation, Memory, Next, round};
use loader_reconcile::record::record;
use stateright::{Model, Property};

use super::configuration::{Change, Configuration};
use super::properties;
use super::state::{Ask, Durable, Local, State, Work};
use super::world::{Caller, Effect, Inner, ModelWorld};
use crate::fixture::{CONFIGS, TABLES, queue, source, ticking};
use crate::mutant::Mutant;
use crate::warehouse::{End, Phase};

/// One transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The next change in the bucket.
    Script,
    /// A message is delivered: a loader starts.
    Deliver(usize),
    /// A completion event is delivered: `NextLoader` starts.
    Notify(usize),
    /// The schedule fires: `NextLoader` looks at a table.
    Sweep(usize),
    /// An invocation makes its next call.
    Step(usize, Effect),
    /// An invocation dies.
    Crash(usize),
    /// A statement ends as its files let it.
    Finish(usize),
    /// A statement fails without a fault of its files.
    Fail(usize),
    /// Time passes.
    Tick,
}

/// The model of one configuration.
#[derive(Debug)]
pub struct Protocol {
    /// What is explored.
    pub configuration: Configuration,
    /// Durable states from which the backlog is known to drain.
    pub drained: Mutex<HashSet<u64>>,
    /// Writes that were refused, on all paths.
    pub refused_writes: AtomicUsize,
}

impl Protocol {
    /// Of a configuration.
    pub fn new(configuration: Configuration) -> Self {
        Self { configuration, drained: Mutex::default(), refused_writes: AtomicUsize::new(0) }
    }

    /// The instant that a holder's clock shows.
    pub fn now(&self, state: &State, holder: &str) -> Millis {
        let skews = &self.configuration.skews;
        let number: usize = holder.trim_start_matches('h').parse().unwrap_or(0);
        self.configuration.instants[state.tick] + skews[number % skews.len()]
    }

    /// The true time.
    pub fn instant(&self, state: &State) -> Millis {
        self.configuration.instants[state.tick]
    }

    /// The objects that a message tells of.
    pub fn objects(&self, message: usize) -> Vec<WaitingObject> {
        let of = |position: &usize| match &self.configuration.script[*position] {
            Change::Put(key, blob) => blob.waiting(key),
            Change::Delete(key) => panic!("message about a deleted {key}"),
        };
        self.configuration.messages[message].iter().map(of).collect()
    }

    /// The table that a message is for.
    pub fn table(&self, message: usize) -> usize {
        self.configuration.tables.get(message).copied().unwrap_or(0)
    }

    /// Whether a message for this table tells of this step of the script, and was sent.
    pub fn tells(&self, durable: &Durable, table: usize, position: usize) -> bool {
        (0..self.configuration.messages.len()).any(|message| {
            self.table(message) == table
                && self.is_sent(durable, message)
                && self.configuration.messages[message].contains(&position)
        })
    }

    /// Whether everything a message tells of has happened.
    pub fn is_sent(&self, durable: &Durable, message: usize) -> bool {
        self.configuration.messages[message].iter().all(|position| *position < durable.scripted)
    }

    fn start(&self, state: &mut State, work: Work, table: usize, ended: Option<String>) {
        let holder = state.fresh_holder();
        let began = self.now(state, &holder);
        let local = Local {
            holder,
            ended,
            work,
            table,
            memory: Memory::default(),
            began,
            replies: Vec::new(),
            ask: None,
            slot: None,
            dies: self.end_of_life(state.tick),
        };
        let index = state.locals.partition_point(|other| other.holder < local.holder);
        state.locals.insert(index, Arc::new(local));
        // Up to the first call that matters: before it, the invocation knows nothing, so waiting changes nothing.
        self.step(state, index, Effect::Done);
    }

    /// The first instant at which an invocation that starts now is dead.
    fn end_of_life(&self, tick: usize) -> Option<usize> {
        let instants = &self.configuration.instants;
        instants.iter().position(|instant| *instant > instants[tick] + INVOCATION_MILLIS_MAX)
    }

    fn script(&self, state: &mut State) {
        let durable = Arc::make_mut(&mut state.durable);
        match &self.configuration.script[durable.scripted] {
            Change::Put(key, blob) => durable.bucket.insert((*key).to_owned(), blob.clone()),
            Change::Delete(key) => durable.bucket.remove(*key),
        };
        durable.scripted += 1;
    }

    /// One call of an invocation.
    fn step(&self, state: &mut State, index: usize, effect: Effect) {
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
        };
        let durable = std::mem::take(Arc::make_mut(&mut state.durable));
        let world =
            ModelWorld::stepping(durable, now, self.configuration.mutant, &caller, local.ask.as_ref().map(|_| effect));
        let mut next = Local::clone(&local);
        let keep = self.poll(&world, &mut next);
        let Inner { durable, replies, ask, slot, broken, refused, .. } = world.into_inner();
        state.durable = Arc::new(durable);
        state.broken = state.broken.or(broken);
        self.refused_writes.fetch_add(usize::from(refused), Ordering::Relaxed);
        match keep {
            Poll::Pending => {
                let local = Local { replies, ask, slot, began: caller.began, ..next };
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
        let invocation = invocation(&local.holder);
        let mut context = Context::from_waker(Waker::noop());
        match local.work {
            Work::Recording(message) => {
                let objects = self.objects(message);
                let source = source(&queue(local.table), &CONFIGS[local.table]);
                let recording = pin!(record(world, &objects, &source, &invocation));
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

    fn step_effects(&self, state: &State, local: &Local) -> Vec<Effect> {
        let budget = &state.budget;
        match &local.ask {
            Some(Ask::Submit { .. }) => {
                let mut effects = vec![Effect::Done];
                if budget.refusals > 0 {
                    effects.push(Effect::Refused(self.configuration.refusal));
                }
                if budget.lost_answers > 0 {
                    effects.extend([Effect::DoneUnanswered, Effect::LostUnanswered]);
                }
                effects
            }
            Some(Ask::Sleep(until)) if *until > self.now(state, &local.holder) => Vec::new(),
            _ => vec![Effect::Done],
        }
    }

    fn starts(&self, state: &State, actions: &mut Vec<Action>) {
        let durable = &state.durable;
        for message in 0..self.configuration.messages.len() {
            if self.is_sent(durable, message) && durable.delivered[message] < self.configuration.deliveries {
                actions.push(Action::Deliver(message));
            }
        }
        for (index, statement) in durable.warehouse.statements.iter().enumerate() {
            let notified = durable.notified.get(index).copied().unwrap_or(0);
            if statement.phase != Phase::Running && notified < self.configuration.events {
                actions.push(Action::Notify(index));
            }
        }
        if self.configuration.sweep {
            actions.extend((0..self.configuration.n_tables()).map(Action::Sweep));
        }
    }
}

enum Ended {
    Recorded(usize),
    Again,
    Over,
}

fn at_start(local: Local) -> Local {
    Local { replies: Vec::new(), ask: None, slot: None, began: 0, ..local }
}

/// An invocation that never runs out of time.
pub fn invocation(holder: &str) -> Invocation {
    Invocation { holder: holder.to_owned(), timing: ticking(), prefix: Some("p".to_owned()), deadline: Millis::MAX }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let tables = TABLES[..self.configuration.n_tables()].iter();
        let durable = Durable {
            items: tables.map(|table| (table.clone(), Items::new())).collect(),
            delivered: vec![0; self.configuration.messages.len()],
            acknowledged: vec![
                self.configuration.mutant == Mutant::AcknowledgeFirst;
                self.configuration.messages.len()
            ],
            warehouse: crate::warehouse::Warehouse {
                names_bad_files: self.configuration.names_bad_files,
                ..Default::default()
            },
            ..Durable::default()
        };
        let mut state = State {
            tick: 0,
            durable: Arc::new(durable),
            locals: Vec::new(),
            budget: self.configuration.budget,
            broken: None,
        };
        for _ in 0..self.configuration.done {
            self.script(&mut state);
        }
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_some() {
            return;
        }
        if state.durable.scripted < self.configuration.script.len() {
            actions.push(Action::Script);
        }
        if state.locals.len() < self.configuration.invocations {
            self.starts(state, actions);
        }
        for (index, local) in state.locals.iter().enumerate() {
            actions.extend(self.step_effects(state, local).into_iter().map(|effect| Action::Step(index, effect)));
            if state.budget.crashes > 0 {
                actions.push(Action::Crash(index));
            }
        }
        for (index, statement) in state.durable.warehouse.statements.iter().enumerate() {
            if statement.phase == Phase::Running {
                actions.push(Action::Finish(index));
                if state.budget.failures > 0 {
                    actions.push(Action::Fail(index));
                }
            }
        }
        if state.tick + 1 < self.configuration.instants.len() {
            actions.push(Action::Tick);
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Script => self.script(&mut state),
            Action::Deliver(message) => {
                Arc::make_mut(&mut state.durable).delivered[message] += 1;
                let work = match self.configuration.mutant {
                    Mutant::LookBeforeEnqueue => Work::LookingBefore(message),
                    _ => Work::Recording(message),
                };
                self.start(&mut state, work, self.table(message), None);
            }
            Action::Notify(index) => {
                let durable = Arc::make_mut(&mut state.durable);
                let id = durable.warehouse.statements[index].id.clone();
                durable.notified.resize(durable.warehouse.statements.len().max(durable.notified.len()), 0);
                durable.notified[index] += 1;
                let statement = &state.durable.warehouse.statements[index];
                let name = StatementName::parse(&statement.name).map(|name| name.table);
                let table = TABLES.iter().position(|table| Some(table) == name.as_ref()).unwrap_or(0);
                self.start(&mut state, Work::Reconciling, table, Some(id));
            }
            Action::Sweep(table) => self.start(&mut state, Work::Reconciling, table, None),
            Action::Step(index, effect) => {
                match effect {
                    Effect::Done => {}
                    Effect::Refused(_) => state.budget.refusals -= 1,
                    Effect::DoneUnanswered | Effect::LostUnanswered => state.budget.lost_answers -= 1,
                }
                self.step(&mut state, index, effect);
            }
            Action::Crash(index) => {
                state.budget.crashes -= 1;
                state.locals.remove(index);
            }
            Action::Finish(index) => end(&mut state, index, End::Natural),
            Action::Fail(index) => {
                state.budget.failures -= 1;
                end(&mut state, index, End::Failure(self.configuration.failure.to_owned()));
            }
            Action::Tick => {
                // No statement runs for a day: the service ends it long before it forgets it.
                let next = self.configuration.instants[state.tick + 1];
                let old = |s: &crate::warehouse::Statement| s.submitted_millis + STATEMENT_MILLIS <= next;
                if state.durable.warehouse.statements.iter().any(|s| s.phase == Phase::Running && old(s)) {
                    return None;
                }
                state.tick += 1;
                let tick = state.tick;
                state.locals.retain(|local| local.dies.is_none_or(|dies| dies > tick));
            }
        }
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(&self.configuration)
    }
}

fn end(state: &mut State, index: usize, end: End) {
    let durable = Arc::make_mut(&mut state.durable);
    durable.warehouse.end(index, end, &durable.bucket, &durable.manifests);
}
