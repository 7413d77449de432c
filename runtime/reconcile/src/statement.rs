//! The statement of a prepared load: submitted, polled, settled.

use std::collections::BTreeSet;

use loader_core::ident::TableName;
use loader_core::outcome::FailureClass;
use loader_core::sql::columns::TargetColumns;
use loader_core::sql::merge::{self, LoadSql};
use loader_core::tracker::cancel;
use loader_core::tracker::change::Committed;
use loader_core::tracker::choose::{Choice, Chosen, choose};
use loader_core::tracker::decide::Idle;
use loader_core::tracker::settle::{self, StatementStatus, SubmitOutcome};
use loader_core::tracker::slot::{Held, Prepared, RunningLoad, Slot};
use loader_core::tracker::view::View;
use loader_core::tracker::wait::wait;

use crate::ports::{PortError, PortResult, World};
use crate::reconcile::{Next, Round};
use crate::report::Event;

/// Minimum time that an invocation must have left to start the next load, in milliseconds: if it took the slot and ended, it would only
/// keep others waiting.
const NEXT_LOAD_MILLIS_MIN: i64 = 15_000;

impl<W: World> Round<'_, W> {
    pub(crate) async fn submit(&mut self, view: &View, load: &RunningLoad, prepared: &Prepared) -> PortResult<Next> {
        let slot = &view.state.slot;
        let first_call = load.holder == self.invocation.holder
            && prepared.refusals == 0
            && self.memory.submitted.insert(prepared.statement_name.clone());
        let config = &load.source.recorded;
        let columns = columns(slot, load);
        let sql = merge::statements(&LoadSql {
            config,
            columns: &columns,
            fit: &prepared.fit,
            manifest: &prepared.manifest,
            load_id: &load.load_id.0,
            statement_name: &prepared.statement_name.to_string(),
        });
        let sql = match sql {
            Ok(sql) => sql,
            Err(error) => {
                // The table does not fit the configuration. When that is fixed, the columns are different, so they must be read again. This
                // attempt's SQL never changes, so no invocation can have submitted it.
                let slot = Slot { columns: None, ..slot.clone() };
                let held = Held { slot: &slot, load };
                let change = wait(held, FailureClass::OperatorsTurn, error.to_string(), &self.context());
                return self.apply(view, Some(load), change).await;
            }
        };
        let outcome = match self.world.submit(config, &prepared.statement_name, &sql).await {
            Ok(statement_id) => SubmitOutcome::Done { statement_id },
            Err(error) if error.unknown => SubmitOutcome::Unknown { reason: error.to_string() },
            Err(error) => SubmitOutcome::Refused { class: error.class, reason: error.to_string(), first_call },
        };
        if matches!(outcome, SubmitOutcome::Done { .. }) {
            self.world.report(&Event::Awake {
                warehouse: self.table.warehouse().to_owned(),
                at_millis: config.awake_millis(load.recorded_millis, self.world.now()),
                microdollars_per_second: config.pace.as_ref().and_then(|pace| pace.microdollars_per_second),
            });
        }
        let change = settle::after_submit(Held { slot, load }, prepared, outcome, &self.context());
        self.apply(view, Some(load), change).await
    }

    pub(crate) async fn ask(&mut self, view: &View, load: &RunningLoad, statement_id: &str) -> PortResult<Next> {
        let status = self.world.status(&load.source.recorded, statement_id).await?;
        let pendings = match &status {
            StatementStatus::Finished(committed) => return self.settle(view, load, *committed).await,
            StatementStatus::Forgotten => {
                // A statement that was just accepted may not be known everywhere yet.
                if load.touched_millis + self.invocation.timing.patience_millis > self.world.now() {
                    let message = format!("the service does not know the statement {statement_id} yet");
                    let class = FailureClass::RetryLater;
                    let operation = "redshift-data:DescribeStatement";
                    return Err(PortError { operation, unknown: false, class, message });
                }
                if let Some(ledger) = &load.source.recorded.ledger_table {
                    return self.ask_warehouse_ledger(view, load, ledger).await;
                }
                Vec::new()
            }
            StatementStatus::Failed { .. } => self.pendings(view, load).await?,
            StatementStatus::Running if cancel::is_overdue(load, &self.context()) => {
                return self.cancel(view, load, statement_id).await;
            }
            StatementStatus::Running | StatementStatus::Aborted { .. } => Vec::new(),
        };
        let held = Held { slot: &view.state.slot, load };
        match settle::after_status(held, &pendings, status, &self.context()) {
            Some(change) => self.apply(view, Some(load), change).await,
            None => Ok(Next::Stop(Idle::StatementRuns)),
        }
    }

    /// Cancels a statement that has run for too long. Repeated at each look until its status shows that it has ended.
    async fn cancel(&mut self, view: &View, load: &RunningLoad, statement_id: &str) -> PortResult<Next> {
        self.world.cancel(statement_id).await?;
        if let Some(change) = cancel::cancelling(Held { slot: &view.state.slot, load }, &self.context()) {
            self.apply(view, Some(load), change).await?;
        }
        Ok(Next::Stop(Idle::StatementRuns))
    }

    pub(crate) async fn ask_warehouse_ledger(
        &mut self,
        view: &View,
        load: &RunningLoad,
        ledger: &TableName,
    ) -> PortResult<Next> {
        let query = merge::ledger_query(ledger, &load.load_id.0);
        let rows = self.world.query(&load.source.recorded, &query).await?;
        let count = rows.first().and_then(|row| row.first()).cloned().flatten();
        if count.is_some_and(|count| count != "0") {
            return self.settle(view, load, Committed::default()).await;
        }
        let change = settle::not_committed(Held { slot: &view.state.slot, load }, &self.context());
        self.apply(view, Some(load), change).await
    }

    /// The rows are committed: settles the load, and gives the slot to the next load in the same write, if one may start now.
    async fn settle(&mut self, view: &View, load: &RunningLoad, committed: Committed) -> PortResult<Next> {
        let mut view = view.clone();
        self.read_backlog(&mut view).await?;
        let queues: BTreeSet<String> = view.others().filter_map(|pending| pending.source.queue.clone()).collect();
        self.add_queues(&mut view, queues).await;
        let pendings = self.pendings(&view, load).await?;
        let next = self.next_load(&view);
        let held = Held { slot: &view.state.slot, load };
        let change = settle::finished(held, &pendings, committed, next.as_ref(), &self.context());
        self.memory.settled = Some(load.source.recorded.clone());
        self.apply(&view, Some(load), change).await
    }

    fn next_load(&self, view: &View) -> Option<Chosen> {
        let has_time = self.world.now() + NEXT_LOAD_MILLIS_MIN < self.invocation.deadline;
        let next = choose(self.table, view, &self.context()).ok().and_then(Choice::load).filter(|_| has_time);
        // If the warehouse limits concurrent loads, the slot is freed instead, so that the table that has waited longest is next.
        let shares = |chosen: &Chosen| {
            chosen.load.source.recorded.pace.as_ref().is_some_and(|pace| pace.concurrent_loads_max.is_some())
        };
        next.filter(|chosen| !shares(chosen))
    }
}

/// The columns named in the SQL of a prepared load: the slot keeps them until the attempt has ended.
fn columns(slot: &Slot, load: &RunningLoad) -> TargetColumns {
    let config = &load.source.recorded;
    match &slot.columns {
        Some(known) if merge::needs_columns(config) => known.columns.clone(),
        Some(_) | None => TargetColumns::Named(config.columns.clone()),
    }
}
