//! The paths under `/_standin/`: what a test may ask of the stand-in beyond what the service answers.
//!
//! Nothing here is part of the Data API. Without a request to these paths the stand-in behaves as the service does.
//!
//! # `GET /_standin/statements`
//!
//! All remembered statements, newest first, each with `id`, `name`, `status`, `error`, `warehouse`, `database`,
//! `mode`, `created` (epoch milliseconds) and `parts`: `sql`, `status`, `error`, `rows`.
//!
//! # `GET /_standin/settings`
//!
//! The settings in force. `now_millis` is the stand-in's time, shifts included.
//!
//! # `POST /_standin/settings`
//!
//! A JSON object; every member is optional, an unknown one is refused. Answers the settings in force.
//!
//! | member | effect |
//! | --- | --- |
//! | `queued_millis`, `started_millis` | time that statements submitted from now on spend in SUBMITTED and in STARTED |
//! | `active_limit` | how many statements of a warehouse may be active (500) |
//! | `shift_clock_seconds` | moves the stand-in's time: tokens expire after 8 h, statements are forgotten after 24 h |
//! | `forget_statements` | forgets all statements whose name contains this text (`""`: all) |
//! | `forget_tokens` | `true`: forgets all client tokens |
//! | `fail` | `{"name", "times", "error", "status"}`: the next `times` (1) statements whose name contains `name` end without touching the warehouse, `FAILED` (or `"status": "ABORTED"`) with `error` |
//! | `hold` | `{"name", "at"}`: statements whose name contains `name` stay where they are until released. `at` is `"SUBMITTED"` (nothing is done yet; the default) or `"COMMIT"` (everything is done but the commit) |
//! | `release` | releases the holds with exactly this `name` |
//! | `events` | `{"drop", "double", "delay_millis"}`: the next `drop` completion events are lost; of those after, the next `double` arrive twice; all are late by `delay_millis` |
//! | `roles` | the IAM roles attached to the warehouses, as a list of ARNs; the first is their default role. Until it is given a COPY may name any role |
//! | `reset` | `true`: first ends all holds, failures and event faults, attaches every role and restores the default limit |

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::Latency;
use crate::app::App;
use crate::clock::Clock;

const ACTIVE_LIMIT_DEFAULT: usize = 500;

/// What a test has asked for.
pub(crate) struct Controls {
    state: Mutex<Inner>,
    released: Notify,
}

struct Inner {
    latency: Latency,
    active_limit: usize,
    failures: Vec<Fail>,
    holds: Vec<Hold>,
    events: EventFaults,
    roles: Option<Vec<String>>,
}

/// Where a statement can be held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Stage {
    /// Nothing is done yet.
    #[default]
    Submitted,
    /// Everything is done but the commit.
    Commit,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fail {
    name: String,
    #[serde(default = "once")]
    times: u32,
    error: Option<String>,
    status: Option<String>,
}

fn once() -> u32 {
    1
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hold {
    name: String,
    #[serde(default)]
    at: Stage,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EventFaults {
    drop: u32,
    double: u32,
    delay_millis: u64,
}

/// The end of a statement that a test asked to fail.
pub(crate) struct Failure {
    pub aborts: bool,
    pub error: Option<String>,
}

/// What happens to one completion event.
pub(crate) struct EventFault {
    pub lost: bool,
    pub doubled: bool,
    pub delay_millis: u64,
}

impl Controls {
    pub(crate) fn new(latency: Latency) -> Self {
        let (failures, holds, events) = (Vec::new(), Vec::new(), EventFaults::default());
        let state = Inner { latency, active_limit: ACTIVE_LIMIT_DEFAULT, failures, holds, events, roles: None };
        Self { state: Mutex::new(state), released: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn latency(&self) -> Latency {
        self.lock().latency
    }

    pub(crate) fn active_limit(&self) -> usize {
        self.lock().active_limit
    }

    /// Roles attached to the warehouses; `None`: all.
    pub(crate) fn roles(&self) -> Option<Vec<String>> {
        self.lock().roles.clone()
    }

    /// Returns when no hold at this stage matches the name.
    pub(crate) async fn wait(&self, name: &str, stage: Stage) {
        loop {
            let released = self.released.notified();
            let mut released = std::pin::pin!(released);
            released.as_mut().enable();
            if !self.lock().holds.iter().any(|hold| hold.at == stage && name.contains(&hold.name)) {
                return;
            }
            released.await;
        }
    }

    pub(crate) fn take_failure(&self, name: &str) -> Option<Failure> {
        let mut state = self.lock();
        let index = state.failures.iter().position(|fail| name.contains(&fail.name))?;
        let fail = &mut state.failures[index];
        fail.times = fail.times.saturating_sub(1);
        let aborts = fail.status.as_deref() == Some("ABORTED");
        let error = fail.error.clone().or_else(|| (!aborts).then(|| "ERROR: failed on request".to_owned()));
        if fail.times == 0 {
            state.failures.remove(index);
        }
        Some(Failure { aborts, error })
    }

    pub(crate) fn take_event_fault(&self) -> EventFault {
        let mut state = self.lock();
        let delay_millis = state.events.delay_millis;
        if state.events.drop > 0 {
            state.events.drop -= 1;
            return EventFault { lost: true, doubled: false, delay_millis };
        }
        let doubled = state.events.double > 0;
        state.events.double = state.events.double.saturating_sub(1);
        EventFault { lost: false, doubled, delay_millis }
    }

    fn shown(&self, clock: &Clock) -> Value {
        let state = self.lock();
        json!({
            "queued_millis": state.latency.queued_millis,
            "started_millis": state.latency.started_millis,
            "active_limit": state.active_limit,
            "now_millis": clock.now(),
            "holds": state.holds.iter().map(|hold| json!({"name": hold.name, "at": format!("{:?}", hold.at).to_uppercase()})).collect::<Vec<_>>(),
            "failures": state.failures.iter().map(|fail| json!({"name": fail.name, "times": fail.times})).collect::<Vec<_>>(),
            "roles": state.roles,
            "events": {"drop": state.events.drop, "double": state.events.double, "delay_millis": state.events.delay_millis},
        })
    }
}

/// The body of `POST /_standin/settings`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Change {
    queued_millis: Option<u64>,
    started_millis: Option<u64>,
    active_limit: Option<usize>,
    shift_clock_seconds: Option<i64>,
    forget_statements: Option<String>,
    forget_tokens: Option<bool>,
    fail: Option<Fail>,
    hold: Option<Hold>,
    release: Option<String>,
    events: Option<EventFaults>,
    roles: Option<Vec<String>>,
    reset: Option<bool>,
}

pub(crate) async fn settings(State(app): State<Arc<App>>) -> Json<Value> {
    Json(app.controls.shown(&app.clock))
}

pub(crate) async fn change(State(app): State<Arc<App>>, body: String) -> Result<Json<Value>, (StatusCode, String)> {
    let change: Change = serde_json::from_str(&body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    if let Some(status) = change.fail.as_ref().and_then(|fail| fail.status.as_deref())
        && !matches!(status, "FAILED" | "ABORTED")
    {
        return Err((StatusCode::BAD_REQUEST, format!("status `{status}` is neither FAILED nor ABORTED")));
    }
    apply(&app, change);
    app.controls.released.notify_waiters();
    Ok(Json(app.controls.shown(&app.clock)))
}

fn apply(app: &App, change: Change) {
    if let Some(seconds) = change.shift_clock_seconds {
        app.clock.shift(seconds);
    }
    if let Some(name) = &change.forget_statements {
        app.store.forget_named(name);
    }
    if change.forget_tokens == Some(true) {
        app.store.forget_tokens();
    }
    let mut state = app.controls.lock();
    if change.reset == Some(true) {
        state.failures.clear();
        state.holds.clear();
        state.events = EventFaults::default();
        state.active_limit = ACTIVE_LIMIT_DEFAULT;
        state.roles = None;
    }
    state.latency.queued_millis = change.queued_millis.unwrap_or(state.latency.queued_millis);
    state.latency.started_millis = change.started_millis.unwrap_or(state.latency.started_millis);
    state.active_limit = change.active_limit.unwrap_or(state.active_limit);
    state.events = change.events.unwrap_or(state.events);
    if change.roles.is_some() {
        state.roles = change.roles;
    }
    if let Some(name) = change.release {
        state.holds.retain(|hold| hold.name != name);
    }
    state.holds.extend(change.hold);
    state.failures.extend(change.fail);
}

pub(crate) async fn statements(State(app): State<Arc<App>>) -> Json<Value> {
    let statements = app.store.all(app.clock.now());
    let shown = statements.iter().map(|statement| {
        let submission = &statement.submission;
        let parts = statement.parts.iter().zip(&submission.sqls).map(
            |(part, sql)| json!({"sql": sql, "status": part.status.name(), "error": part.error, "rows": part.rows}),
        );
        json!({
            "id": statement.id,
            "name": submission.name,
            "status": statement.status.name(),
            "error": statement.error,
            "warehouse": submission.connection.warehouse(),
            "database": submission.connection.database,
            "mode": format!("{:?}", submission.mode),
            "created": statement.created,
            "parts": parts.collect::<Vec<_>>(),
        })
    });
    Json(Value::Array(shown.collect()))
}
