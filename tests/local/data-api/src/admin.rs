//! The paths under `/_standin/`, with which tests inspect the stand-in and inject faults.
//!
//! They are not part of the Data API. Unless they are used, the stand-in behaves as the service does.
//!
//! # `GET /_standin/statements`
//!
//! All remembered statements, newest first, each with `id`, `name`, `status`, `error`, `warehouse`, `database`,
//! `mode`, `created` (epoch milliseconds) and `parts`: `sql`, `status`, `error`, `rows`.
//!
//! # `GET /_standin/settings`
//!
//! Returns the current settings. `now_millis` is the stand-in's time, including shifts.
//!
//! # `POST /_standin/settings`
//!
//! Changes settings with a JSON object and returns the current settings. Every member is optional; unknown ones are refused.
//!
//! | member | effect |
//! | --- | --- |
//! | `queued_millis`, `started_millis` | how long statements stay in SUBMITTED and in STARTED, from the next submit on |
//! | `active_limit` | how many statements of a warehouse may be active (500) |
//! | `shift_clock_seconds` | shifts the stand-in's time: client tokens expire after 8 h, statements after 24 h |
//! | `forget_statements` | forgets all statements whose name contains this text (`""`: all statements) |
//! | `forget_tokens` | `true`: forgets all client tokens |
//! | `fail` | `{"name", "times", "error", "status"}`: the next `times` (default 1) statements whose name contains `name` end as `FAILED` (or with `"status": "ABORTED"`) with `error`, without using the warehouse |
//! | `hold` | `{"name", "at"}`: statements whose name contains `name` are held until they are released. `at` is `"SUBMITTED"` (before anything is done; the default) or `"COMMIT"` (before the commit) |
//! | `release` | ends the holds with exactly this `name` |
//! | `events` | `{"drop", "double", "delay_millis"}`: the next `drop` status changes are lost, the next `double` after them are sent twice, and all are delayed by `delay_millis` |
//! | `roles` | the IAM roles attached to the warehouses, as a list of ARNs; the first is the default role. Unless this is set, a COPY may use any role |
//! | `reset` | `true`: before the other members apply, ends all holds, failures and event faults, allows every role and restores the default limit |

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::App;
use crate::controls::Change;

pub(crate) async fn settings(State(app): State<Arc<App>>) -> Json<Value> {
    Json(app.controls.shown(&app.clock))
}

pub(crate) async fn change(State(app): State<Arc<App>>, body: String) -> Result<Json<Value>, (StatusCode, String)> {
    let change: Change = serde_json::from_str(&body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    change.check().map_err(|why| (StatusCode::BAD_REQUEST, why))?;
    if let Some(seconds) = change.shift_clock_seconds {
        app.clock.shift(seconds);
    }
    if let Some(name) = &change.forget_statements {
        app.store.forget_named(name);
    }
    if change.forget_tokens == Some(true) {
        app.store.forget_tokens();
    }
    app.controls.apply(change);
    Ok(Json(app.controls.shown(&app.clock)))
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
