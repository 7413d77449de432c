//! Runs a statement: it waits, runs, ends, and sends its status change.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

use crate::app::App;
use crate::controls::Stage;
use crate::errors::SqlError;
use crate::events;
use crate::plan::{Plan, plan};
use crate::session::{Outcome, Session};
use crate::statement::{Mode, Statement, Status};

/// How a statement has ended.
struct End {
    status: Status,
    error: Option<String>,
}

impl End {
    fn finished() -> Self {
        Self { status: Status::Finished, error: None }
    }

    fn aborted() -> Self {
        Self { status: Status::Aborted, error: None }
    }

    /// `part` is the index of the failed SQL statement in a batch.
    fn failed(error: &SqlError, part: Option<usize>) -> Self {
        let status = if error.cancelled { Status::Aborted } else { Status::Failed };
        let error = match part {
            Some(part) => format!("Query #{} failed with {}", part + 1, error.text),
            None => error.text.clone(),
        };
        Self { status, error: Some(error) }
    }
}

/// Runs a submitted statement to its end. It is spawned once per statement.
pub async fn run(app: Arc<App>, statement: Statement) {
    let started = Instant::now();
    let end = tokio::select! {
        end = work(&app, &statement) => end,
        () = statement.cancellation.cancelled() => {
            if let Some(token) = statement.cancellation.token() {
                let _ = token.cancel_query(NoTls).await;
            }
            End::aborted()
        }
    };
    // The status must be visible before the event is sent.
    finish(&app, &statement.id, &end, started.elapsed());
    if statement.submission.with_event {
        events::announce(&app, &statement.id).await;
    }
}

fn finish(app: &App, id: &str, end: &End, elapsed: Duration) {
    let now = app.clock.now();
    app.store.update(id, now, |statement| {
        statement.status = end.status;
        statement.error.clone_from(&end.error);
        statement.duration_nanos = nanos(elapsed);
        for part in &mut statement.parts {
            if !part.status.is_terminal() {
                part.status = if end.status == Status::Finished { Status::Finished } else { Status::Aborted };
                part.updated = now;
            }
        }
        if statement.submission.mode == Mode::Single {
            statement.parts[0].status = end.status;
        }
    });
}

async fn work(app: &App, statement: &Statement) -> End {
    let name = statement.submission.name.as_deref().unwrap_or_default();
    let latency = app.controls.latency();
    tokio::time::sleep(Duration::from_millis(latency.queued_millis)).await;
    app.controls.wait(name, Stage::Submitted).await;
    set_status(app, statement, Status::Picked);
    if let Some(fault) = app.controls.take_failure(name) {
        let status = if fault.aborts { Status::Aborted } else { Status::Failed };
        return End { status, error: fault.error };
    }
    set_status(app, statement, Status::Started);
    tokio::time::sleep(Duration::from_millis(latency.started_millis)).await;
    let mut session = match Session::open(app, &statement.submission.connection).await {
        Ok(session) => session,
        Err(error) => return End::failed(&error, None),
    };
    statement.cancellation.remember(session.client.cancel_token());
    let end = match statement.submission.mode {
        Mode::Single => single(app, statement, &mut session).await,
        Mode::Transaction => transaction(app, statement, &mut session).await,
        Mode::AutoCommit => auto_commit(app, statement, &mut session).await,
    };
    if end.status != Status::Finished {
        session.rollback().await;
    }
    end
}

fn set_status(app: &App, statement: &Statement, status: Status) {
    app.store.update(&statement.id, app.clock.now(), |statement| statement.status = status);
}

async fn single(app: &App, statement: &Statement, session: &mut Session<'_>) -> End {
    let planned = planned(statement, 0);
    let alone = planned.as_ref().is_ok_and(|plan| Session::needs_no_transaction(&plan.work));
    let outcome = async {
        let plan = planned?;
        if !alone {
            session.begin().await?;
        }
        part(app, statement, session, (0, &plan)).await
    };
    if let Err(error) = outcome.await {
        return End::failed(&error, None);
    }
    if alone {
        return End::finished();
    }
    match commit(app, statement, session, 0).await {
        Ok(()) => End::finished(),
        Err(error) => End::failed(&error, None),
    }
}

async fn transaction(app: &App, statement: &Statement, session: &mut Session<'_>) -> End {
    if let Err(error) = session.begin().await {
        return End::failed(&error, None);
    }
    for index in 0..statement.parts.len() {
        if let Err(error) = planned_part(app, statement, session, index).await {
            return End::failed(&error, Some(index));
        }
    }
    let last = statement.parts.len().saturating_sub(1);
    match commit(app, statement, session, last).await {
        Ok(()) => End::finished(),
        Err(error) => End::failed(&error, Some(last)),
    }
}

/// Runs each SQL statement in its own transaction. If one fails, the others still run, but the batch fails.
async fn auto_commit(app: &App, statement: &Statement, session: &mut Session<'_>) -> End {
    let mut end = End::finished();
    for index in 0..statement.parts.len() {
        let outcome = async {
            let alone = planned(statement, index).is_ok_and(|plan| Session::needs_no_transaction(&plan.work));
            if !alone {
                session.begin().await?;
            }
            planned_part(app, statement, session, index).await?;
            if alone { Ok(()) } else { commit(app, statement, session, index).await }
        };
        if let Err(error) = outcome.await {
            session.rollback().await;
            if end.status == Status::Finished {
                end = End::failed(&error, Some(index));
            }
        }
        statement.cancellation.resume();
    }
    end
}

fn planned(statement: &Statement, index: usize) -> Result<Plan, SqlError> {
    plan(&statement.submission.sqls[index], &statement.submission.parameters)
}

async fn planned_part(
    app: &App,
    statement: &Statement,
    session: &mut Session<'_>,
    index: usize,
) -> Result<(), SqlError> {
    match planned(statement, index) {
        Ok(plan) => part(app, statement, session, (index, &plan)).await,
        Err(error) => {
            write_part(app, statement, index, Err(&error), Duration::ZERO);
            Err(error)
        }
    }
}

/// Runs a SQL statement and stores its outcome.
async fn part(
    app: &App,
    statement: &Statement,
    session: &mut Session<'_>,
    (index, plan): (usize, &Plan),
) -> Result<(), SqlError> {
    let now = app.clock.now();
    app.store.update(&statement.id, now, |statement| {
        statement.parts[index].status = Status::Started;
        statement.parts[index].updated = now;
    });
    let started = Instant::now();
    let outcome = session.run(plan, statement.parts[index].query_id).await;
    write_part(app, statement, index, outcome.as_ref(), started.elapsed());
    outcome.map(|_| ())
}

fn write_part(app: &App, statement: &Statement, index: usize, outcome: Result<&Outcome, &SqlError>, elapsed: Duration) {
    let now = app.clock.now();
    app.store.update(&statement.id, now, |statement| {
        let part = &mut statement.parts[index];
        part.updated = now;
        part.duration_nanos = nanos(elapsed);
        match outcome {
            Ok(outcome) => {
                part.status = Status::Finished;
                part.rows = outcome.rows;
                part.size = outcome.result.as_ref().map_or(0, |result| size(&result.rows));
                part.result.clone_from(&outcome.result);
            }
            Err(error) => {
                part.status = if error.cancelled { Status::Aborted } else { Status::Failed };
                part.error = Some(error.text.clone());
            }
        }
    });
}

fn size(rows: &[Vec<Option<String>>]) -> i64 {
    let bytes: usize = rows.iter().flatten().flatten().map(String::len).sum();
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

async fn commit(app: &App, statement: &Statement, session: &mut Session<'_>, last: usize) -> Result<(), SqlError> {
    app.controls.wait(statement.submission.name.as_deref().unwrap_or_default(), Stage::Commit).await;
    if !statement.cancellation.may_commit() {
        // The cancellation drops this task, which must not reach the commit.
        return std::future::pending().await;
    }
    let outcome = session.commit(statement.parts[last].query_id).await;
    if let Err(error) = &outcome {
        write_part(app, statement, last, Err(error), Duration::ZERO);
    }
    outcome
}

fn nanos(elapsed: Duration) -> i64 {
    i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)
}
