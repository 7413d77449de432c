//! The loop: know the table, decide one action, perform it, until there is nothing to do.
//!
//! Every write is conditional on the state it was decided from. One that succeeded tells the new state, so the loop goes on from there;
//! after a refused one it reads again and sees what others did. What a lost result leaves behind, the next invocation reads.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use loader_core::config::LoadConfig;
use loader_core::fit::AddedColumn;
use loader_core::ids::{DbTable, StatementName};
use loader_core::limits::LOAD_PENDINGS_MAX;
use loader_core::outcome::FailureClass;
use loader_core::settings::Timing;
use loader_core::tracker::admit;
use loader_core::tracker::change::{Change, Note};
use loader_core::tracker::decide::{Action, Context, Idle, decide};
use loader_core::tracker::item::{ConfigSource, Millis, PendingLoad};
use loader_core::tracker::settle;
use loader_core::tracker::slot::{Held, RunningLoad, Step};
use loader_core::tracker::view::View;
use loader_core::tracker::waits::Waits;
use loader_core::tracker::write::Written;

use crate::ports::{PortError, PortResult, World};
use crate::report::Event;

/// A wait as short as this happens in the invocation; longer ones are the sweep's.
const WAIT_HERE_MILLIS: i64 = 3_000;
/// Rounds of one reconcile: far more than any table needs, so that a mistake of ours costs an error and not a bill.
const ROUNDS_MAX: usize = 400;
/// Waiting loads read at first where there are many; more are read when none of these may start.
const BACKLOG_READ: usize = 2 * LOAD_PENDINGS_MAX;
/// Waiting loads read at most.
pub(crate) const BACKLOG_READ_MAX: usize = BACKLOG_READ * 64;

/// Who reconciles, with which settings, until when.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// No other invocation ever has the same.
    pub holder: String,
    /// Waiting periods.
    pub timing: Timing,
    /// First part of statement names.
    pub prefix: Option<String>,
    /// No new round after this.
    pub deadline: Millis,
    /// Whether the tables' warehouse is known to be awake.
    pub awake: bool,
    /// Whether it is this table's turn to start, however long others have waited.
    pub turn: bool,
    /// Whether this is a sweep.
    pub sweeps: bool,
}

/// How a reconcile ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing to do now.
    Idle(Idle),
    /// The invocation's time is over; the sweep goes on.
    OutOfTime,
    /// A service did not do what it was asked; the sweep goes on.
    Stopped(PortError),
}

/// Reconciles one table. `ended`: the statement that an event said has ended.
pub async fn reconcile<W: World>(world: &W, table: &DbTable, invocation: &Invocation, ended: Option<&str>) -> Ended {
    reconcile_with(world, table, invocation, ended, &mut Memory::default()).await
}

/// The same, with a memory that the caller reads afterwards. An invocation that comes back to a table must pass the memory of its earlier
/// reconcile: the tracker may not know of a submit whose answer was lost.
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
        why: format!("{ROUNDS_MAX} rounds without an end: please report this"),
    });
    Ended::OutOfTime
}

/// What one invocation keeps from one round to the next; the model checker keeps it too, and runs round by round.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Memory {
    /// Statement names that this invocation has submitted before: a refusal of a repeat says nothing about the first.
    pub(crate) submitted: BTreeSet<StatementName>,
    /// What is known of the table after the last round's write; `None`: read it.
    view: Option<View>,
    /// Loads read of a long backlog.
    backlog_limit: usize,
    /// What waits, as far as it was read; stuck if it was at any look.
    pub(crate) waits: Told<Option<Waits>>,
    /// The configuration of a load that was settled.
    pub(crate) settled: Option<Arc<LoadConfig>>,
    /// Whether the table waits for an operator, and its next probe waits for an awake warehouse.
    pub(crate) probes: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            submitted: BTreeSet::new(),
            view: None,
            backlog_limit: BACKLOG_READ,
            waits: Told(None),
            settled: None,
            probes: false,
        }
    }
}

impl Memory {
    /// Forgets what an earlier reconcile knew of the table, but not what it submitted.
    fn restart(&mut self) {
        let submitted = std::mem::take(&mut self.submitted);
        *self = Self { submitted, ..Self::default() };
    }
}

/// What is only told to the log. Memories that differ in it alone are the same: nothing is decided from it.
#[derive(Clone, Debug)]
pub(crate) struct Told<T>(pub(crate) T);

impl<T> PartialEq for Told<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Told<T> {}

impl<T> Hash for Told<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// What follows a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another round.
    Again,
    /// Nothing to do now.
    Stop(Idle),
}

/// One round: know the table, decide one action, perform it.
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

    /// Whether the warehouse has room for the load that is about to begin, if one is.
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

    /// The slot and the loads that wait. Where many wait, the oldest are read, if the slot is free: that is when they matter.
    async fn read(&mut self) -> PortResult<View> {
        let mut view = View::read(self.world.state(self.table).await?);
        if view.state.slot.load.is_none() {
            self.read_backlog(&mut view).await?;
        }
        Ok(view)
    }

    /// A table that waits for somebody is stuck, although this reconcile begins the next attempt.
    fn remember(&mut self, view: &View) {
        let was_stuck = self.memory.waits.0.as_ref().is_some_and(|waits| waits.is_stuck);
        let waits = Waits::of(view).map(|waits| Waits { is_stuck: waits.is_stuck || was_stuck, ..waits });
        self.memory.waits = Told(waits);
    }

    /// The oldest of the loads that wait, unless all are known.
    pub(crate) async fn read_backlog(&self, view: &mut View) -> PortResult<()> {
        if !view.state.complete {
            (view.state.backlog, view.state.complete) =
                self.world.backlog(self.table, self.memory.backlog_limit).await?;
        }
        Ok(())
    }

    /// The configurations that a decision needs and that are not known yet: of the loads that may start, and of one whose next attempt
    /// may begin. One that cannot be read now is replaced by the one recorded with the load.
    pub(crate) async fn add_configs(&self, view: &mut View) {
        let sources: Vec<&ConfigSource> = match &view.state.slot.load {
            None => view.state.backlog.iter().map(|pending| &pending.source).collect(),
            Some(load) if matches!(load.step, Step::Claimed | Step::Waiting { .. }) => vec![&load.source],
            Some(_) => Vec::new(),
        };
        let queues: BTreeSet<String> = sources.iter().filter_map(|source| source.queue.clone()).collect();
        self.add_queues(view, queues).await;
    }

    /// The configurations of these queues, where they are not known yet.
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
        match idle {
            // An operator's word holds for the whole backlog, however long it is.
            Idle::Paused if view.state.slot.pause.is_some() => Ok(Next::Stop(idle)),
            Idle::NotBefore(_) | Idle::Paused
                if free && !view.state.complete && self.memory.backlog_limit < BACKLOG_READ_MAX =>
            {
                self.memory.backlog_limit *= 4;
                Ok(Next::Again)
            }
            Idle::NotBefore(millis) => {
                let wait = millis - self.world.now();
                // Who wrote the load last waits for its next attempt; a second one would only race for it.
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

    /// Applies a change; the next round goes on from what it makes of the view. Refused: somebody else moved on, so it reads again.
    pub(crate) async fn apply(&mut self, view: &View, load: Option<&RunningLoad>, change: Change) -> PortResult<Next> {
        if !change.entries.is_empty() {
            self.world.enter(self.table, &change.entries).await?;
        }
        if self.world.write(&change.transaction).await? == Written::Done {
            let after = view.clone().after(&change);
            // Of a long backlog only a part is known: the rest decides with it what comes next.
            let known = after.state.complete || after.state.slot.load.is_some();
            self.memory.view = known.then_some(after);
            self.report(load, change);
        }
        Ok(Next::Again)
    }

    /// One line for what happened to the load; one more where another load took the slot with the same write.
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
