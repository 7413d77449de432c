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
