//! The loop: read the tracker, decide one action, perform it, read again, until there is nothing to do.
//!
//! It keeps nothing from one round to the next but the fence: every write is conditional on the state it was decided from.
//! A refused write means that somebody else moved on; the next round sees what they did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use loader_core::config::LoadConfig;
use loader_core::ids::DbTable;
use loader_core::limits::LOAD_PENDINGS_MAX;
use loader_core::outcome::FailureClass;
use loader_core::settings::Timing;
use loader_core::sql::columns::{TargetColumns, columns_query};
use loader_core::sql::merge::{self, LoadSql};
use loader_core::tracker::decide::{Action, Change, Context, Idle, View, current_config, decide};
use loader_core::tracker::item::{ConfigSource, Millis, PendingLoad, Prepared, RunningLoad, SortKey, WaitingObject};
use loader_core::tracker::prepare::{self, Look, Plan, Seen};
use loader_core::tracker::settle::{self, StatementStatus, SubmitAnswer};
use loader_core::tracker::write::Written;

use crate::ports::{Answer, PortError, World, token};
use crate::report::Event;

/// Looks at objects at the same time.
const LOOKS_AT_ONCE: usize = 32;
/// A wait as short as this is waited for in the invocation; longer ones are the sweep's.
const WAIT_HERE_MILLIS: i64 = 3_000;
/// Rounds of one reconcile: far more than any table needs, so that a mistake of ours costs an error and not a bill.
const ROUNDS_MAX: usize = 400;
/// Waiting loads read at first; more are read when none of these may start.
const BACKLOG_READ: usize = LOAD_PENDINGS_MAX + 1;
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
    let mut memory = Memory::default();
    for _ in 0..ROUNDS_MAX {
        if world.now() >= invocation.deadline {
            return Ended::OutOfTime;
        }
        match round(world, table, invocation, ended, &mut memory).await {
            Ok(Next::Again) => {}
            Ok(Next::Stop(idle)) => return Ended::Idle(idle),
            Err(error) => {
                world.report(&Event::Stopped { table: table.0.clone(), why: error.to_string() });
                return Ended::Stopped(error);
            }
        }
    }
    world.report(&Event::Stopped {
        table: table.0.clone(),
        why: format!("{ROUNDS_MAX} rounds without an end: please report this"),
    });
    Ended::OutOfTime
}

/// What one invocation keeps from one round to the next; the model checker keeps it too, and runs round by round.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Memory {
    /// Statement names that this invocation has submitted before: a refusal of a repeat says nothing about the first.
    submitted: BTreeSet<String>,
    backlog_limit: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self { submitted: BTreeSet::new(), backlog_limit: BACKLOG_READ }
    }
}

/// What follows a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another round.
    Again,
    /// Nothing to do now.
    Stop(Idle),
}

/// One round: read, decide one action, perform it.
pub async fn round<W: World>(
    world: &W,
    table: &DbTable,
    invocation: &Invocation,
    ended: Option<&str>,
    memory: &mut Memory,
) -> Answer<Next> {
    Round { world, table, invocation, ended, memory }.go().await
}

struct Round<'a, W> {
    world: &'a W,
    table: &'a DbTable,
    invocation: &'a Invocation,
    ended: Option<&'a str>,
    memory: &'a mut Memory,
}

impl<W: World> Round<'_, W> {
    async fn go(&mut self) -> Answer<Next> {
        let (view, truncated) = self.view().await?;
        let context = self.context();
        match (decide(self.table, &view, &context), &view.running) {
            (Action::Idle(idle), _) => self.idle(idle, truncated).await,
            (Action::Write(change), _) => self.apply(view.running.as_ref(), change).await,
            (Action::Look, Some(running)) => self.look(running, &view).await,
            (Action::Submit(prepared), Some(running)) => self.submit(running, &prepared).await,
            (Action::Find(prepared), Some(running)) => {
                let found = self.world.find(&running.source.recorded, &prepared.statement_name).await?;
                self.apply(Some(running), settle::after_find(running, &prepared, found, &self.context())).await
            }
            (Action::Ask { statement_id }, Some(running)) => self.ask(running, &statement_id).await,
            (Action::AskLedger, Some(running)) => self.ask_ledger(running).await,
            (Action::GiveUp, Some(running)) => {
                let pendings = self.world.pendings(self.table, &running.pending_keys).await?;
                self.apply(Some(running), settle::outcome_unknown(running, &pendings, &self.context())).await
            }
            (_, None) => Ok(Next::Stop(Idle::Empty)),
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            now: self.world.now(),
            holder: &self.invocation.holder,
            timing: &self.invocation.timing,
            prefix: self.invocation.prefix.as_deref(),
            ended: self.ended,
        }
    }

    /// The slot; the backlog only where the slot is free. Says whether there is more backlog than was read.
    async fn view(&self) -> Answer<(View, bool)> {
        let running = self.world.running(self.table).await?;
        let backlog = match running {
            Some(_) => Vec::new(),
            None => self.world.backlog(self.table, self.memory.backlog_limit).await?,
        };
        let truncated = backlog.len() >= self.memory.backlog_limit;
        let queues: BTreeSet<&String> = backlog
            .iter()
            .map(|pending| &pending.source)
            .chain(running.iter().map(|running| &running.source))
            .filter_map(|source| source.queue.as_ref())
            .collect();
        let mut configs: BTreeMap<String, Arc<LoadConfig>> = BTreeMap::new();
        for queue in queues {
            // A configuration that cannot be read now is replaced by the one recorded with the load.
            if let Ok(config) = self.world.queue(queue).await {
                configs.insert(queue.clone(), config);
            }
        }
        Ok((View { running, backlog, configs }, truncated))
    }

    async fn idle(&mut self, idle: Idle, truncated: bool) -> Answer<Next> {
        match idle {
            Idle::NotBefore(_) | Idle::Paused if truncated && self.memory.backlog_limit < BACKLOG_READ_MAX => {
                self.memory.backlog_limit *= 4;
                Ok(Next::Again)
            }
            Idle::NotBefore(millis) => {
                let wait = millis - self.world.now();
                if wait > WAIT_HERE_MILLIS || self.world.now() + wait >= self.invocation.deadline {
                    return Ok(Next::Stop(idle));
                }
                self.world.sleep(u64::try_from(wait.max(1)).unwrap_or(1)).await;
                Ok(Next::Again)
            }
            Idle::Empty | Idle::Paused | Idle::Held | Idle::StatementRuns => Ok(Next::Stop(idle)),
        }
    }

    /// Applies a change. Refused: somebody else moved on, so look again.
    async fn apply(&self, running: Option<&RunningLoad>, change: Change) -> Answer<Next> {
        if self.world.write(&change.transaction).await? == Written::Done {
            self.report(running, change);
        }
        Ok(Next::Again)
    }

    fn report(&self, running: Option<&RunningLoad>, change: Change) {
        let load_id = running.map(|running| running.load_id.0.clone()).unwrap_or_default();
        let statement_id = running.and_then(RunningLoad::statement_id).map(ToOwned::to_owned);
        self.world.report(&Event::Moved { table: self.table.0.clone(), load_id, statement_id, note: change.note });
    }

    /// Looks at every object and writes the manifest; the configuration of this attempt is the one that holds now.
    async fn look(&self, running: &RunningLoad, view: &View) -> Answer<Next> {
        let config = current_config(&running.source, &view.configs).clone();
        let running = RunningLoad {
            source: ConfigSource { queue: running.source.queue.clone(), recorded: config.clone() },
            ..running.clone()
        };
        let pendings = self.world.pendings(self.table, &running.pending_keys).await?;
        let seen = match self.see(&pendings, &config).await {
            Ok(seen) => seen,
            Err(Unseen::Port(error)) if error.passes() => return Err(error),
            Err(Unseen::Refused { objects, error }) => {
                let change = settle::unreadable(&running, &pendings, &objects, error.to_string(), &self.context());
                return self.apply(Some(&running), change).await;
            }
            Err(unseen) => {
                let change = settle::wait(&running, FailureClass::OperatorsTurn, unseen.to_string(), &self.context());
                return self.apply(Some(&running), change).await;
            }
        };
        let Plan { manifest, change } =
            prepare::plan(&running, &pendings, &seen, &self.world.manifest_root(), &self.context());
        if let Some(manifest) = manifest {
            self.world.put_manifest(&manifest.key, &manifest.content).await?;
        }
        self.apply(Some(&running), change).await
    }

    async fn see(&self, pendings: &[PendingLoad], config: &LoadConfig) -> Result<Seen, Unseen> {
        let objects: Vec<_> = pendings.iter().flat_map(|pending| &pending.objects).collect();
        let looks = self.look_at(&objects).await?;
        let newer: BTreeSet<SortKey> = objects
            .iter()
            .zip(&looks)
            .filter_map(|(waiting, look)| prepare::newer(waiting, look))
            .map(|object| SortKey::file(&object))
            .collect();
        let accepted = if newer.is_empty() {
            BTreeSet::new()
        } else {
            self.world.existing(self.table, &newer, self.world.now()).await?
        };
        let accepted = accepted.iter().filter_map(|key| key.0.strip_prefix("FILE#")).map(ToOwned::to_owned).collect();
        let columns = if merge::needs_columns(config) {
            TargetColumns::from_rows(&self.world.query(config, &columns_query(&config.target.table)).await?)
        } else {
            TargetColumns::Named(config.columns.clone())
        };
        // The SQL is made once here, so that a target that does not fit is an operator's turn and not a failed submit.
        merge::statements(&sql_of(config, &columns, "", "", ""))?;
        Ok(Seen { looks, accepted, columns })
    }

    /// One look per object, in their order. Versions of one key share theirs: two looks could see two versions, and both would be listed.
    async fn look_at(&self, objects: &[&WaitingObject]) -> Result<Vec<Look>, Unseen> {
        let place = |waiting: &&WaitingObject| (waiting.object.bucket.clone(), waiting.object.key.clone());
        let places: BTreeSet<(String, String)> = objects.iter().map(place).collect();
        let looks: BTreeMap<(String, String), Answer<Look>> = stream::iter(places)
            .map(|(bucket, key)| async move {
                match self.world.look(&bucket, &key).await {
                    Err(error) if error.passes() => Err(error),
                    look => Ok(((bucket, key), look)),
                }
            })
            .buffered(LOOKS_AT_ONCE)
            .try_collect()
            .await?;
        if let Some(error) = looks.values().find_map(|look| look.as_ref().err()) {
            let refused = |waiting: &&&WaitingObject| looks[&place(waiting)].is_err();
            let objects = objects.iter().filter(refused).map(|waiting| waiting.object.id()).collect();
            return Err(Unseen::Refused { objects, error: error.clone() });
        }
        Ok(objects.iter().map(|waiting| looks[&place(waiting)].clone()).collect::<Result<_, _>>()?)
    }

    async fn submit(&mut self, running: &RunningLoad, prepared: &Prepared) -> Answer<Next> {
        let first_call = running.holder == self.invocation.holder
            && prepared.refusals == 0
            && self.memory.submitted.insert(prepared.statement_name.clone());
        let config = &running.source.recorded;
        let load = sql_of(config, &prepared.columns, &prepared.manifest, &running.load_id.0, &prepared.statement_name);
        let answer = match merge::statements(&load) {
            Err(error) => {
                SubmitAnswer::Refused { class: FailureClass::OperatorsTurn, reason: error.to_string(), first_call }
            }
            Ok(sql) => match self.world.submit(config, &prepared.statement_name, &token(prepared), &sql).await {
                Ok(statement_id) => SubmitAnswer::Done { statement_id },
                Err(error) if error.unknown => SubmitAnswer::Unknown { reason: error.to_string() },
                Err(error) => SubmitAnswer::Refused { class: error.class, reason: error.to_string(), first_call },
            },
        };
        self.apply(Some(running), settle::after_submit(running, prepared, answer, &self.context())).await
    }

    async fn ask(&self, running: &RunningLoad, statement_id: &str) -> Answer<Next> {
        let status = self.world.status(&running.source.recorded, statement_id).await?;
        if status == StatementStatus::Forgotten {
            // A statement that was accepted just now may not be known everywhere yet.
            if running.touched_millis + self.invocation.timing.patience_millis > self.world.now() {
                let message = format!("the service does not know the statement {statement_id} yet");
                let class = FailureClass::RetryLater;
                return Err(PortError { operation: "redshift-data:DescribeStatement", unknown: false, class, message });
            }
            if running.source.recorded.ledger_table.is_some() {
                return self.ask_ledger(running).await;
            }
        }
        let pendings = match status {
            StatementStatus::Failed { .. } | StatementStatus::Forgotten => {
                self.world.pendings(self.table, &running.pending_keys).await?
            }
            StatementStatus::Running | StatementStatus::Finished { .. } | StatementStatus::Aborted { .. } => Vec::new(),
        };
        match settle::after_status(running, &pendings, status, &self.context()) {
            Some(change) => self.apply(Some(running), change).await,
            None => Ok(Next::Stop(Idle::StatementRuns)),
        }
    }

    async fn ask_ledger(&self, running: &RunningLoad) -> Answer<Next> {
        let config = &running.source.recorded;
        let Some(ledger) = &config.ledger_table else { return Ok(Next::Stop(Idle::Empty)) };
        let rows = self.world.query(config, &merge::ledger_query(ledger, &running.load_id.0)).await?;
        let count = rows.first().and_then(|row| row.first()).cloned().flatten();
        let committed = count.is_some_and(|count| count != "0");
        self.apply(Some(running), settle::after_ledger(running, committed, &self.context())).await
    }
}

fn sql_of<'a>(
    config: &'a LoadConfig,
    columns: &'a TargetColumns,
    manifest: &'a str,
    load_id: &'a str,
    statement_name: &'a str,
) -> LoadSql<'a> {
    LoadSql { config, columns, manifest, load_id, statement_name }
}

/// Why there is nothing to prepare from.
#[derive(Debug, thiserror::Error)]
enum Unseen {
    #[error(transparent)]
    Port(#[from] PortError),
    /// Some of the objects, or all, may not be looked at.
    #[error("{error}")]
    Refused {
        /// Their ids.
        objects: BTreeSet<String>,
        /// What the service says of the first.
        error: PortError,
    },
    #[error(transparent)]
    Sql(#[from] merge::SqlError),
}
