//! The loop: read the table, decide one action, perform it, until there is nothing to do.
//!
//! Every write is conditional on the state that it was decided from. A write that succeeds establishes the new state, so the loop continues
//! from it; after a refused write, the loop reads the table again. If an answer is lost, the next invocation sees what was done.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use loader_core::config::LoadConfig;
use loader_core::fit::AddedColumn;
use loader_core::ids::{DbTable, StatementName};
use loader_core::outcome::FailureClass;
use loader_core::pace::WAKE_MILLIS_MIN;
use loader_core::settings::Timing;
use loader_core::tracker::admit;
use loader_core::tracker::change::{Change, Note};
use loader_core::tracker::decide::{Action, Context, Idle, decide};
use loader_core::tracker::item::{ConfigSource, Millis, PendingLoad, SortKey};
use loader_core::tracker::settle;
use loader_core::tracker::slot::{Held, RunningLoad, Step};
use loader_core::tracker::view::View;
use loader_core::tracker::waits::Waits;
use loader_core::tracker::write::Written;

use crate::ports::{PortError, PortResult, World};
use crate::report::Event;

/// Longest wait within the invocation, in milliseconds; longer ones are left to the sweep.
const WAIT_HERE_MILLIS: i64 = 3_000;
/// Maximum number of rounds of one reconcile: far more than any table needs, so that a bug causes an error instead of a bill.
const ROUNDS_MAX: usize = 400;

/// Which invocation reconciles, with which settings, until when.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Identifies the invocation; no other ever has the same value. Begins with Lambda's request id and a `/`.
    pub holder: String,
    /// Waiting times.
    pub timing: Timing,
    /// First part of statement names.
    pub prefix: Option<String>,
    /// No round begins after this time.
    pub deadline: Millis,
    /// Whether the tables' warehouse is known to be awake.
    pub awake: bool,
    /// Whether it is this table's turn to start, even if others have waited longer.
    pub turn: bool,
    /// Whether this is a sweep.
    pub sweeps: bool,
}

impl Invocation {
    /// Lambda's request id, under which the platform logs the invocation.
    pub fn request_id(&self) -> &str {
        self.holder.split('/').next().unwrap_or_default()
    }
}

/// How a reconcile ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// There is nothing to do now.
    Idle(Idle),
    /// The invocation's time ended; the sweep continues.
    OutOfTime,
    /// A service failed; the sweep continues.
    Stopped(PortError),
}

/// Reconciles one table. `ended` is the statement that has ended according to an event.
pub async fn reconcile<W: World>(world: &W, table: &DbTable, invocation: &Invocation, ended: Option<&str>) -> Ended {
    reconcile_with(world, table, invocation, ended, &mut Memory::default()).await
}

/// The same, with a memory that the caller reads afterwards. An invocation that returns to a table must pass the memory of its previous
/// reconcile: if the answer to a submit was lost, the tracker may not show it.
pub async fn reconcile_with<W: World>(
    world: &W,
    table: &DbTable,
    invocation: &Invocation,
    ended: Option<&str>,
    memory: &mut Memory,
) -> Ended {
    memory.restart();
    for _ in 0..ROUNDS_MAX {
        if world.now() >= invocation.deadline {
            return Ended::OutOfTime;
        }
        match round(world, table, invocation, ended, memory).await {
            Ok(Next::Again) => {}
            Ok(Next::Stop(idle)) => return Ended::Idle(idle),
            Err(error) => return Ended::Stopped(error),
        }
    }
    world.report(&Event::Stopped {
        table: table.0.clone(),
        load_id: None,
        why: format!("still not finished after {ROUNDS_MAX} rounds: please report this"),
    });
    Ended::OutOfTime
}

/// What an invocation remembers between rounds. The model checker keeps it too, and runs round by round.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Memory {
    /// Names of the statements that this invocation has submitted: the refusal of a repeat says nothing about the first call.
    pub(crate) submitted: BTreeSet<StatementName>,
    /// What is known about the table after the last round's write; `None`: it must be read.
    pub(crate) view: Option<View>,
    /// The key after which the part of the backlog begins that was not read; `None`: it was read to its end.
    pub(crate) rest: Option<SortKey>,
    /// Number of pages read in search of a load that may start.
    pub(crate) n_pages: usize,
    /// What is waiting, as far as it was read. Stuck if any look found the load stuck.
    pub(crate) waits: Logged<Option<Waits>>,
    /// The configuration of a load whose statement had run for at least a minute when it was read.
    pub(crate) runs_on: Logged<Option<Arc<LoadConfig>>>,
    /// The configuration of a load that this reconcile settled.
    pub(crate) settled: Option<Arc<LoadConfig>>,
    /// Whether the table waits for an operator, and its next probe waits until the warehouse is awake.
    pub(crate) probes: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            submitted: BTreeSet::new(),
            view: None,
            rest: None,
            n_pages: 0,
            waits: Logged(None),
            runs_on: Logged(None),
            settled: None,
            probes: false,
        }
    }
}

impl Memory {
    /// Forgets what the previous reconcile knew about the table, but not what it submitted.
    fn restart(&mut self) {
        let submitted = std::mem::take(&mut self.submitted);
        *self = Self { submitted, ..Self::default() };
    }
}

/// A value that is only logged. It does not affect equality, because nothing is decided from it.
#[derive(Clone, Debug)]
pub(crate) struct Logged<T>(pub(crate) T);

impl<T> PartialEq for Logged<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Logged<T> {}

impl<T> Hash for Logged<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// What follows a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another round.
    Again,
    /// There is nothing to do now.
    Stop(Idle),
}

/// One round: read the table unless it is known, decide one action, perform it.
pub async fn round<W: World>(
    world: &W,
    table: &DbTable,
    invocation: &Invocation,
    ended: Option<&str>,
    memory: &mut Memory,
) -> PortResult<Next> {
    let known = memory.view.take();
    let is_read = known.is_none();
    let mut round = Round { world, table, invocation, ended, memory };
    let mut view = match known {
        Some(view) => view,
        None => match round.read().await {
            Ok(view) => view,
            Err(error) => return Err(round.stopped(None, error)),
        },
    };
    round.add_configs(&mut view).await;
    if is_read {
        round.remember(&view);
    }
    let done = round.perform(&view).await;
    done.map_err(|error| round.stopped(view.state.slot.load.as_ref(), error))
}

/// One round of one table.
pub(crate) struct Round<'a, W> {
    pub(crate) world: &'a W,
    pub(crate) table: &'a DbTable,
    pub(crate) invocation: &'a Invocation,
    ended: Option<&'a str>,
    pub(crate) memory: &'a mut Memory,
}

impl<W: World> Round<'_, W> {
    async fn perform(&mut self, view: &View) -> PortResult<Next> {
        let slot = &view.state.slot;
        let action = decide(self.table, view, &self.context());
        if slot.load.is_none() && !self.is_admitted(&action).await? {
            return Ok(Next::Stop(Idle::WarehouseFull));
        }
        match action {
            Action::Idle(idle) => self.idle(view, idle).await,
            Action::Write(change) => self.apply(view, slot.load.as_ref(), change).await,
            Action::Look { load, pendings } => self.look(view, *load, pendings).await,
            Action::Submit(load, prepared) => self.submit(view, load, prepared).await,
            Action::Find(load, prepared) => {
                let found = self.world.find(&load.source.recorded, &prepared.statement_name).await?;
                let change = settle::after_find(Held { slot, load }, prepared, found, &self.context());
                self.apply(view, Some(load), change).await
            }
            Action::Ask(load, statement_id) => self.ask(view, load, statement_id).await,
            Action::AskWarehouseLedger(load, ledger) => self.ask_warehouse_ledger(view, load, ledger).await,
            Action::Quarantine(load) => {
                let pendings = self.pendings(view, load).await?;
                let change = settle::outcome_unknown(Held { slot, load }, &pendings, &self.context());
                self.apply(view, Some(load), change).await
            }
        }
    }

    /// Whether the warehouse has room for the load that is about to start, if any.
    async fn is_admitted(&self, action: &Action<'_>) -> PortResult<bool> {
        let pace = action.begins().and_then(|load| load.source.recorded.pace.as_ref());
        match pace.and_then(|pace| pace.concurrent_loads_max) {
            None => Ok(true),
            Some(max) => {
                let work = self.world.tables_with_work().await?;
                Ok(admit::has_room(self.table, &work, max, self.invocation.turn))
            }
        }
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            now: self.world.now(),
            holder: &self.invocation.holder,
            timing: &self.invocation.timing,
            prefix: self.invocation.prefix.as_deref(),
            ended: self.ended,
            awake: self.invocation.awake,
            sweeps: self.invocation.sweeps,
        }
    }

    /// Reads the slot and the newest pending loads. If the slot is free, the oldest ones are read too, because the next load is chosen from
    /// them.
    async fn read(&mut self) -> PortResult<View> {
        let mut view = View::read(self.world.state(self.table).await?);
        if view.state.slot.load.is_none() {
            self.read_backlog(&mut view).await?;
        }
        Ok(view)
    }

    /// A table found stuck stays reported as stuck, even if this reconcile begins the next attempt.
    fn remember(&mut self, view: &View) {
        let was_stuck = self.memory.waits.0.as_ref().is_some_and(|waits| waits.is_stuck);
        let waits = Waits::of(view).map(|waits| Waits { is_stuck: waits.is_stuck || was_stuck, ..waits });
        self.memory.waits = Logged(waits);
        let load = view.state.slot.load.as_ref();
        let runs_on = load.filter(|load| load.runs_for(self.world.now()) >= WAKE_MILLIS_MIN);
        self.memory.runs_on = Logged(runs_on.map(|load| load.source.recorded.clone()));
    }

    /// Reads the configurations that a decision needs: those of pending loads that may start, and that of a load whose next attempt may
    /// begin. If one cannot be read now, the one recorded with the load applies.
    pub(crate) async fn add_configs(&self, view: &mut View) {
        let sources: Vec<&ConfigSource> = match &view.state.slot.load {
            None => view.state.backlog.iter().map(|pending| &pending.source).collect(),
            Some(load) if matches!(load.step, Step::Claimed | Step::Waiting { .. }) => vec![&load.source],
            Some(_) => Vec::new(),
        };
        let queues: BTreeSet<String> = sources.iter().filter_map(|source| source.queue.clone()).collect();
        self.add_queues(view, queues).await;
    }

    /// Reads the configurations of these queues, unless they are known.
    pub(crate) async fn add_queues(&self, view: &mut View, queues: BTreeSet<String>) {
        for queue in queues {
            if !view.configs.contains_key(&queue)
                && let Ok(config) = self.world.queue(&queue).await
            {
                view.configs.insert(queue, config);
            }
        }
    }

    /// The pending loads of a running load.
    pub(crate) async fn pendings(&self, view: &View, load: &RunningLoad) -> PortResult<Vec<PendingLoad>> {
        match view.pendings(&load.pending_keys) {
            Some(pendings) => Ok(pendings),
            None => self.world.pendings(self.table, &load.pending_keys).await,
        }
    }

    async fn idle(&mut self, view: &View, idle: Idle) -> PortResult<Next> {
        let free = view.state.slot.load.is_none();
        if free && !view.fresh {
            return Ok(Next::Again);
        }
        self.remember(view);
        self.memory.probes = view.state.slot.load.as_ref().is_some_and(|load| {
            let waits = matches!(load.step, Step::Waiting { class: FailureClass::OperatorsTurn, .. });
            waits && load.source.recorded.pace.is_some()
        });
        // An operator's pause applies to the whole backlog, so no more of it needs to be read. What was just recorded is among the newest
        // pending loads: searching for each file that arrives would cost more than the sweep of each minute.
        let may_search = self.invocation.sweeps || self.ended.is_some();
        let is_passed_over = view.state.slot.pause.is_none() && matches!(idle, Idle::NotBefore(_) | Idle::Paused);
        let searches = free && may_search && is_passed_over;
        if searches && self.search(view).await? {
            return Ok(Next::Again);
        }
        match idle {
            Idle::NotBefore(millis) => {
                let wait = millis - self.world.now();
                // Only the last holder waits for the next attempt; others would race with it.
                let others = view.state.slot.load.as_ref().is_some_and(|load| load.holder != self.invocation.holder);
                if others || wait > WAIT_HERE_MILLIS || self.world.now() + wait >= self.invocation.deadline {
                    return Ok(Next::Stop(idle));
                }
                self.world.sleep(u64::try_from(wait.max(1)).unwrap_or(1)).await;
                Ok(Next::Again)
            }
            Idle::Empty | Idle::Paused | Idle::Held | Idle::StatementRuns | Idle::WarehouseFull => Ok(Next::Stop(idle)),
        }
    }

    /// Writes a change. The next round continues from the resulting view, or reads the table again if the write was refused.
    pub(crate) async fn apply(&mut self, view: &View, load: Option<&RunningLoad>, change: Change) -> PortResult<Next> {
        if !change.entries.is_empty() {
            self.world.enter(self.table, &change.entries).await?;
        }
        if self.world.write(&change.transaction).await? == Written::Done {
            let after = view.clone().after(&change);
            // If only a part of a long backlog is known, the next decision needs the rest.
            let known = after.state.complete || after.state.slot.load.is_some();
            self.memory.view = known.then_some(after);
            self.report(load, change);
        }
        Ok(Next::Again)
    }

    /// Logs what happened to the load, and also the next load if it took the slot in the same write.
    fn report(&self, load: Option<&RunningLoad>, change: Change) {
        let holder = self.memory.view.as_ref().and_then(|view| view.state.slot.load.as_ref());
        let n_next = if let Note::Finished { n_next, .. } = change.note { n_next } else { 0 };
        let finished = load.filter(|_| matches!(change.note, Note::Finished { .. }));
        self.moved(load.or(holder), change.note);
        if let Some(load) = finished {
            self.columns_added(load);
        }
        if n_next > 0 {
            self.moved(holder, Note::Claimed { n_objects: n_next });
        }
    }

    fn columns_added(&self, load: &RunningLoad) {
        let added = load.prepared().map(|prepared| &prepared.fit.added).into_iter().flatten();
        let columns: Vec<String> = added.map(AddedColumn::words).collect();
        if !columns.is_empty() {
            let (table, load_id) = (self.table.0.clone(), load.load_id.0.clone());
            self.world.report(&Event::ColumnsAdded { table, load_id, columns });
        }
    }

    fn moved(&self, load: Option<&RunningLoad>, note: Note) {
        let load_id = load.map(|load| load.load_id.0.clone()).unwrap_or_default();
        let submitted = if let Note::Submitted { statement_id } = &note { Some(statement_id.as_str()) } else { None };
        let statement_id = submitted.or(load.and_then(RunningLoad::statement_id)).map(ToOwned::to_owned);
        self.world.report(&Event::Moved { table: self.table.0.clone(), load_id, statement_id, note });
    }

    fn stopped(&self, load: Option<&RunningLoad>, error: PortError) -> PortError {
        let load_id = load.map(|load| load.load_id.0.clone());
        self.world.report(&Event::Stopped { table: self.table.0.clone(), load_id, why: error.to_string() });
        error
    }
}
