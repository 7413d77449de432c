//! The gateway's administration under `/_local/`: counts, log, toxics.
//!
//! | request | result |
//! | --- | --- |
//! | `GET /_local/calls` | calls per port, service and operation |
//! | `POST /_local/calls/reset` | clears counts and log |
//! | `GET /_local/log[?after=SEQUENCE]` | the newest calls in order |
//! | `GET /_local/toxics` | the toxics with their counts |
//! | `POST /_local/toxics` | adds a toxic (the JSON of a [`Toxic`]) and returns its id |
//! | `DELETE /_local/toxics[/ID]` | removes all toxics, or one |

use std::sync::{Mutex, PoisonError};

use hyper::Method;
use hyper::http::request::Parts;
use local_client::Toxic;
use serde_json::json;

use super::Shared;
use super::forward::Answer;
use super::json;

/// Handles an administrative request.
pub fn administer(shared: &Mutex<Shared>, parts: &Parts, body: Option<&bytes::Bytes>) -> Answer {
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let path: Vec<&str> = parts.uri.path().split('/').skip(2).collect();
    match (&parts.method, path.as_slice()) {
        (&Method::GET, ["calls"]) => json(200, shared.record.calls()),
        (&Method::POST, ["calls", "reset"]) => {
            shared.record.reset();
            json(200, &json!({}))
        }
        (&Method::GET, ["log"]) => {
            let entries: Vec<_> = shared.record.log_after(after(parts)).collect();
            json(200, &json!({ "calls": entries }))
        }
        (&Method::GET, ["toxics"]) => json(200, &json!({ "toxics": shared.toxics.states() })),
        (&Method::POST, ["toxics"]) => match serde_json::from_slice::<Toxic>(body.map_or(b"", |body| body)) {
            Ok(toxic) => json(201, &json!({ "id": shared.toxics.add(toxic) })),
            Err(error) => json(400, &json!({ "message": format!("not a toxic: {error}") })),
        },
        (&Method::DELETE, ["toxics"]) => {
            shared.toxics.clear();
            json(200, &json!({}))
        }
        (&Method::DELETE, ["toxics", id]) => {
            if shared.toxics.remove(id) {
                json(200, &json!({}))
            } else {
                json(404, &json!({ "message": format!("no toxic `{id}`") }))
            }
        }
        _ => json(404, &json!({ "message": "unknown path: see /_local/calls, /_local/log, /_local/toxics" })),
    }
}

fn after(parts: &Parts) -> u64 {
    let query = parts.uri.query().unwrap_or_default();
    query.strip_prefix("after=").and_then(|number| number.parse().ok()).unwrap_or(0)
}
