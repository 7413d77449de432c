//! The transitions of the model.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use loader_core::ids::WaitingObject;
use loader_core::limits::STATEMENT_MILLIS;
use loader_core::statement_event::Trigger;
use loader_core::tracker::item::{ConfigSource, Item, Millis};
use loader_core::tracker::operator;
use loader_core::tracker::write::apply;
use stateright::{Model, Property};

use super::configuration::{Beginning, Change, Configuration};
use super::shared::{Recall, Shared, digest};
use super::state::{Ask, Durable, Local, State, Work};
use super::steps::{Hint, Stepped};
use super::world::Effect;
use super::{before, properties};
use crate::fixture::{COLUMNS, CONFIGS, TABLES, queue, source};
use crate::mutant::{Mutant, Writer};
use crate::warehouse::{End, Phase, Statement, Warehouse};

/// A transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The next change in the bucket.
    Script,
    /// A message is delivered and starts `MicrobatchLoader`.
    Deliver(usize),
    /// A completion event is delivered and starts `NextLoader`.
    Notify(usize),
    /// A sweep starts and reconciles a table.
    Sweep(usize),
    /// `NextLoader` runs to its end: for a statement that ended, else as a sweep.
    Whole(Option<usize>),
    /// An invocation makes its next call.
    Step(usize, Effect),
    /// An invocation dies.
    Crash(usize),
    /// A statement ends as its files determine.
    Finish(usize),
    /// A statement fails although its files are good.
    Fail(usize),
    /// A statement that is being cancelled ends because of it.
    Abort(usize),
    /// An operator retries the first quarantine item.
    Retry,
    /// Loader 0.1, which has not yet been replaced everywhere, takes the slot and submits.
    OldTakes,
    /// Loader 0.1 settles its load.
    OldSettles,
    /// Time passes.
    Tick,
}

/// The model of a configuration.
#[derive(Debug)]
pub struct Protocol {
    /// The configuration.
    pub configuration: Configuration,
    /// Digests of what is known to hold.
    pub known: Mutex<HashSet<u64>>,
    /// What followed from the steps of invocations.
    pub stepped: Mutex<Recall<Stepped>>,
    /// Writes that were refused, on all paths.
    pub refused_writes: AtomicUsize,
}

impl Protocol {
    /// Creates the model of a configuration.
    pub fn new(configuration: Configuration) -> Self {
        Self { configuration, known: Mutex::default(), stepped: Mutex::default(), refused_writes: AtomicUsize::new(0) }
    }

    /// Whether this holds. States that have in common what it depends on are checked once.
    pub fn holds(&self, what: &'static str, depends_on: impl Hash, check: impl FnOnce() -> bool) -> bool {
        let key = digest(&(what, depends_on));
        if self.known.lock().is_ok_and(|known| known.contains(&key)) {
            return true;
        }
        let holds = check();
        if holds && let Ok(mut known) = self.known.lock() {
            known.insert(key);
        }
        holds
    }

    /// The time on an invocation's clock.
    pub fn now(&self, state: &State, holder: &str) -> Millis {
        let skews = &self.configuration.skews;
        let number: usize = holder.trim_start_matches('h').parse().unwrap_or(0);
        self.configuration.instants[state.tick] + skews[number % skews.len()]
    }

    /// The true time.
    pub fn instant(&self, state: &State) -> Millis {
        self.configuration.instants[state.tick]
    }

    /// The objects in a message.
    pub fn objects(&self, message: usize) -> Vec<WaitingObject> {
        let of = |position: &usize| match &self.configuration.script[*position] {
            Change::Put(key, blob) => blob.waiting(key),
            change @ (Change::Delete(_) | Change::AddColumn(_)) => panic!("a message about {change:?}"),
        };
        self.configuration.messages[message].iter().map(of).collect()
    }

    /// The table of a message.
    pub fn table(&self, message: usize) -> usize {
        self.configuration.tables.get(message).copied().unwrap_or(0)
    }

    /// How the objects of a message are to be loaded.
    pub fn source(&self, message: usize) -> ConfigSource {
        let table = self.table(message);
        let live = source(&queue(table), &CONFIGS[table]);
        if self.configuration.requested.contains(&message) { ConfigSource { queue: None, ..live } } else { live }
    }

    /// Whether a message for this table about this step of the script was sent.
    pub fn is_notified(&self, durable: &Durable, table: usize, position: usize) -> bool {
        (0..self.configuration.messages.len()).any(|message| {
            self.table(message) == table
                && self.is_sent(durable, message)
                && self.configuration.messages[message].contains(&position)
        })
    }

    /// Whether everything in a message has happened, so that the message exists.
    pub fn is_sent(&self, durable: &Durable, message: usize) -> bool {
        self.configuration.messages[message].iter().all(|position| *position < durable.scripted)
    }

    fn script(&self, state: &mut State) {
        let durable = &mut *state.durable;
        match &self.configuration.script[durable.scripted] {
            Change::Put(key, blob) => {
                durable.bucket.insert((*key).to_owned(), blob.clone());
            }
            Change::Delete(key) => {
                durable.bucket.remove(*key);
            }
            Change::AddColumn(name) => durable.warehouse.columns.push((*name).to_owned()),
        }
        durable.scripted += 1;
    }

    /// Applies the write of `cargo xtask retry`.
    fn retry(&self, state: &mut State) {
        let now = self.instant(state);
        let durable = &mut *state.durable;
        for items in durable.items.values_mut() {
            let first = items.values().find_map(|item| match item {
                Item::Failed(quarantined) => Some(operator::retry(quarantined, now)),
                Item::Slot(_)
                | Item::Pending(_)
                | Item::File(_)
                | Item::Loaded(_)
                | Item::Audit(_)
                | Item::Listing(_) => None,
            });
            if let Some(transaction) = first {
                let writer = Writer { holder: "operator", items };
                let real = self.configuration.mutant.transaction(transaction, &writer);
                apply(items, &real);
                return;
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
            Some(Ask::Cancel(_)) if budget.cancels > 0 => {
                let refused = Effect::Refused(self.configuration.refusal);
                vec![Effect::Done, refused, Effect::DoneUnanswered, Effect::LostUnanswered]
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
                actions.extend(self.configuration.whole.then_some(Action::Whole(Some(index))));
            }
        }
        if self.configuration.sweep {
            actions.extend(self.configuration.tables_in_play().into_iter().map(Action::Sweep));
            actions.extend(self.configuration.whole.then_some(Action::Whole(None)));
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let configuration = &self.configuration;
        let tables = configuration.tables_in_play().into_iter().map(|table| (TABLES[table].clone(), Shared::default()));
        let durable = Durable {
            items: tables.collect(),
            delivered: vec![0; configuration.messages.len()],
            acknowledged: vec![configuration.mutant == Mutant::AcknowledgeFirst; configuration.messages.len()],
            warehouse: Shared::new(Warehouse {
                names_bad_files: configuration.names_bad_files,
                columns: COLUMNS.map(str::to_owned).to_vec(),
                ..Default::default()
            }),
            ..Durable::default()
        };
        let budget = configuration.budget;
        let mut state = State { tick: 0, durable: Shared::new(durable), locals: Vec::new(), budget, broken: None };
        for _ in 0..configuration.done {
            self.script(&mut state);
        }
        match configuration.beginning {
            Beginning::Empty => vec![state],
            Beginning::Old => before::states(self, &state),
        }
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
                actions.extend(statement.cancelled.then_some(Action::Abort(index)));
            }
        }
        if state.budget.retries > 0 && state.durable.all_items().any(|item| matches!(item, Item::Failed(_))) {
            actions.push(Action::Retry);
        }
        before::actions(state, actions);
        if state.tick + 1 < self.configuration.instants.len() {
            actions.push(Action::Tick);
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Script => self.script(&mut state),
            Action::Deliver(message) => {
                state.durable.delivered[message] += 1;
                let work = match self.configuration.mutant {
                    Mutant::LookBeforeEnqueue => Work::LookingBefore(message),
                    _ => Work::Recording(message),
                };
                self.start(&mut state, work, self.table(message), Hint::None);
            }
            Action::Notify(index) => {
                let Statement { id, name, .. } = notified(&mut state, index);
                let table = TABLES.iter().position(|table| *table == name.table).unwrap_or(0);
                self.start(&mut state, Work::Reconciling, table, Hint::Ended(id));
            }
            Action::Sweep(table) => self.start(&mut state, Work::Reconciling, table, Hint::Sweep),
            Action::Whole(None) => self.whole(&mut state, Trigger::Sweep),
            Action::Whole(Some(index)) => {
                let Statement { id, name, .. } = notified(&mut state, index);
                self.whole(&mut state, Trigger::StatementEnded { name, statement_id: Some(id) });
            }
            Action::Step(index, effect) => {
                let ask = state.locals[index].ask.clone();
                state.budget.spend(ask.as_ref(), effect);
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
            Action::Abort(index) => end(&mut state, index, End::Abort),
            Action::Retry => {
                state.budget.retries -= 1;
                self.retry(&mut state);
            }
            Action::OldTakes => before::takes(&mut state),
            Action::OldSettles => before::settles(&mut state),
            Action::Tick => {
                // No statement runs for a day: the service ends a statement long before it forgets it.
                let next = self.configuration.instants[state.tick + 1];
                let old = |s: &Statement| s.submitted_millis + STATEMENT_MILLIS <= next;
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

/// A statement whose event is delivered.
fn notified(state: &mut State, index: usize) -> Statement {
    let durable = &mut *state.durable;
    durable.notified.resize(durable.warehouse.statements.len().max(durable.notified.len()), 0);
    durable.notified[index] += 1;
    durable.warehouse.statements[index].clone()
}

fn end(state: &mut State, index: usize, end: End) {
    let durable = &mut *state.durable;
    durable.warehouse.end(index, end, &durable.bucket, &durable.manifests);
}
